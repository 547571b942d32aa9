"""Schedules as periodic tasks keep them: what starts which pipeline, with what, and when."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Final

from django.db.models.signals import post_delete
from django.dispatch import receiver
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from jobs.errors import BadParameters, ConsoleError
from jobs.models import Pipeline
from jobs.runs.launch import check_choices
from jobs.schedules.dues import Cron, Every, Once, Rule, Sun
from jobs.stored import opened, sealed
from jobs.structure import parameters as runtime
from jobs.structure.cron import LAST
from jobs.structure.selection import read
from kedro_console.wire import Group, Json, Value

START: Final = "jobs.start"
HOUSEKEEPING: Final = {  # what else a schedule may start
    "celery.backend_cleanup": "Forget old task results",
    "jobs.tick": "Prove that beat is alive",
    "jobs.prune": "Drop what no run needs any more",
}
SHORTEST: Final = timedelta(seconds=1)
"""No schedule is due more often."""


def rule_from(task: PeriodicTask, anchor: datetime) -> Rule | None:
    """When a periodic task is due; None when it says so nowhere."""
    if task.crontab:
        return cron_from(task.crontab, is_last=has_last_day(task))
    if task.interval:
        every = max(SHORTEST, timedelta(**{task.interval.period: task.interval.every}))
        if task.start_time and task.start_time > anchor + every:
            anchor = task.start_time - every  # it is due at its start, as beat has it
        return Every(every.total_seconds(), anchor)
    if task.clocked:
        return Once(task.clocked.clocked_time)
    if task.solar:
        return Sun(task.solar.event, float(task.solar.latitude), float(task.solar.longitude))
    return None


def cron_from(crontab: CrontabSchedule, *, is_last: bool = False) -> Cron:
    day = LAST if is_last else crontab.day_of_month
    fields = (crontab.minute, crontab.hour, day, crontab.month_of_year, crontab.day_of_week)
    return Cron(" ".join(str(field).replace(" ", "") for field in fields))


def asked(schedule: PeriodicTask) -> tuple[int | None, dict[str, Value]]:
    """The pipeline's id and the parameters that a schedule starts it with, as the task gets them: by name or by place.

    (None, {}) for any other task, and for what was typed wrong by hand.
    """
    if schedule.task != START:
        return None, {}
    try:
        placed, named = json.loads(schedule.args or "[]"), json.loads(schedule.kwargs or "{}")
        given = {**dict(zip(("pipeline_id", "parameters"), placed, strict=False)), **named}
        return int(given["pipeline_id"]), dict(opened(given.get("parameters") or {}))
    except (ValueError, KeyError, TypeError):
        return None, {}


def named(schedule: PeriodicTask) -> dict[str, Json]:
    """What a schedule gives its task by name; {} for what was typed wrong by hand."""
    try:
        return dict(json.loads(schedule.kwargs or "{}"))
    except (ValueError, TypeError):
        return {}


def has_last_day(schedule: PeriodicTask) -> bool:
    """Whether of the days of its rule only the last one of a month counts."""
    return bool(named(schedule).get("last_day"))


def choices(schedule: PeriodicTask) -> dict[str, Json]:
    """What of its pipeline a schedule starts; {}: all of it."""
    found = named(schedule).get("selection")
    return dict(found) if isinstance(found, dict) else {}


def wish(
    pipeline: Pipeline,
    parameters: Group,
    selection: dict[str, Json] | None = None,
    *,
    is_last_day: bool = False,
) -> str:
    """The other way round: what a schedule's row keeps to start this pipeline with these parameters and choices."""
    chosen = {"selection": selection} if selection else {}
    last = {"last_day": True} if is_last_day else {}
    return json.dumps({"pipeline_id": pipeline.pk, "parameters": sealed(pipeline.marked(parameters)), **chosen, **last})


def of_pipelines(ids: set[int]) -> list[PeriodicTask]:
    """The schedules that start one of these pipelines, by name."""
    rows = PeriodicTask.objects.filter(task=START).select_related("crontab", "interval", "clocked", "solar")
    return [row for row in rows.order_by("name") if asked(row)[0] in ids]


def check_parameters(pipeline: Pipeline, given: Group) -> None:
    """BadParameters for what a run would refuse today; a project that was never read cannot be checked against."""
    snapshot = pipeline.project.snapshot
    runtime.check(
        given,
        defaults=pipeline.default_parameters,
        picture=snapshot.picture if snapshot else None,
        pipeline=snapshot.pipeline(pipeline.name) if snapshot else None,
    )


def check_selection(pipeline: Pipeline, raw: Json, *, at: datetime) -> dict[str, str]:
    """A sentence for each choice that a launch would refuse today; {} when all are right."""
    try:
        if selection := read(raw):
            check_choices(pipeline, selection, at=at)
    except BadParameters as refusal:
        return refusal.fields
    except ConsoleError as refusal:
        return {"env": str(refusal)} if selection.env else {}
    return {}


@receiver(post_delete, sender=Pipeline)
def forget(instance: Pipeline, **_: object) -> None:
    """A pipeline takes its schedules with it: nothing is left that would fail every night."""
    for schedule in of_pipelines({instance.pk}):
        schedule.delete()
