"""What django-celery-beat's rows say about our pipelines: which schedules start them, and when the next time is."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django_celery_beat.models import PeriodicTask

TASK = "jobs.start"


@dataclass(frozen=True)
class Fire:
    """One schedule of a pipeline, in words; `next_at` is None when it is paused or over."""

    task_id: int
    name: str
    sentence: str
    zone: str
    is_enabled: bool
    next_at: datetime | None


def by_pipeline(at: datetime, *, pipeline: int | None = None) -> dict[int, list[Fire]]:
    """Schedules by the id of the pipeline that they start, soonest first; all pipelines, or one."""
    tasks = PeriodicTask.objects.filter(task=TASK).select_related("interval", "crontab", "solar", "clocked")
    found: dict[int, list[Fire]] = defaultdict(list)
    for task in tasks:
        started = _pipeline(task)
        if started is not None and pipeline in (None, started):
            found[started].append(_fire(task, at))
    never = datetime.max.replace(tzinfo=UTC)
    return {key: sorted(fires, key=lambda fire: (fire.next_at or never, fire.name)) for key, fires in found.items()}


def _pipeline(task: Any) -> int | None:
    """The pipeline's id in the task's arguments, by name or as the first one."""
    try:
        named, placed = json.loads(task.kwargs or "{}"), json.loads(task.args or "[]")
    except ValueError:
        return None  # typed by hand in the admin; beat reports it when it fires
    value = named.get("pipeline_id") if isinstance(named, dict) else None
    if value is None and isinstance(placed, list) and placed:
        value = placed[0]
    return int(str(value)) if str(value).isdecimal() else None


def _fire(task: Any, at: datetime) -> Fire:
    crontab = task.crontab
    return Fire(
        task_id=task.pk,
        name=task.name,
        sentence=_sentence(task),
        zone=str(crontab.timezone) if crontab else "",
        is_enabled=task.enabled,
        next_at=_next(task, at) if task.enabled else None,
    )


def _sentence(task: Any) -> str:
    if task.crontab:
        return str(task.crontab.human_readable)
    if task.clocked:
        return "once"
    return str(task.interval or task.solar or "no time is set")


def _next(task: Any, at: datetime) -> datetime | None:
    """When beat will send it: asked from the same schedule object that beat uses; a time that has passed is now."""
    if task.clocked:
        due = task.clocked.clocked_time
        return due if task.total_run_count == 0 else None
    if not (task.interval or task.crontab or task.solar):
        return None
    if task.start_time and task.start_time > at:
        at = task.start_time
    since = task.last_run_at or task.date_changed or at
    if task.crontab:  # its hours are compared with the hours of this time
        since = since.astimezone(task.crontab.timezone)
    left: timedelta = task.schedule.remaining_estimate(since)
    due = (at + max(left, timedelta(0)) + timedelta(milliseconds=500)).replace(microsecond=0)
    return None if task.expires and task.expires < due else due
