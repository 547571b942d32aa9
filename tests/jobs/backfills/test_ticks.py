"""A due time and its backfill start the same: the parameter that the schedule names gets the date of both."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from jobs.backfills.begin import begin
from jobs.backfills.plan import Wanted
from jobs.models import Run, Tick
from jobs.schedules.dues import Cron
from jobs.schedules.edit import Wanted as Schedules
from jobs.schedules.edit import create
from jobs.schedules.start import begin as start
from jobs.schedules.start import make_up
from jobs.states import Again, TickDecision
from tests.jobs.backfills.made import NOW, daily

pytestmark = pytest.mark.django_db
DUE = datetime(2026, 3, 8, 23, 30, tzinfo=UTC)
"""In Berlin the ninth has begun."""


def tick(**facts: Any) -> Tick:
    how = {"parameters": {"options": {"top": 3}}, "date_parameter": ["day"], "zone": "Europe/Berlin"} | facts
    schedule = create(Schedules(name="nightly", pipeline=daily(), rule=Cron("30 0 * * *"), **how), at=NOW)
    return Tick.objects.create(schedule=schedule, due_at=DUE, decision=TickDecision.DUE, decided_at=DUE, sent_at=DUE)


def test_a_due_time_gives_its_date_to_the_parameter_that_the_schedule_names() -> None:
    due = tick()
    start(due.pk, DUE)
    run = Run.objects.get()
    assert run.parameters == {"options": {"top": 3}, "day": date(2026, 3, 9)} and run.due_at == DUE
    wanted = Wanted(
        pipeline=run.pipeline,
        schedule=due.schedule,
        first_day=date(2026, 3, 9),
        last_day=date(2026, 3, 9),
        again=Again.ALL,
    )
    Run.objects.all().delete()
    again = begin(wanted, at=DUE).dates.under_way()[0].run
    assert again is not None and again.parameters == run.parameters


def test_what_is_made_up_for_later_is_still_of_its_day() -> None:
    due = tick()
    Tick.objects.update(decision=TickDecision.MISSED)
    due.refresh_from_db()
    assert make_up(due, at=DUE.replace(day=12), by=None, by_name="olga").parameters["day"] == date(2026, 3, 9)


def test_without_a_parameter_for_the_date_nothing_is_added() -> None:
    start(tick(date_parameter=[]).pk, DUE)
    assert Run.objects.get().parameters == {"options": {"top": 3}}


def test_a_parameter_that_can_hold_no_date_refuses_the_due_time() -> None:
    due = tick(date_parameter=["options", "top"])
    start(due.pk, DUE)
    due.refresh_from_db()
    assert due.decision == TickDecision.REFUSED and "can hold no date" in due.reason
