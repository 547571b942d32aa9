"""When a schedule is due next, in time and in words: one answer for all pages and for beat."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from django_celery_beat.models import PeriodicTask

from jobs import clock
from jobs.models import Pipeline, Schedule
from jobs.models.schedule import ScheduleQuerySet
from jobs.schedules.dues import Once, Rule, dues
from jobs.schedules.rules import rule_in, stored
from jobs.schedules.schedules import START, rule_from
from jobs.schedules.words import sentence

NEVER: Final = datetime.max.replace(tzinfo=UTC)
SPARE: Final = 4
"""How many times as many as are shown are looked at: a pause may move one behind others."""
MOMENT: Final = timedelta(microseconds=1)


def rule_of(schedule: Schedule) -> Rule | None:
    """None where its row has no rule."""
    return rule_in(schedule.rule) if schedule.rule else None


def counted(schedule: Schedule, begin: datetime) -> Iterator[datetime]:
    """The due times after `begin` that count, paused or not: between its start and its end, and after its last edit."""
    rule = rule_of(schedule)
    if rule is None:
        return
    least = max(begin, schedule.counts_since)
    if schedule.begins_at:
        least = max(least, schedule.begins_at - MOMENT)
    if schedule.is_once:
        first = max(schedule.counts_since, schedule.begins_at - MOMENT) if schedule.begins_at else schedule.counts_since
        yield from (due for due in islice(_until_end(schedule, rule, first), 1) if due > begin)
    else:
        yield from _until_end(schedule, rule, least)


def _until_end(schedule: Schedule, rule: Rule, begin: datetime) -> Iterator[datetime]:
    for due in dues(rule, ZoneInfo(schedule.zone), begin):
        if schedule.ends_at and due >= schedule.ends_at:
            return
        yield due


def next_dues(schedule: Schedule, count: int, after: datetime) -> list[datetime]:
    """The next due times that will start something, UTC; none when it is paused without an end, or over."""
    if schedule.is_paused(after):
        if schedule.paused_until is None:
            return []
        after = max(after, schedule.paused_until)
    return list(islice(counted(schedule, after), count))


def set_next(schedule: Schedule) -> None:
    """Note when its next due time is, and when that is decided: later by its spread. The row is not saved."""
    schedule.next_due_at = next(counted(schedule, schedule.decided_until), None)
    schedule.next_look_at = look_at(schedule, schedule.next_due_at) if schedule.next_due_at else None


def look_at(schedule: Schedule, due: datetime) -> datetime:
    """When this due time is decided: the same for whoever asks."""
    if not schedule.jitter_seconds:
        return due
    seed = f"{schedule.created_at.isoformat()} {due.isoformat()}"
    draw = random.Random(seed)  # noqa: S311 - nothing secret
    return due + timedelta(seconds=draw.random() * schedule.jitter_seconds)


def why_paused(schedule: Schedule) -> str:
    by = f" by {schedule.paused_by}" if schedule.paused_by else ""
    reason = f": {schedule.paused_reason}" if schedule.paused_reason else ""
    return f"Paused{by}{reason}."


def timed(task: PeriodicTask, since: datetime) -> Schedule:
    """When a periodic task is due, as a schedule that is not saved."""
    rule = rule_from(task, since)
    return Schedule(
        periodic_task=task,
        rule=stored(rule) if rule else {},
        zone=str(task.crontab.timezone) if task.crontab else "UTC",
        begins_at=task.start_time,
        ends_at=task.expires,
        is_once=task.one_off,
        counts_since=since,
        decided_until=since,
    )


def schedule_of(task: PeriodicTask) -> Schedule:
    """The schedule of this periodic task; of one that starts no pipeline what beat makes of it."""
    known: Schedule | None = getattr(task, "console_schedule", None) if task.pk and task.task == START else None
    return known or timed(task, task.last_run_at or task.date_changed or clock.now())


def next_fire(task: PeriodicTask, at: datetime) -> datetime | None:
    """The next due time, UTC; None when it is paused, expired, over or has no time."""
    return next(iter(next_fires(task, at, 1)), None)


def next_fires(task: PeriodicTask, after: datetime, count: int = 3) -> list[datetime]:
    """The next due times, UTC; none when it is paused or over."""
    return next_dues(schedule_of(task), count, after) if task.enabled else []


@dataclass(frozen=True)
class Fire:
    """One schedule of a pipeline; `next_at` is None when it is paused without an end, or over."""

    schedule: Schedule
    sentence: str
    is_paused: bool
    next_at: datetime | None

    @property
    def name(self) -> str:
        return self.schedule.name

    @property
    def pipeline(self) -> Pipeline:
        """Asked only of those that have one."""
        assert self.schedule.pipeline is not None  # noqa: S101 - narrows the type
        return self.schedule.pipeline


def upcoming(at: datetime, most: int) -> list[Fire]:
    """The next due time of each schedule that will start a pipeline, the soonest first."""
    rows = _rows().filter(next_due_at__isnull=False).exclude(paused_since__isnull=False, paused_until=None)
    rows = rows.order_by("next_due_at", "pk")
    return _fires(rows[: most * SPARE], at, only_next=True)[:most]


def by_pipeline(at: datetime, *, pipeline: int | None = None) -> dict[int, list[Fire]]:
    """Schedules by the id of the pipeline that they start, soonest first; all pipelines, or one."""
    found: dict[int, list[Fire]] = defaultdict(list)
    rows = _rows() if pipeline is None else _rows().filter(pipeline=pipeline)
    for fire in _fires(rows, at):
        found[fire.pipeline.pk].append(fire)
    return dict(found)


def _rows() -> ScheduleQuerySet:
    """Those whose pipeline is still registered."""
    return Schedule.objects.known().filter(pipeline__is_registered=True)


def _fires(rows: Iterable[Schedule], at: datetime, *, only_next: bool = False) -> list[Fire]:
    fires = [Fire(row, in_words(row), row.is_paused(at), next(iter(next_dues(row, 1, at)), None)) for row in rows]
    fires = [fire for fire in fires if fire.next_at or not only_next]
    return sorted(fires, key=lambda fire: (fire.next_at or NEVER, fire.name))


def in_words(schedule: Schedule) -> str:
    """When it is due, as a sentence."""
    rule = rule_of(schedule)
    if rule is None:
        return "Never: it has no rule"
    text = sentence(rule, ZoneInfo(schedule.zone))
    return f"{text}, only the first time" if schedule.is_once and not isinstance(rule, Once) else text
