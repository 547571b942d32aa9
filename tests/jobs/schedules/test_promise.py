"""What the editor promises of five hours without a scheduler is what happens then, in numbers."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from jobs.insight.prove import OUTAGE, prove
from jobs.models import Run, Tick
from jobs.schedules.decide import decide
from jobs.schedules.due import next_dues
from jobs.schedules.dues import AtTimes, Cron, Every, Rule, Sun
from jobs.schedules.edit import Wanted, create
from jobs.schedules.lead import Leader
from jobs.schedules.start import begin
from jobs.states import Missed, TickDecision
from tests.factories import make_pipeline

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 28, 20, tzinfo=UTC)
"""In the night after it the clocks go forward in Berlin."""
RULES: tuple[Rule, ...] = (
    Every(300, START),
    Every(7_000, START + timedelta(seconds=1)),
    Cron("*/20 * * * *"),
    Cron("30 2 * * *"),
    AtTimes((time(0), time(2, 30), time(3), time(4, 15))),
    Sun("dawn_civil", 52.52, 13.4),
)
LIMITS: tuple[dict[str, Any], ...] = (
    {"missed": Missed.NOTHING},
    {"missed": Missed.NEWEST},
    {"missed": Missed.ALL, "missed_most": 10, "missed_hours": 24},
    {"missed": Missed.ALL, "missed_most": 100, "missed_hours": 2},
    {"missed": Missed.ALL, "missed_most": 1_000, "missed_hours": 0},
)


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_five_hours_without_a_scheduler_end_as_the_editor_said(rule: Rule, limits: dict[str, Any]) -> None:
    pipeline = make_pipeline(overlap="both", locks_outputs=False)
    wanted = Wanted(name="it", pipeline=pipeline, rule=rule, zone="Europe/Berlin", **limits)
    schedule = create(wanted, at=START)
    promised = prove(schedule, at=START).outage[limits["missed"]]
    first = next_dues(schedule, 1, START)[0]
    before, leader = first - timedelta(seconds=1), Leader("before@here")
    assert leader.turn(before) and decide(leader, before) == 0
    leader.give_back()

    back, other = first + OUTAGE - timedelta(seconds=1), Leader("after@here")
    assert other.turn(back)
    while decide(other, back):
        pass
    for tick in Tick.objects.waiting().order_by("due_at"):
        begin(tick.pk, back)

    runs, due = Run.objects.count(), Tick.objects.count()
    assert f"{runs:,} run{'' if runs == 1 else 's'} instead of {due:,}" == promised
    decisions = Tick.objects.values_list("decision", flat=True)
    assert sorted(decisions) == [TickDecision.MADE_UP] * runs + [TickDecision.MISSED] * (due - runs)
    assert decide(other, back) == 0, "asked again, nothing more starts"
