"""How a person changes a row in the admin."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client
from django.urls import reverse

LIST = "admin:django_celery_beat_periodictask_changelist"


def filled(form: Any) -> dict[str, Any]:
    """What a browser sends when the form is saved as it is shown."""
    sent: dict[str, Any] = {}
    for name, field in form.fields.items():
        value = form[name].value()
        if isinstance(value, dict):
            value = json.dumps(value)
        if name in ("start_time", "once_at"):
            first, second = form[name].field.widget.decompress(value)
            sent |= {f"{name}_0": first or "", f"{name}_1": second or ""}
        elif value is not None and value is not False:
            sent[name] = "on" if value is True else value
        assert field is not None
    return sent


def shown_form(page: Client, address: str) -> Any:
    return page.get(address).context["adminform"].form


def save(page: Client, address: str, **changes: Any) -> Any:
    return page.post(address, {**filled(shown_form(page, address)), **changes})


def errors(answer: Any) -> dict[str, list[str]]:
    return dict(answer.context["adminform"].form.errors)


def act(page: Client, action: str, *rows: Any) -> str:
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    return page.post(reverse(LIST), chosen, follow=True).content.decode()
