"""Beat counts due times as everybody does, writes only what is its own, and goes on when its database was away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
import time_machine
from django.db import OperationalError, connection
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from console.beat import AGAIN_SECONDS, STAND_BY_SECONDS, Entry, PatientScheduler
from console.celery import app
from jobs.schedules.ticker import Ticker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hourly() -> PeriodicTask:
    hour = IntervalSchedule.objects.create(every=1, period="hours")
    return PeriodicTask.objects.create(name="hourly", task="jobs.nothing", interval=hour)


@pytest.fixture
def scheduler(hourly: PeriodicTask) -> Iterator[PatientScheduler]:
    """It sends nothing: all that matters here is what it knows."""
    made = PatientScheduler(app=app, lazy=True)
    made.apply_entry = lambda entry, producer=None: None
    made.ticker = Leads()
    yield made
    made._dirty.clear()


class Leads(Ticker):
    """It leads, and has nothing to decide."""

    is_leading = True

    def is_alive(self) -> bool:
        return True


def test_a_tick_without_a_database_is_followed_by_one_that_reads_everything(
    scheduler: PatientScheduler, hourly: PeriodicTask
) -> None:
    scheduler.tick()
    PeriodicTask.objects.create(name="new", task="jobs.nothing", interval=hourly.interval)
    PeriodicTasks.update_changed()
    with patch.object(PatientScheduler, "all_as_schedule", side_effect=OperationalError("the connection is closed")):
        assert scheduler.tick() == AGAIN_SECONDS
    scheduler.tick()
    assert {"hourly", "new"} <= set(scheduler.schedule)
    assert "new" in {event.entry.name for event in scheduler._heap}


def test_a_first_tick_without_a_database_loses_nothing(scheduler: PatientScheduler) -> None:
    with patch.object(PatientScheduler, "all_as_schedule", side_effect=OperationalError("starting up")):
        assert scheduler.tick() == AGAIN_SECONDS
    scheduler.tick()
    assert "hourly" in {event.entry.name for event in scheduler._heap}


@pytest.mark.skipif(connection.vendor == "sqlite", reason="an embedded database has no sessions to lose")
def test_what_could_not_be_written_down_is_written_later(scheduler: PatientScheduler, hourly: PeriodicTask) -> None:
    entry = scheduler.schedule["hourly"]
    scheduler._schedule["hourly"] = entry.__next__()
    scheduler._dirty.add("hourly")
    connection.ensure_connection()
    with patch("django_celery_beat.schedulers.close_old_connections"):
        connection.connection.close()
        scheduler.sync()
    assert scheduler._dirty == {"hourly"}
    scheduler.sync()
    hourly.refresh_from_db()
    assert scheduler._dirty == set() and hourly.total_run_count == 1


def test_a_pause_is_not_undone_by_what_beat_writes_down(scheduler: PatientScheduler, hourly: PeriodicTask) -> None:
    scheduler._schedule["hourly"] = scheduler.schedule["hourly"].__next__()
    scheduler._dirty.add("hourly")
    row = PeriodicTask.objects.get()
    row.enabled = False
    row.save()
    scheduler.sync()
    assert not PeriodicTask.objects.get().enabled


def test_beat_writes_down_when_it_sent_and_changes_nothing_else(
    scheduler: PatientScheduler, hourly: PeriodicTask
) -> None:
    scheduler._schedule["hourly"] = scheduler.schedule["hourly"].__next__()
    scheduler._dirty.add("hourly")
    PeriodicTask.objects.update(description="edited meanwhile")
    scheduler.sync()
    row = PeriodicTask.objects.get()
    assert (row.total_run_count, row.description) == (1, "edited meanwhile") and row.last_run_at is not None
    assert row.date_changed == hourly.date_changed


def entry_of(zone: str = "Europe/Berlin", last: str = "2026-10-25 00:01", **fields: str) -> Entry:
    rule = CrontabSchedule.objects.create(timezone=zone, **fields)
    row = PeriodicTask.objects.create(
        name="cron", task="jobs.nothing", crontab=rule, last_run_at=datetime.fromisoformat(f"{last}+00:00")
    )
    return Entry(row, app)


def test_every_five_minutes_is_due_in_both_hours_of_the_same_name() -> None:
    entry = entry_of(minute="*/5")
    with time_machine.travel(datetime(2026, 10, 25, 1, 6, tzinfo=UTC), tick=False):  # 02:06 for the second time
        entry.last_run_at = datetime(2026, 10, 25, 1, 1, tzinfo=UTC)
        assert entry.is_due() == (True, 240.0)


def test_a_time_that_comes_twice_is_sent_once() -> None:
    entry = entry_of(minute="30", hour="2", last="2026-10-25 00:31")
    with time_machine.travel(datetime(2026, 10, 25, 1, 31, tzinfo=UTC), tick=False):
        found = entry.is_due()
    assert not found.is_due and found.next == 24 * 3600 - 60


def test_a_time_that_is_left_out_is_sent_at_the_first_moment_after() -> None:
    entry = entry_of(minute="30", hour="2", last="2027-03-28 00:00")
    with time_machine.travel(datetime(2027, 3, 28, 1, 0, tzinfo=UTC), tick=False):
        assert entry.is_due().is_due


def test_a_schedule_for_one_time_switches_itself_off_and_keeps_what_was_edited(hourly: PeriodicTask) -> None:
    PeriodicTask.objects.update(one_off=True, total_run_count=1)
    entry = Entry(PeriodicTask.objects.get(), app)
    PeriodicTask.objects.update(description="edited meanwhile")
    assert not entry.is_due().is_due
    row = PeriodicTask.objects.get()
    assert (row.enabled, row.total_run_count, row.description) == (False, 0, "edited meanwhile")


def test_a_beat_that_takes_over_reads_all_again(scheduler: PatientScheduler) -> None:
    scheduler.tick()
    Leads.is_leading = False
    try:
        assert scheduler.tick() == STAND_BY_SECONDS
        PeriodicTask.objects.filter(name="hourly").update(name="renamed")
        Leads.is_leading = True
        scheduler.tick()
    finally:
        Leads.is_leading = True
    assert "renamed" in {event.entry.name for event in scheduler._heap}


def test_what_starts_a_pipeline_is_not_sent_by_beat(scheduler: PatientScheduler, hourly: PeriodicTask) -> None:
    PeriodicTask.objects.create(name="nightly", task="jobs.start", interval=hourly.interval)
    scheduler.tick()
    assert "hourly" in scheduler.schedule and "nightly" not in scheduler.schedule
