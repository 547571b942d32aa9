"""Beat goes on when its database was away."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from console.beat import AGAIN_SECONDS, PatientScheduler
from console.celery import app

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hourly() -> PeriodicTask:
    hour = IntervalSchedule.objects.create(every=1, period="hours")
    return PeriodicTask.objects.create(name="hourly", task="jobs.nothing", interval=hour)


@pytest.fixture
def scheduler(hourly: PeriodicTask) -> PatientScheduler:
    """It sends nothing: all that matters here is what it knows."""
    made = PatientScheduler(app=app, lazy=True)
    made.apply_entry = lambda entry, producer=None: None
    return made


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
