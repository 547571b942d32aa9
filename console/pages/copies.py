"""What a run form asks for, said again as curl and as a command."""

from __future__ import annotations

import json
import shlex
from typing import Any

from django.conf import settings

from console.forms import yaml_values
from console.forms.forms import RunForm
from jobs.structure.values import shown


def as_curl(form: RunForm, address: str) -> str:
    """The same run by the API; the token is the reader's own."""
    wish = json.dumps(_wish(form), ensure_ascii=False)
    return (
        f"curl -X POST {shlex.quote(address)} \\\n"
        '  -H "Authorization: Bearer $TOKEN" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(wish)}"
    )


def _wish(form: RunForm) -> dict[str, Any]:
    chosen = _chosen(form)
    wish = {
        "pipeline_name": form.pipeline.name,
        "project": form.pipeline.project.name,
        "parameters": shown(form.asked(changes(form))),
        "runner": chosen["runner"],
        **chosen["selection"],
        "everything": bool(form["everything"].value()),
    }
    return {name: value for name, value in wish.items() if value or name == "parameters"}


def as_command(form: RunForm) -> str:
    """The same run by a command."""
    chosen = _chosen(form)
    words = [*settings.CONSOLE_COMMAND.split(), "run", form.pipeline.name, "--project", form.pipeline.project.name]
    for name, value in shown(changes(form)).items():
        words += ["--param", f"{name}={_written(value)}"]
    words += ["--runner", chosen["runner"]] if chosen["runner"] else []
    for name, value in chosen["selection"].items():
        words += [f"--{name.replace('_', '-')}", *_as_option(value)]
    words += ["--everything"] if form["everything"].value() else []
    return shlex.join(words)


def _as_option(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [",".join(f"{name}:{version}" for name, version in value.items())]
    return [] if value is True else [",".join(value) if isinstance(value, list) else str(value)]


def _written(value: Any) -> str:
    """Text as it is, unless YAML would read something else in it; everything else as JSON."""
    text = yaml_values.write(value)
    return json.dumps(value, ensure_ascii=False) if text is None else text


def changes(form: RunForm) -> dict[str, Any]:
    """The changed parameters, of a form that was not sent yet also."""
    return form.changes if form.is_bound else form.started_with


def _chosen(form: RunForm) -> dict[str, Any]:
    """The runner where it is not the pipeline's own, and all choices."""
    data = form.cleaned_data if form.is_bound else {"runner": form.initial["runner"]}
    runner = data.get("runner", "")
    return {
        "runner": runner if runner != form.pipeline.runner else "",
        "selection": form.selection.stored,
    }
