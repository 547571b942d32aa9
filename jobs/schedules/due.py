"""Which schedules start a pipeline, in words, and when the next time is: one answer for all pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django_celery_beat.models import PeriodicTask

from jobs.models import Pipeline
from jobs.schedules.schedules import START, asked, next_fire, sentence

NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Fire:
    """One schedule of a pipeline; `next_at` is None when it is paused or over."""

    task_id: int
    name: str
    sentence: str
    is_enabled: bool
    next_at: datetime | None
    pipeline: Pipeline


def upcoming(at: datetime, most: int) -> list[Fire]:
    """The next due time of each schedule that will start a pipeline, the soonest first."""
    return [fire for fire in _fires(_rows().filter(enabled=True), at) if fire.next_at][:most]


def by_pipeline(at: datetime, *, pipeline: int | None = None) -> dict[int, list[Fire]]:
    """Schedules by the id of the pipeline that they start, soonest first; all pipelines, or one."""
    found: dict[int, list[Fire]] = defaultdict(list)
    for fire in _fires(_rows(), at, pipeline):
        found[fire.pipeline.pk].append(fire)
    return dict(found)


def _rows() -> Any:
    return PeriodicTask.objects.filter(task=START).select_related("interval", "crontab", "solar", "clocked")


def _fires(rows: Iterable[PeriodicTask], at: datetime, pipeline: int | None = None) -> list[Fire]:
    """Those whose pipeline is still registered, soonest first."""
    starts = [(row, asked(row)[0]) for row in rows]
    wanted = {number for _, number in starts if number is not None and pipeline in (None, number)}
    known = Pipeline.objects.filter(is_registered=True).select_related("project").in_bulk(wanted)
    fires = [_fire(row, known[number], at) for row, number in starts if number in known]
    return sorted(fires, key=lambda fire: (fire.next_at or NEVER, fire.name))


def _fire(row: PeriodicTask, pipeline: Pipeline, at: datetime) -> Fire:
    return Fire(row.pk, row.name, sentence(row), row.enabled, next_fire(row, at), pipeline)
