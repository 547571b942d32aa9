"""What an earlier version's beat asks for: each due time starts one run, however often and late that comes."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django_celery_beat.models import ClockedSchedule, IntervalSchedule, PeriodicTask

from jobs.errors import RequestError
from jobs.models import Pipeline, Run, Schedule, Snapshot, Tick
from jobs.schedules.due import in_words, next_fires, schedule_of
from jobs.schedules.schedules import asked, wish
from jobs.schedules.start import start_scheduled
from jobs.states import Cause, TickDecision
from tests.admin.rows import make_crontab
from tests.factories import content, make_pipeline
from tests.moments import at_moment


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def pipeline(db: None) -> Pipeline:
    return make_pipeline()


def made(pipeline: Pipeline, name: str, **facts: Any) -> PeriodicTask:
    with at_moment(at("2026-02-01 00:00")):
        schedule: PeriodicTask = PeriodicTask.objects.create(
            **{"name": name, "task": "jobs.start", "kwargs": wish(pipeline, {}), **facts}
        )
    return schedule


def daily(pipeline: Pipeline, hour: str = "3", minute: str = "0", zone: str = "UTC", **facts: str) -> PeriodicTask:
    return made(pipeline, "daily", crontab=make_crontab(minute, hour, zone, **facts))


def every(pipeline: Pipeline, count: int, period: str) -> PeriodicTask:
    return made(pipeline, "often", interval=IntervalSchedule.objects.create(every=count, period=period))


def start(pipeline: Pipeline, name: str, when: str) -> Run:
    return start_scheduled(pipeline.pk, {}, name, at(when))


def test_the_run_tells_which_schedule_started_it(pipeline: Pipeline) -> None:
    made(pipeline, "daily", crontab=make_crontab("0", "3"), kwargs=wish(pipeline, {"options": {"top": 3}}))
    run = start_scheduled(pipeline.pk, {"of": "an old message"}, "daily", at("2026-03-02 03:00:00"))
    assert (run.cause, run.cause_detail, run.parameters) == (Cause.SCHEDULE, "daily", {"options": {"top": 3}})
    assert run.created_at == at("2026-03-02 03:00:00")


def test_a_slot_that_is_fired_twice_starts_one_run(pipeline: Pipeline) -> None:
    daily(pipeline)
    first = start(pipeline, "daily", "2026-03-02 03:00:00.02")
    again = start(pipeline, "daily", "2026-03-02 03:02:59")
    assert again == first
    assert start(pipeline, "daily", "2026-03-03 03:00:00") != first
    assert Run.objects.count() == 2


def test_a_slot_that_is_caught_up_hours_late_is_still_that_slot(pipeline: Pipeline) -> None:
    daily(pipeline)
    late = start(pipeline, "daily", "2026-03-02 09:00:00")
    assert start(pipeline, "daily", "2026-03-03 01:00:00") == late  # beat's second thought after an outage
    assert start(pipeline, "daily", "2026-03-03 03:00:00") != late


def test_a_clock_that_is_a_second_behind_does_not_lose_the_slot(pipeline: Pipeline) -> None:
    daily(pipeline)
    yesterday = start(pipeline, "daily", "2026-03-01 03:00:00")
    assert start(pipeline, "daily", "2026-03-02 02:59:59") != yesterday


def test_messages_that_waited_for_a_worker_become_one_run(pipeline: Pipeline) -> None:
    daily(pipeline, hour="*")
    runs = {start(pipeline, "daily", f"2026-03-02 05:30:0{second}") for second in range(4)}
    assert len(runs) == 1


def test_an_interval_starts_a_run_each_time_and_none_for_an_echo(pipeline: Pipeline) -> None:
    every(pipeline, 15, "minutes")
    first = start(pipeline, "often", "2026-03-02 03:07:59.9")
    echo = start(pipeline, "often", "2026-03-02 03:08:00.1")
    second = start(pipeline, "often", "2026-03-02 03:22:59.7")
    third = start(pipeline, "often", "2026-03-02 03:38:00.4")
    assert echo == first
    assert len({first, second, third}) == 3


def test_an_interval_goes_on_when_its_old_runs_were_deleted(pipeline: Pipeline) -> None:
    every(pipeline, 1, "hours")
    for hour in range(3):
        start(pipeline, "often", f"2026-03-02 0{hour}:00:00")
    Run.objects.order_by("id")[1].delete()
    Run.objects.order_by("id")[0].delete()
    start(pipeline, "often", "2026-03-02 03:00:00")
    Run.objects.all().delete()
    start(pipeline, "often", "2026-03-02 04:00:00")
    assert Run.objects.count() == 1


def test_a_schedule_that_is_given_another_name_or_pipeline_goes_on(pipeline: Pipeline) -> None:
    schedule = every(pipeline, 1, "hours")
    first = start(pipeline, "often", "2026-03-02 03:00:00")
    schedule.name = "renamed"
    edited(schedule, "2026-03-02 03:00:00.5")
    assert start(pipeline, "renamed", "2026-03-02 03:00:01") == first
    other = make_pipeline("__default__")
    schedule.kwargs = wish(other, {})
    edited(schedule, "2026-03-02 03:30:00")
    assert start(pipeline, "renamed", "2026-03-02 04:00:00").pipeline == other, "its row says which"


def edited(schedule: PeriodicTask, when: str) -> None:
    with at_moment(at(when)):
        schedule.save()


def test_a_schedule_for_one_time_starts_one_run(pipeline: Pipeline) -> None:
    rule = ClockedSchedule.objects.create(clocked_time=at("2026-03-02 03:00"))
    made(pipeline, "once", clocked=rule, one_off=True)
    assert start(pipeline, "once", "2026-03-02 03:00:01") == start(pipeline, "once", "2026-03-05 03:00:01")


@pytest.mark.django_db(transaction=True)
def test_two_beats_at_the_same_moment_start_one_run() -> None:
    pipeline = make_pipeline()
    daily(pipeline)
    every(pipeline, 10, "seconds")
    gate = threading.Barrier(4)
    made: list[tuple[str, int]] = []

    def fire(name: str) -> None:
        try:
            gate.wait(timeout=20)
            made.append((name, start(pipeline, name, "2026-03-02 03:00:00").pk))
        finally:
            connection.close()

    threads = [threading.Thread(target=fire, args=[name]) for name in ("daily", "daily", "often", "often")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(made) == 4
    assert len(set(made)) == 2
    assert Run.objects.count() == 2


def test_without_a_schedule_every_call_starts_a_run(pipeline: Pipeline) -> None:
    assert start(pipeline, "", "2026-03-02 03:00:00") != start(pipeline, "", "2026-03-02 03:00:00")


def test_a_schedule_that_was_deleted_starts_nothing_more(pipeline: Pipeline) -> None:
    with pytest.raises(RequestError, match="“daily” was deleted or renamed"):
        start(pipeline, "daily", "2026-03-02 03:00:00")


def test_a_schedule_of_a_pipeline_that_is_gone_says_so(pipeline: Pipeline) -> None:
    daily(pipeline)
    Schedule.objects.update(pipeline=None)
    assert start_scheduled(999, {}, "daily", at("2026-03-02 03:00:00")) is None
    assert "no longer exists" in Tick.objects.get(decision=TickDecision.REFUSED).reason
    with pytest.raises(RequestError, match="There is no pipeline 999"):
        start_scheduled(999, {}, "", at("2026-03-02 03:00:00"))


def test_parameters_that_the_project_no_longer_takes_start_nothing(pipeline: Pipeline) -> None:
    made(pipeline, "daily", crontab=make_crontab("0", "3"), kwargs=wish(pipeline, {"colour": "red"}))
    newer = content(parameters={"api_url": "x", "options": {"top": 1}, "dry": False})
    Snapshot.objects.create(project=pipeline.project, revision="2", content=newer, taken_at=at("2026-03-01 00:00"))
    assert start_scheduled(pipeline.pk, {}, "daily", at("2026-03-02 03:00:00")) is None
    assert "no parameter of this name" in Tick.objects.get(decision=TickDecision.REFUSED).reason
    assert not Run.objects.exists()


def test_deleting_a_project_takes_its_schedules_along(pipeline: Pipeline) -> None:
    daily(pipeline)
    cleanup = PeriodicTask.objects.create(
        name="cleanup", task="celery.backend_cleanup", interval=IntervalSchedule.objects.create(every=1, period="days")
    )
    pipeline.project.delete()
    assert list(PeriodicTask.objects.all()) == [cleanup]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"minute": "0", "hour": "6"}, "Every day at 06:00, UTC"),
        ({"minute": "*/15", "hour": "*"}, "Every 15 minutes, UTC"),
        ({"minute": "30", "hour": "18", "day_of_week": "mon-fri"}, "Monday to Friday at 18:30, UTC"),
    ],
)
def test_a_rule_reads_as_a_sentence(rule: dict[str, str], words: str, pipeline: Pipeline) -> None:
    assert in_words(schedule_of(daily(pipeline, **rule))) == words


def test_other_rules_read_as_sentences_too(pipeline: Pipeline) -> None:
    assert in_words(schedule_of(every(pipeline, 1, "hours"))) == "Every hour"
    once = PeriodicTask(name="x", clocked=ClockedSchedule(clocked_time=at("2026-03-02 03:00")))
    assert in_words(schedule_of(once)) == "Once, on Monday 2 March 2026 at 03:00, UTC"


def test_the_forecast_ends_where_the_schedule_does(pipeline: Pipeline) -> None:
    schedule = daily(pipeline)
    assert next_fires(schedule, at("2026-03-02 02:00"), 2) == [at("2026-03-02 03:00"), at("2026-03-03 03:00")]
    schedule.start_time = at("2026-04-01 12:00")
    edited(schedule, "2026-03-02 02:00")
    assert next_fires(schedule, at("2026-03-02 02:00"), 1) == [at("2026-04-02 03:00")]
    schedule.one_off = True
    edited(schedule, "2026-03-02 02:00")
    assert len(next_fires(schedule, at("2026-03-02 02:00"), 5)) == 1
    schedule.enabled = False
    edited(schedule, "2026-03-02 02:00")
    assert next_fires(schedule, at("2026-03-02 02:00"), 5) == []


def test_an_interval_is_forecast_from_where_it_counts(pipeline: Pipeline) -> None:
    schedule = every(pipeline, 15, "minutes")
    fires = next_fires(schedule, at("2026-03-02 03:05"), 2)
    assert fires == [at("2026-03-02 03:15"), at("2026-03-02 03:30")]


@pytest.mark.parametrize("kwargs", ["", "[]", "{}", "not json", '{"pipeline_id": "x"}', '{"pipeline_id": null}'])
def test_a_row_with_nonsense_in_it_asks_for_no_pipeline(kwargs: str) -> None:
    assert asked(PeriodicTask(task="jobs.start", kwargs=kwargs)) == (None, {})
