"""A schedule and its periodic task say the same: whoever edits one finds it in the other.

The admin, and whatever else writes a `PeriodicTask` that starts a pipeline, edits its schedule by that. A rule that a
periodic task has no words for (days and times, days that are left out) stands there as the nearest crontab, and stays
the schedule's until somebody changes that.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Model
from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from jobs import clock
from jobs.models import Pipeline, Schedule
from jobs.schedules.due import set_next, timed
from jobs.schedules.dues import Every, Once, Rule, Sun, walls
from jobs.schedules.schedules import SHORTEST, START, asked, choices, has_last_day, named

RULES: Final[dict[type[Model], str]] = {
    CrontabSchedule: "crontab_id",
    IntervalSchedule: "interval_id",
    ClockedSchedule: "clocked_id",
    SolarSchedule: "solar_id",
}
WHEN: Final = (*RULES.values(), "start_time", "expires", "one_off")
"""The columns of a periodic task that say when it is due."""
NOBODY: Final = "the periodic task"
"""Who paused a schedule whose periodic task was switched off."""


def adopt(task: PeriodicTask, at: datetime) -> Schedule:
    """The schedule of a periodic task that has none, as beat has counted its due times until now; not saved yet."""
    until = task.last_run_at or task.date_changed or at
    schedule = timed(task, until)
    schedule.counts_since = _moment_of(named(task).get("since")) or until
    schedule.created_at = schedule.edited_at = at
    _take_what(schedule, task)
    if task.one_off and task.total_run_count:
        schedule.ends_at = until
    if not task.enabled:
        schedule.paused_since, schedule.paused_by = until, NOBODY
        schedule.decided_until = max(until, at)
    return schedule


def adopt_all(at: datetime) -> int:
    """A schedule for each periodic task that starts a pipeline and has none; how many."""
    orphans = PeriodicTask.objects.filter(task=START, console_schedule=None)
    made = 0
    for task in orphans.select_related("crontab", "interval", "clocked", "solar"):
        with transaction.atomic():
            if not Schedule.objects.filter(periodic_task=task).exists():
                schedule = adopt(task, at)
                set_next(schedule)
                schedule.save()
                made += 1
    return made


def columns_of(rule: Rule, zone: str) -> dict[str, Model | None]:
    """The columns of a periodic task that come nearest to this rule; what they name is there afterwards."""
    columns: dict[str, Model | None] = {column.removesuffix("_id"): None for column in RULES.values()}
    if isinstance(rule, Every):
        columns["interval"] = _stored(IntervalSchedule, every=max(1, round(rule.seconds)), period="seconds")
    elif isinstance(rule, Once):
        columns["clocked"] = _stored(ClockedSchedule, clocked_time=rule.at)
    elif isinstance(rule, Sun):
        place = {"latitude": round(rule.latitude, 6), "longitude": round(rule.longitude, 6)}
        columns["solar"] = _stored(SolarSchedule, event=rule.event, **place)
    else:
        columns["crontab"] = _stored(CrontabSchedule, timezone=zone, **_crontab_of(rule))
    return columns


def _crontab_of(rule: Rule) -> dict[str, str]:
    wall = walls(rule)
    if wall is None:
        raise TypeError(rule)
    days = wall.days
    every = {
        "minute": {each.minute for each in wall.times},
        "hour": {each.hour for each in wall.times},
        "day_of_month": set(range(28, 32)) if days.is_last and not days.days_of_month else days.days_of_month,
        "month_of_year": days.months,
        "day_of_week": {day % 7 for day in days.weekdays or {weekday for _, weekday in days.nth}},
    }
    sizes = {"minute": 60, "hour": 24, "day_of_month": 31, "month_of_year": 12, "day_of_week": 7}
    return {
        name: "*" if len(found) in (0, sizes[name]) else ",".join(map(str, sorted(found)))
        for name, found in every.items()
    }


def _stored(model: type[Model], **facts: object) -> Model:
    """Rules are shared: a row that says the same is used again."""
    rows = model._default_manager
    known = rows.filter(**facts).order_by("pk").first()
    return known or rows.create(**facts)


def _take_what(schedule: Schedule, task: PeriodicTask) -> None:
    number, parameters = asked(task)
    schedule.pipeline = Pipeline.objects.filter(pk=number or 0).first()
    schedule.parameters, schedule.selection = parameters, choices(task)


def _take_when(schedule: Schedule, task: PeriodicTask, anchor: datetime) -> None:
    now = timed(task, anchor)
    for name in ("rule", "zone", "begins_at", "ends_at", "is_once"):
        setattr(schedule, name, getattr(now, name))


def _moment_of(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


@receiver(pre_save, sender=PeriodicTask)
def remember(instance: PeriodicTask, **_: object) -> None:
    """What it was before. One that starts no pipeline is counted by beat: after an edit from now on.

    Within a transaction nobody pauses or edits its schedule meanwhile: its lock comes first, as everywhere.
    """
    if instance.pk and transaction.get_connection().in_atomic_block and not getattr(instance, "is_mirror", False):
        Schedule.objects.select_for_update().filter(periodic_task=instance.pk).first()
    before = PeriodicTask.objects.filter(pk=instance.pk).first() if instance.pk else None
    instance.before_saving = before
    if before and START not in (before.task, instance.task) and not _is_same(before, instance):
        instance.last_run_at = clock.now()


@receiver(post_save, sender=PeriodicTask)
def follow(instance: PeriodicTask, **_: object) -> None:
    """What was edited there is edited here, and only due times that follow count."""
    if getattr(instance, "is_mirror", False):
        return
    before, at = getattr(instance, "before_saving", None), clock.now()
    schedule = Schedule.objects.filter(periodic_task=instance).first()
    if instance.task != START:
        if schedule:
            schedule.delete()
        return
    if schedule is None:
        schedule = adopt(instance, at)
        if instance.enabled:
            schedule.counts_since = schedule.decided_until = _since_made(instance, schedule)
    elif before is None or not _is_same(before, instance):
        _follow(schedule, instance, before, at)
    else:
        return
    set_next(schedule)
    schedule.save()


def _since_made(task: PeriodicTask, schedule: Schedule) -> datetime:
    """One for a single moment that has passed as it is made is due at once, as beat has it."""
    if task.clocked and not task.last_run_at:
        before: datetime = task.clocked.clocked_time - SHORTEST
        return min(schedule.counts_since, before)
    return schedule.counts_since


def _follow(schedule: Schedule, task: PeriodicTask, before: PeriodicTask | None, at: datetime) -> None:
    _take_what(schedule, task)
    if before is None or _is_due_otherwise(before, task):
        _take_when(schedule, task, at)
    schedule.counts_since = schedule.decided_until = schedule.edited_at = at
    if task.enabled:
        schedule.paused_since = schedule.paused_until = None
        schedule.paused_by = schedule.paused_reason = ""
    elif schedule.paused_since is None:
        schedule.paused_since, schedule.paused_by = at, NOBODY


def _is_due_otherwise(before: PeriodicTask, after: PeriodicTask) -> bool:
    differs = any(getattr(before, name) != getattr(after, name) for name in WHEN)
    return differs or has_last_day(before) != has_last_day(after)


def _is_same(before: PeriodicTask, after: PeriodicTask) -> bool:
    names = (*WHEN, "enabled", "task", "args")
    told = [{**named(each), "since": None} for each in (before, after)]
    return all(getattr(before, name) == getattr(after, name) for name in names) and told[0] == told[1]


@receiver(post_save, sender=CrontabSchedule)
@receiver(post_save, sender=IntervalSchedule)
@receiver(post_save, sender=ClockedSchedule)
@receiver(post_save, sender=SolarSchedule)
def follow_rule(instance: Model, *, created: bool, **_: object) -> None:
    """The same for each schedule that shares a rule which was edited."""
    if created:
        return
    at = clock.now()
    for task in PeriodicTask.objects.filter(**{RULES[type(instance)]: instance.pk}):
        if task.task != START:
            task.last_run_at = at
            task.save()
        elif schedule := Schedule.objects.filter(periodic_task=task).first():
            _take_when(schedule, task, at)
            schedule.counts_since = schedule.decided_until = schedule.edited_at = at
            set_next(schedule)
            schedule.save()
