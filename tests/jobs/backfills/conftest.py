"""No broker is needed: what would be sent is kept."""

from __future__ import annotations

import pytest
from celery import current_app


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    messages: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: messages.extend(args))
    return messages
