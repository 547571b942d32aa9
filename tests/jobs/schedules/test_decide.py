"""Each due time gets one row that says what came of it, whatever happens to the beats, the clock and the schedule."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import PIPE
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db.models import F
from django_celery_beat.models import PeriodicTask

from jobs.errors import BadParameters, IllegalMove, RequestError, SchedulePaused
from jobs.models import Lead, Pipeline, Run, Schedule, Tick
from jobs.runs.launch import launch
from jobs.schedules.decide import decide
from jobs.schedules.due import next_dues
from jobs.schedules.dues import Cron, Every, Once, Rule, Sun, dues
from jobs.schedules.edit import Wanted, create, edit, wanted_of
from jobs.schedules.lead import LEASE_SECONDS, Leader, LeadLost
from jobs.schedules.start import begin, dismiss, make_up, order_of, run_now
from jobs.schedules.switch import pause, resume
from jobs.schedules.tell import tell_unheard
from jobs.states import Cause, Missed, Overlap, TickDecision
from jobs.steps import pulse
from tests.factories import make_pipeline

D = TickDecision
ROOT = Path(__file__).resolve().parents[3]
START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@pytest.fixture
def pipeline(db: None) -> Pipeline:
    return make_pipeline()


@pytest.fixture
def leader(db: None) -> Leader:
    made = Leader("first@here")
    assert made.turn(START)
    return made


def hourly(pipeline: Pipeline, rule: Rule | None = None, **facts: Any) -> Schedule:
    wanted = Wanted(name="hourly", pipeline=pipeline, rule=rule or Cron("0 * * * *"), **{"zone": "UTC", **facts})
    return create(wanted, at=START)


def look(leader: Leader, hours: float) -> None:
    """The leader looks, and a worker starts what it said."""
    decide(leader, at(hours))
    for tick in Tick.objects.waiting().order_by("due_at"):
        begin(tick.pk, at(hours))


def rows() -> list[tuple[float, str]]:
    return [((tick.due_at - START) / HOUR, tick.decision) for tick in Tick.objects.order_by("due_at")]


def test_a_due_time_starts_one_run_and_both_rows_say_so(pipeline: Pipeline, leader: Leader) -> None:
    hourly(pipeline, parameters={"options": {"top": 3}})
    assert decide(leader, at(0.9)) == 0
    look(leader, 1)
    look(leader, 1.001)
    tick = Tick.objects.get()
    run = tick.run
    assert run and (run.cause, run.cause_detail, run.due_at) == (Cause.SCHEDULE, "hourly", at(1))
    assert run.parameters == {"options": {"top": 3}} and run.idempotency_key
    assert (tick.decision, tick.due_at, tick.token, tick.reason) == (D.STARTED, at(1), 1, "")
    task = PeriodicTask.objects.get()
    assert (task.last_run_at, task.total_run_count) == (at(1), 1)
    assert Schedule.objects.get().next_due_at == at(2)


@pytest.mark.parametrize(
    ("facts", "decisions"),
    [
        ({"missed": Missed.NOTHING}, {D.MISSED: 5, D.STARTED: 0, D.MADE_UP: 0}),
        ({"missed": Missed.NEWEST}, {D.MISSED: 4, D.MADE_UP: 1}),
        ({"missed": Missed.ALL, "missed_most": 3}, {D.MISSED: 2, D.MADE_UP: 3}),
        ({"missed": Missed.ALL, "missed_hours": 2}, {D.MISSED: 3, D.MADE_UP: 2}),
        ({"missed": Missed.ALL, "missed_most": 100, "missed_hours": 0}, {D.MISSED: 0, D.MADE_UP: 5}),
    ],
)
def test_an_outage_of_five_hours_ends_as_the_policy_says(
    pipeline: Pipeline, leader: Leader, facts: dict[str, Any], decisions: dict[str, int]
) -> None:
    hourly(pipeline, **facts)
    look(leader, 1)
    look(leader, 6.5)
    there = {decision: Tick.objects.filter(due_at__gt=at(1), decision=decision).count() for decision in decisions}
    assert there == decisions and Tick.objects.count() == 6
    late = Tick.objects.filter(due_at=at(2)).get()
    assert "down from 2026-03-02 01:00:00 UTC until 2026-03-02 06:30:00 UTC" in late.reason
    assert Run.objects.count() == 1 + decisions.get(D.MADE_UP, 0)
    look(leader, 7)
    assert Tick.objects.get(due_at=at(7)).decision == D.STARTED


def test_a_clock_that_jumps_forward_is_an_outage_and_backward_nothing_fires_twice(
    pipeline: Pipeline, leader: Leader
) -> None:
    hourly(pipeline)
    look(leader, 1)
    look(leader, 4)
    for hours in (0.5, 1, 2, 3, 3.5, 4):
        look(leader, hours)
    assert rows() == [(1, D.STARTED), (2, D.MISSED), (3, D.MISSED), (4, D.STARTED)]
    assert Run.objects.count() == 2


def test_an_edit_a_resume_and_a_switch_on_count_from_then_on(pipeline: Pipeline, leader: Leader) -> None:
    schedule = hourly(pipeline)
    look(leader, 1)
    edit(schedule, replaced(schedule, rule=Cron("15 * * * *")), at=at(1.5))
    look(leader, 1.5)
    assert rows() == [(1, D.STARTED)], "1:15 was due before the edit"
    look(leader, 2.25)
    pause(schedule, at=at(3), by="ann", reason="the store moves")
    assert not PeriodicTask.objects.get().enabled
    look(leader, 3.25)
    look(leader, 4.3)
    resume(schedule, at=at(5.4), by="ann")
    look(leader, 5.4)
    look(leader, 6.25)
    paused = [(3.25, D.PAUSED), (4.25, D.PAUSED), (5.25, D.PAUSED)]
    assert rows() == [(1, D.STARTED), (2.25, D.STARTED), *paused, (6.25, D.STARTED)]
    assert Tick.objects.get(due_at=at(3.25)).reason == "Paused by ann: the store moves."
    assert PeriodicTask.objects.get().enabled


def replaced(schedule: Schedule, **facts: Any) -> Wanted:
    return replace(wanted_of(schedule), **facts)


def test_an_edit_of_its_note_or_policy_leaves_its_due_times_alone(pipeline: Pipeline, leader: Leader) -> None:
    schedule = hourly(pipeline, rule=Every(3600, START))
    edit(schedule, replaced(schedule, note="for the board", missed=Missed.ALL), at=at(0.5))
    assert schedule.counts_since == START and schedule.note == "for the board" and schedule.missed == Missed.ALL
    look(leader, 1)
    assert rows() == [(1, D.STARTED)]


def test_a_pause_with_an_end_ends_by_itself(pipeline: Pipeline, leader: Leader) -> None:
    schedule = hourly(pipeline)
    pause(schedule, at=at(0.5), by="ann", until=at(2.5))
    look(leader, 1)
    look(leader, 3.5)
    schedule.refresh_from_db()
    assert rows() == [(1, D.PAUSED), (2, D.PAUSED), (3, D.MADE_UP)] and schedule.paused_since is None
    assert PeriodicTask.objects.get().enabled


def test_a_pause_that_comes_between_the_decision_and_the_start_wins(pipeline: Pipeline, leader: Leader) -> None:
    schedule = hourly(pipeline)
    decide(leader, at(1))
    pause(schedule, at=at(1), by="ann")
    begin(Tick.objects.get().pk, at(1))
    assert rows() == [(1, D.PAUSED)] and not Run.objects.exists()


def test_a_pause_that_comes_while_the_run_is_planned_wins_too(pipeline: Pipeline, leader: Leader) -> None:
    schedule = hourly(pipeline)
    decide(leader, at(1))
    tick = Tick.objects.select_related("schedule__pipeline__project", "schedule__periodic_task").get()
    known = Tick.objects.get(pk=tick.pk)  # as the worker has read it
    pause(schedule, at=at(1), by="ann")
    with pytest.raises(SchedulePaused, match="Paused by ann"):
        launch(order_of(tick, pipeline, at(1)), at=at(1))
    assert not Run.objects.exists() and known.decision == D.DUE


def test_what_a_leader_decides_after_another_took_over_is_refused(pipeline: Pipeline) -> None:
    now = [0.0]
    first, second = (Leader(name, lambda: now[0]) for name in ("first", "second"))
    hourly(pipeline)
    assert first.turn(START) and not second.turn(START)
    now[0] += LEASE_SECONDS - 0.1
    assert not second.turn(at(1))
    now[0] += 0.2
    assert second.turn(at(1)), "the first is stopped"
    with pytest.raises(LeadLost):
        decide(first, at(1))
    assert rows() == [] and Schedule.objects.get().next_due_at == at(1)
    assert decide(second, at(1)) == 1 and Tick.objects.get().token == 2
    assert not first.turn(at(1)) and Lead.objects.get().holder == "second"


def test_a_leader_that_goes_on_keeps_the_lead_and_one_that_ends_leaves_it_at_once(db: None) -> None:
    now = [0.0]
    first, second = (Leader(name, lambda: now[0]) for name in ("first", "second"))
    first.turn(START)
    for _ in range(10):
        now[0] += 1
        assert first.turn(START) and not second.turn(START)
    first.give_back()
    assert second.turn(START)


def led_by(mark: str) -> None:
    """A beat whose process has this mark took the lead."""
    assert Lead.objects.ticks().take("other@here", START, process=mark)


def test_a_leader_that_dies_on_the_same_machine_is_followed_at_once(db: None) -> None:
    other = subprocess.Popen([sys.executable, "-c", "from jobs.steps import pulse; print(pulse.mark()); input()"],
                             cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True)  # fmt: skip
    assert other.stdout
    led_by(other.stdout.readline().strip())
    second = Leader("second@here")
    assert not second.turn(START) and not second.turn(START), "it lives"
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # dead, though nobody has asked for its end yet
    assert second.turn(START) and Lead.objects.get().token == 2
    other.communicate()
    assert second.turn(START) and not Leader("third@here").turn(START)


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("another machine's", "another-boot pid:[4026531836] 1 1"),
        ("one that told none", ""),
        ("one that is not ours", pulse.mark().rpartition(" ")[0].rpartition(" ")[0] + " 1 " + pulse.began(1)),
    ],
)
def test_a_leader_of_which_this_machine_knows_nothing_has_its_lease(db: None, name: str, mark: str) -> None:
    now = [0.0]
    led_by(mark)
    second = Leader("second@here", lambda: now[0])
    assert not second.turn(START) and not second.turn(START), name
    now[0] += LEASE_SECONDS
    assert second.turn(START)


def test_the_mark_of_an_earlier_leader_says_nothing_of_one_that_leaves_none(db: None) -> None:
    dead = pulse.mark().rpartition(" ")[0] + " 1"
    led_by(dead)
    Lead.objects.update(token=F("token") + 1, turns=F("turns") + 1, holder="earlier version@here")
    assert not Leader("second@here").turn(START)
    Lead.objects.update(mark=f"{Lead.objects.get().token} {dead}")
    assert Leader("second@here").turn(START), "its number is another's by now"


def test_a_message_that_comes_twice_or_is_lost_starts_one_run(pipeline: Pipeline, leader: Leader) -> None:
    hourly(pipeline)
    decide(leader, at(1))
    tick = Tick.objects.get()
    assert tell_unheard(at(1) + timedelta(seconds=6)) in (0, 1)  # the broker of the tests may be away
    assert begin(tick.pk, at(1)) and begin(tick.pk, at(1)) is None
    assert Run.objects.count() == 1


def test_a_schedules_own_overlap_policy_comes_before_its_pipelines(pipeline: Pipeline, leader: Leader) -> None:
    hourly(pipeline, overlap=Overlap.SKIP)
    look(leader, 1)
    look(leader, 2)
    first, second = Tick.objects.order_by("due_at")
    assert (first.decision, second.decision, second.run) == (D.STARTED, D.SKIPPED, None)
    assert second.reason == f"Not started: run #{first.run_id} of the same pipeline is queued, policy: skip."
    assert Run.objects.count() == 1


def test_one_that_waits_by_its_own_policy_waits(pipeline: Pipeline, leader: Leader) -> None:
    hourly(pipeline, overlap=Overlap.WAIT)
    look(leader, 1)
    look(leader, 2)
    first, second = Run.objects.order_by("pk")
    assert second.waits_for == first and second.wait_reason.endswith("policy: wait")


def test_the_date_of_the_due_time_goes_into_the_parameter_that_the_schedule_names(
    pipeline: Pipeline, leader: Leader
) -> None:
    hourly(pipeline, rule=Once(at(23)), zone="Europe/Berlin", date_parameter=("options", "day"))
    look(leader, 23)
    run = Tick.objects.get().run
    assert run and run.parameters == {"options": {"day": "2026-03-03"}}


def test_what_cannot_start_leaves_a_sentence(pipeline: Pipeline, leader: Leader) -> None:
    schedule = hourly(pipeline)
    Pipeline.objects.update(is_registered=False)
    look(leader, 1)
    assert Tick.objects.get().decision == D.REFUSED and "no longer exists" in Tick.objects.get().reason
    Pipeline.objects.update(is_registered=True)
    Schedule.objects.update(parameters={"colour": "red"})
    look(leader, 2)
    newest = Tick.objects.newest()[0]
    assert newest.decision == D.REFUSED and newest.reason.startswith("colour: ")
    assert Tick.objects.troubled().count() == 2
    dismiss(newest, at=at(2), by="ann")
    assert Tick.objects.troubled().count() == 1
    assert schedule.ticks.count() == 2 and not Run.objects.exists()


def test_a_rule_that_nobody_can_count_stands_in_nobodys_way(pipeline: Pipeline, leader: Leader) -> None:
    broken = hourly(pipeline)
    Schedule.objects.filter(pk=broken.pk).update(zone="Mars/Olympus")
    create(Wanted(name="other", pipeline=pipeline, rule=Cron("0 * * * *"), zone="UTC"), at=START)
    look(leader, 1)
    assert {(tick.schedule.name, tick.decision) for tick in Tick.objects.all()} == {
        ("hourly", D.REFUSED),
        ("other", D.STARTED),
    }


def test_people_start_it_now_and_make_up_for_what_was_missed(pipeline: Pipeline, leader: Leader) -> None:
    schedule = hourly(pipeline, missed=Missed.NOTHING)
    look(leader, 1.5)
    missed = Tick.objects.get()
    run = make_up(missed, at=at(2), by=None, by_name="ann")
    missed.refresh_from_db()
    assert (missed.decision, missed.run, run.due_at, run.cause) == (D.MADE_UP, run, at(1), Cause.MANUAL)
    with pytest.raises(IllegalMove):
        make_up(missed, at=at(2), by=None)
    assert run_now(schedule, at=at(2), by=None, by_name="ann").due_at is None
    Schedule.objects.update(pipeline=None)
    schedule.refresh_from_db()
    with pytest.raises(RequestError, match="starts no pipeline that is known"):
        run_now(schedule, at=at(2), by=None)


def test_without_workers_for_hours_the_policy_counts_too(pipeline: Pipeline, leader: Leader) -> None:
    hourly(pipeline)
    for hour in range(1, 6):
        decide(leader, at(hour))
    look(leader, 5.5)
    assert rows() == [*[(hour, D.MISSED) for hour in range(1, 5)], (5, D.STARTED)]
    assert "No worker was there" in Tick.objects.order_by("due_at")[0].reason


def test_a_spread_delays_the_start_and_not_the_due_time(pipeline: Pipeline, leader: Leader) -> None:
    schedule = hourly(pipeline, jitter_seconds=1_800)
    starts = schedule.next_look_at
    assert starts and at(1) < starts < at(1.5)
    assert decide(leader, starts - timedelta(seconds=1)) == 0 and decide(leader, starts) == 1
    assert rows() == [(1, D.DUE)]


def test_begin_end_and_only_once(pipeline: Pipeline, leader: Leader) -> None:
    hourly(pipeline, begins_at=at(2), ends_at=at(4))
    for hour in range(1, 8):
        look(leader, hour)
    assert rows() == [(2, D.STARTED), (3, D.STARTED)] and Schedule.objects.get().is_over
    create(Wanted(name="once", pipeline=pipeline, rule=Once(at(9)), zone="UTC"), at=at(8))
    create(Wanted(name="first", pipeline=pipeline, rule=Cron("30 * * * *"), zone="UTC", is_once=True), at=at(8))
    for hour in (8.5, 9, 9.5, 10):
        look(leader, hour)
    assert rows()[2:] == [(8.5, D.STARTED), (9, D.STARTED)]


def test_a_schedule_of_the_sun_is_decided_missed_and_made_up_for_like_any_other(
    pipeline: Pipeline, leader: Leader
) -> None:
    """In Tromsø the sun rises on each day of March; on one of the last days of May it does not."""
    schedule = hourly(pipeline, Sun("sunrise", 69.65, 18.96), missed=Missed.NEWEST)
    wanted = list(dues(Sun("sunrise", 69.65, 18.96), ZoneInfo("UTC"), at(0), at(24 * 7)))
    for due in wanted[:4]:
        decide(leader, due)
        begin(Tick.objects.get(due_at=due).pk, due)
    look(leader, 24 * 7)
    assert list(Tick.objects.order_by("due_at").values_list("due_at", flat=True)) == wanted
    assert [decision for _, decision in rows()] == [D.STARTED] * 4 + [D.MISSED] * (len(wanted) - 5) + [D.MADE_UP]
    assert Run.objects.count() == 5
    schedule.refresh_from_db()
    summer = datetime(2026, 6, 1, tzinfo=UTC)
    assert next_dues(schedule, 1, summer)[0] > datetime(2026, 7, 15, tzinfo=UTC)


def test_what_was_due_a_moment_before_a_change_says_so_and_does_not_blame_the_scheduler(
    pipeline: Pipeline, leader: Leader
) -> None:
    schedule = hourly(pipeline)
    edit(schedule, replace(wanted_of(schedule), rule=Cron("30 * * * *")), at=at(1.001))
    pause(schedule, at=at(3), by="ann")
    assert list(Tick.objects.order_by("due_at").values_list("due_at", "decision", "reason")) == [
        (at(1), D.MISSED, "The schedule was changed a moment later, before this due time was decided."),
        (at(1.5), D.MISSED, "The scheduler was down, and then the schedule was changed."),
        (at(2.5), D.MISSED, "The scheduler was down, and then the schedule was changed."),
    ]
    assert not Run.objects.exists()


def test_of_two_who_change_one_schedule_neither_undoes_the_other(pipeline: Pipeline) -> None:
    """Each saw it as it was before both: one writes a note, one a rule, one pauses it."""
    hourly(pipeline)
    first, second, third = (Schedule.objects.known().get() for _ in range(3))
    edit(first, replace(wanted_of(first), note="ours", missed_most=3), at=at(1.2))
    pause(third, at=at(1.3), by="ann")
    edit(second, replace(wanted_of(second), rule=Cron("30 * * * *")), at=at(1.4))
    now = Schedule.objects.known().get()
    assert (now.note, now.missed_most, now.rule["text"]) == ("ours", 3, "30 * * * *")
    assert now.is_paused(at(1.5)) and not PeriodicTask.objects.get().enabled
    with pytest.raises(BadParameters):
        edit(first, replace(wanted_of(first), ends_at=at(2), begins_at=at(3)), at=at(2))
