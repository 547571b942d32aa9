"""The next times at which schedules start something."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django_celery_beat.models import PeriodicTask

STARTS = "jobs.start"


@dataclass(frozen=True)
class Fire:
    """One due time of a schedule."""

    schedule: PeriodicTask
    at: datetime


def upcoming(at: datetime, most: int) -> list[Fire]:
    """The next due time of each schedule that starts a pipeline, the soonest first."""
    schedules = PeriodicTask.objects.filter(enabled=True, task=STARTS)
    rows = schedules.select_related("interval", "crontab", "solar", "clocked")
    fires = [Fire(schedule, _due(schedule, at)) for schedule in rows[:500]]
    return sorted(fires, key=lambda fire: fire.at)[:most]


def _due(schedule: PeriodicTask, at: datetime) -> datetime:
    """Never before `at`: what is due already fires at once."""
    last = schedule.last_run_at or schedule.start_time or at
    rest: timedelta = schedule.schedule.remaining_estimate(last)
    return at + max(rest, timedelta(0))
