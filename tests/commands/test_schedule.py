"""manage.py schedule: names and numbers, sentences, exit codes."""

from __future__ import annotations

import pytest
from celery import current_app

from jobs import clock
from jobs.models import Act, Run
from tests.factories import make_schedule

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unsent(monkeypatch):
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def test_schedules_are_listed_paused_resumed_and_run(manage) -> None:
    row = make_schedule(name="Early report", at=clock.now())
    assert "There is no schedule." not in manage("schedule", "list").out
    said = manage("schedule", "pause", "Early report", "--reason", "Holidays", "--until", "2199-01-01T08:00")
    assert (said.code, said.out) == (0, "Early report is paused until 2199-01-01 08:00.\n")
    assert "Early report  paused" in manage("schedule", "list").out
    assert manage("schedule", "resume", str(row.pk)).out == "Early report goes on: due times from now on count.\n"
    assert "  on  next " in manage("schedule", "list").out
    assert "Monday to Friday at 06:00, Europe/Berlin" in manage("schedule", "list").out
    said = manage("schedule", "run", "Early report").out
    assert f"started run #{Run.objects.latest('id').pk}" in said
    assert {"paused", "resumed"} <= set(Act.objects.filter(door="command").values_list("verb", flat=True))


def test_a_name_counts_before_a_number(manage) -> None:
    first = make_schedule(name="A", at=clock.now())
    named = make_schedule(name=str(first.pk), at=clock.now())
    manage("schedule", "pause", str(first.pk))
    for row in (first, named):
        row.refresh_from_db()
    assert (first.paused_since is None, named.paused_since is None) == (True, False)


def test_what_is_not_known_is_named_with_what_was_meant(manage) -> None:
    make_schedule(name="Mornings")
    said = manage("schedule", "pause", "Morning")
    assert (said.code, said.err.strip()) == (2, "There is no schedule “Morning”. Did you mean Mornings?")
    assert manage("schedule", "pause", "Mornings", "--until", "tomorrow").code == 2
    assert manage("schedule", "pause", "Mornings", "--until", "2020-01-01").code == 2
