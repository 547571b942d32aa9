"""A schedule and its periodic task say the same, and what an earlier version left is taken over without a gap."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.errors import BadParameters
from jobs.models import Pipeline, Run, Schedule, Tick
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.schedules.decide import decide
from jobs.schedules.due import counted, next_fires, rule_of
from jobs.schedules.dues import AtTimes, Cron, Days, Every, Once, last_due
from jobs.schedules.edit import Wanted, create, delete, edit, wanted_of
from jobs.schedules.lead import Leader
from jobs.schedules.mirror import NOBODY, adopt_all
from jobs.schedules.schedules import START, asked, wish
from jobs.schedules.start import begin, start_scheduled
from jobs.states import Cause, TickDecision
from tests.admin.rows import make_crontab
from tests.factories import make_pipeline
from tests.moments import at_moment

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
UTC_ZONE = ZoneInfo("UTC")
ANY_DAY = AtTimes((time(6), time(18, 30)), Days(weekdays=frozenset({1, 5})))


@pytest.fixture
def pipeline(db: None) -> Pipeline:
    return make_pipeline()


def wanted(start: Pipeline, **facts: Any) -> Wanted:
    return Wanted(**{"name": "s", "pipeline": start, "rule": Cron("0 6 * * *"), "zone": "Europe/Berlin", **facts})


def test_what_is_made_here_is_seen_in_the_admin(pipeline: Pipeline) -> None:
    schedule = create(wanted(pipeline, parameters={"options": {"top": 2}}, note="for the board"), at=NOW)
    task = schedule.periodic_task
    assert (task.task, task.name, task.description, task.enabled) == (START, "s", "for the board", True)
    assert asked(task) == (pipeline.pk, {"options": {"top": 2}})
    assert (task.crontab.hour, str(task.crontab.timezone)) == ("6", "Europe/Berlin")
    assert next_fires(task, NOW, 1) == [datetime(2026, 3, 3, 5, tzinfo=UTC)]


def test_what_is_edited_in_the_admin_is_edited_here(pipeline: Pipeline) -> None:
    schedule = create(wanted(pipeline), at=NOW)
    other, task = make_pipeline("other"), PeriodicTask.objects.get()
    task.kwargs, task.crontab = wish(other, {"dry": True}), make_crontab("15", "7", "UTC")
    with at_moment(NOW + MINUTE):
        task.save()
    schedule.refresh_from_db()
    assert (schedule.pipeline, schedule.parameters, schedule.zone) == (other, {"dry": True}, "UTC")
    assert rule_of(schedule) == Cron("15 7 * * *") and schedule.counts_since == NOW + MINUTE
    task.enabled = False
    task.save()
    schedule.refresh_from_db()
    assert schedule.paused_since and schedule.paused_by == NOBODY
    task.task = "celery.backend_cleanup"
    task.save()
    assert not Schedule.objects.exists()


def test_a_rule_that_the_admin_has_no_words_for_stays_until_its_time_is_edited_there(pipeline: Pipeline) -> None:
    schedule = create(wanted(pipeline, rule=ANY_DAY), at=NOW)
    task = PeriodicTask.objects.get()
    assert (task.crontab.hour, task.crontab.minute, task.crontab.day_of_week) == ("6,18", "0,30", "1,5")
    task.description, task.kwargs = "edited", wish(pipeline, {"dry": True})
    task.save()
    schedule.refresh_from_db()
    assert rule_of(schedule) == ANY_DAY and schedule.parameters == {"dry": True}
    task.crontab = make_crontab("0", "9")
    task.save()
    schedule.refresh_from_db()
    assert rule_of(schedule) == Cron("0 9 * * *")


def test_a_shared_rule_that_is_edited_is_edited_for_all(pipeline: Pipeline) -> None:
    first, second = (create(wanted(pipeline, name=name), at=NOW) for name in "ab")
    rule = CrontabSchedule.objects.get()
    rule.hour = "9"
    rule.save()
    for schedule in (first, second):
        schedule.refresh_from_db()
        assert rule_of(schedule) == Cron("0 9 * * *") and schedule.counts_since > NOW


@pytest.mark.parametrize(
    ("facts", "field", "sentence"),
    [
        ({"name": " "}, "name", "Give it a name."),
        ({"name": "taken"}, "name", "Another schedule has this name."),
        ({"zone": "Europe/Berln"}, "zone", "Did you mean Europe/Berlin"),
        ({"rule": None}, "rule", "Say when it is due."),
        ({"rule": Once(NOW)}, "rule", "This time has passed"),
        ({"rule": Cron("0 6 31 2 *")}, "rule", "No such time ever comes."),
        ({"ends_at": NOW, "begins_at": NOW}, "ends_at", "It ends before it begins."),
        ({"pipeline": None}, "pipeline", "Choose the pipeline"),
        ({"parameters": {"colour": 1}}, "parameters", "colour: "),
        ({"selection": {"tag": ["x"]}}, "selection", "tag: "),
        ({"overlap": "maybe"}, "overlap", "both, wait, skip, cancel"),
        ({"missed": "some"}, "missed", "nothing, newest, all"),
        ({"missed_most": 0}, "missed_most", "from 1"),
        ({"jitter_seconds": 10**9}, "jitter_seconds", "86,400"),
        ({"date_parameter": ("",)}, "date_parameter", "keys"),
    ],
)
def test_nothing_wrong_is_kept(pipeline: Pipeline, facts: dict[str, Any], field: str, sentence: str) -> None:
    create(wanted(pipeline, name="taken"), at=NOW)
    with pytest.raises(BadParameters) as caught:
        create(wanted(pipeline, **facts), at=NOW)
    assert list(caught.value.fields) == [field] and sentence in caught.value.fields[field]
    assert Schedule.objects.count() == PeriodicTask.objects.count() == 1


def test_one_that_is_over_may_be_renamed_and_deleted(pipeline: Pipeline) -> None:
    schedule = create(wanted(pipeline, rule=Once(NOW + MINUTE)), at=NOW)
    later = NOW + timedelta(days=1)
    edit(schedule, replace(wanted_of(schedule), name="renamed"), at=later)
    assert schedule.name == "renamed" and schedule.counts_since == NOW
    delete(schedule)
    assert not PeriodicTask.objects.exists() and not Schedule.objects.exists()


# ---- from an earlier version


def old(name: str, pipeline: Pipeline, **facts: Any) -> PeriodicTask:
    """As the last release left it: a periodic task alone."""
    given = {"task": START, "kwargs": wish(pipeline, {"dry": True}), "date_changed": NOW - timedelta(days=9), **facts}
    return PeriodicTask(name=name, **given)


def kept(*tasks: PeriodicTask) -> None:
    with at_moment(NOW - timedelta(days=9)):
        PeriodicTask.objects.bulk_create(tasks)  # tells nobody


def hourly() -> IntervalSchedule:
    return IntervalSchedule.objects.get_or_create(every=1, period="hours")[0]


def test_each_kind_is_taken_over_as_beat_has_counted_it(pipeline: Pipeline) -> None:
    sent = NOW - 20 * MINUTE
    once = ClockedSchedule.objects.create(clocked_time=NOW + MINUTE)
    kept(
        old("daily", pipeline, crontab=make_crontab("0", "6", "Europe/Berlin"), last_run_at=sent),
        old("last", pipeline, crontab=make_crontab("0", "6", day_of_month="28-31"), last_run_at=sent),
        old("every", pipeline, interval=hourly(), last_run_at=sent),
        old("once", pipeline, clocked=once, one_off=True),
        old("gone", pipeline, interval=hourly(), one_off=True, total_run_count=1, last_run_at=sent),
        old("off", pipeline, interval=hourly(), enabled=False),
        old("placed", pipeline, interval=hourly(), kwargs="{}", args=json.dumps([pipeline.pk, {"dry": False}])),
        old("typed wrong", pipeline, interval=hourly(), kwargs="nonsense"),
    )
    with_last_day = {**json.loads(wish(pipeline, {})), "last_day": True, "since": sent.isoformat()}
    PeriodicTask.objects.filter(name="last").update(kwargs=json.dumps(with_last_day))
    assert adopt_all(NOW) == 8 and adopt_all(NOW) == 0
    there = {schedule.name: schedule for schedule in Schedule.objects.known()}
    assert rule_of(there["last"]) == Cron("0 6 L * *") and there["last"].counts_since == sent
    assert rule_of(there["every"]) == Every(3600, sent) and there["every"].next_due_at == sent + 60 * MINUTE
    assert rule_of(there["once"]) == Once(NOW + MINUTE) and there["once"].next_due_at == NOW + MINUTE
    assert there["gone"].is_over and there["off"].is_paused(NOW) and not there["daily"].is_paused(NOW)
    assert there["daily"].zone == "Europe/Berlin" and there["daily"].parameters == {"dry": True}
    assert there["placed"].parameters == {"dry": False} and there["typed wrong"].pipeline is None


def earlier(task: PeriodicTask, pipeline: Pipeline, due: datetime) -> Run:
    """What a worker of the last release makes of a due time."""
    key = f"schedule:{task.pk}:{pipeline.pk}:{due.isoformat() if task.crontab_id else f'after-{due:%H%M%S}'}"
    return launch(Order(pipeline, Cause.SCHEDULE, idempotency_key=key, cause_detail=task.name), at=due)


@pytest.mark.parametrize("seed", range(3))
def test_thirty_schedules_are_taken_over_while_the_old_beat_still_ticks(pipeline: Pipeline, seed: int) -> None:
    """Old and new decide the same due times for a while, in any order; each has one run, and none is left out."""
    Pipeline.objects.update(locks_outputs=False)
    start = NOW - timedelta(hours=2)
    kept(
        *(old(f"cron {n}", pipeline, crontab=make_crontab(f"{n},{n + 30}", "*"), last_run_at=start) for n in range(15)),
        *(old(f"every {n}", pipeline, interval=hourly(), last_run_at=start + n * MINUTE) for n in range(15)),
    )
    tasks = list(PeriodicTask.objects.order_by("pk"))
    adopt_all(NOW - 90 * MINUTE)
    leader = Leader("new")
    leader.turn(NOW - 90 * MINUTE)
    for minute in range(90):
        at = NOW - (90 - minute) * MINUTE
        is_old_first = (minute + seed) % 2 == 0
        if not is_old_first:
            new_beat(leader, at)
        for task in tasks:
            if minute < 60 and (due := due_now(task, at)):
                if (minute + task.pk + seed) % 3:
                    earlier(task, pipeline, due) if is_old_first else None  # an old worker hears of it
                else:
                    start_scheduled(pipeline.pk, {}, task.name, at + timedelta(milliseconds=80))  # a new one does
        if is_old_first:
            new_beat(leader, at)
    for schedule in Schedule.objects.known():
        wanted_dues = [due for due in _until(schedule, NOW - MINUTE) if due > NOW - 90 * MINUTE]
        ticks = list(schedule.ticks.filter(due_at__gt=NOW - 90 * MINUTE).order_by("due_at"))
        assert [tick.due_at for tick in ticks] == wanted_dues
        runs = [tick.run_id for tick in ticks]
        assert None not in runs and len(set(runs)) == len(runs) and len(runs) >= 1
    assert not Run.objects.filter(ticks=None).exists() and not Tick.objects.waiting().exists()


def new_beat(leader: Leader, at: datetime) -> None:
    decide(leader, at)
    for tick in Tick.objects.waiting():
        begin(tick.pk, at)


def due_now(task: PeriodicTask, at: datetime) -> datetime | None:
    """Whether an old beat sends it now."""
    schedule = task.console_schedule
    rule = rule_of(schedule)
    due = last_due(rule, UTC_ZONE, at) if rule else None
    return due if due == at else None


def _until(schedule: Schedule, end: datetime) -> list[datetime]:
    found = []
    for due in counted(schedule, schedule.counts_since):
        if due > end:
            break
        found.append(due)
    return found


def test_the_one_that_an_old_worker_started_is_kept_as_had_started_already(pipeline: Pipeline) -> None:
    kept(old("daily", pipeline, crontab=make_crontab("30", "12"), last_run_at=NOW - timedelta(hours=24)))
    adopt_all(NOW)
    run = earlier(PeriodicTask.objects.get(), pipeline, NOW + 30 * MINUTE)
    leader = Leader("new")
    leader.turn(NOW)
    new_beat(leader, NOW + 30 * MINUTE)
    tick = Tick.objects.get(due_at=NOW + 30 * MINUTE)
    assert (tick.decision, tick.run) == (TickDecision.DUPLICATE, run)


@pytest.mark.parametrize("kind", ["cron", "every"])
def test_what_an_old_beat_started_while_no_new_one_led_is_not_told_as_missed(pipeline: Pipeline, kind: str) -> None:
    rule = {"crontab": make_crontab("*", "*")} if kind == "cron" else {"interval": every_minute()}
    kept(old("often", pipeline, **rule, last_run_at=NOW))
    Pipeline.objects.update(locks_outputs=False)
    adopt_all(NOW)
    task = PeriodicTask.objects.get()
    runs = [earlier(task, pipeline, NOW + minute * MINUTE) for minute in (1, 2, 4, 5)]
    leader = Leader("new")
    leader.turn(NOW + 5 * MINUTE)
    new_beat(leader, NOW + 5 * MINUTE)
    ticks = {tick.due_at: tick for tick in Tick.objects.all()}
    assert [ticks[NOW + minute * MINUTE].run for minute in (1, 2, 4, 5)] == runs
    assert ticks[NOW + 3 * MINUTE].decision == TickDecision.MISSED
    assert Run.objects.count() == len(runs)


def every_minute() -> IntervalSchedule:
    return IntervalSchedule.objects.get_or_create(every=60, period="seconds")[0]
