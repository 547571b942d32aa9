"""Schedules: time rules that start a pipeline, each due time once."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import partial
from itertools import islice, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from cron_descriptor import ExpressionDescriptor, FormatException, Options
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import receiver
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from django_celery_results.models import TaskResult

from jobs import clock
from jobs.errors import BadParameters, ConsoleError, RequestError
from jobs.models import Pipeline, Run
from jobs.runs.launch import check_choices, launch
from jobs.runs.order import Order
from jobs.schedules.dues import AtTimes, Days, dues, last_due
from jobs.states import Cause
from jobs.stored import opened, sealed
from jobs.structure import parameters as runtime
from jobs.structure.cron import DAYS, LAST
from jobs.structure.selection import Selection, read
from kedro_console.wire import Group, Json, Value

logger = logging.getLogger(__name__)

START: Final = "jobs.start"
HOUSEKEEPING: Final = {  # what else a schedule may start
    "celery.backend_cleanup": "Forget old task results",
    "jobs.tick": "Prove that beat is alive",
    "jobs.prune": "Drop what no run needs any more",
}
RULES: Final[dict[type[Model], str]] = {
    CrontabSchedule: "crontab_id",
    IntervalSchedule: "interval_id",
    ClockedSchedule: "clocked_id",
    SolarSchedule: "solar_id",
}
RULE: Final = (*RULES.values(), "enabled", "start_time", "one_off", "task")
"""What makes a schedule another one."""
EARLY: Final = timedelta(seconds=2)  # so far may the clock of beat be ahead of ours
MISSED_AFTER: Final = timedelta(seconds=20)
"""So long may the message of a due time be on its way."""
MISSED_WITHIN: Final = timedelta(minutes=10)
PROMPT: Final = timedelta(seconds=60)
"""Beat sends a due time, and writes that it did, within this; what is later is an edit, or a time made up for."""
MOST_DAYS: Final = 31


def start_scheduled(
    pipeline_id: int,
    parameters: dict[str, Json],
    schedule_name: str,
    at: datetime,
    selection: dict[str, Json] | None = None,
) -> Run | None:
    """The run of this schedule for the due time that `at` belongs to; asked again, the same run.

    None when that time does not count: it lies before the last edit, or a month's last day is meant and it is none.

    RequestError when the schedule or its pipeline is gone, BadParameters when the project changed under it.
    """
    pipeline = Pipeline.objects.select_related("project").filter(pk=pipeline_id).first()
    if pipeline is None:
        raise RequestError(f"The schedule “{schedule_name}” starts pipeline {pipeline_id}, which is gone: delete it.")
    schedule = PeriodicTask.objects.filter(name=schedule_name).first()
    if schedule is None and schedule_name:
        raise RequestError(f"The schedule “{schedule_name}” was deleted or renamed before its run could start.")
    slot = due_slot(schedule, at) if schedule else None
    if schedule and slot and not _counts(schedule, slot):
        return None
    key = _key(schedule, pipeline, slot, at) if schedule else None
    values, chosen = opened(parameters), read(selection or {})
    return launch(_order(pipeline, values, chosen, schedule_name, key=key, slot=slot), at=at)


def _counts(schedule: PeriodicTask, slot: datetime) -> bool:
    """Whether a time at which the rule is due is one that starts something."""
    since = counts_since(schedule)
    return (since is None or slot >= since) and (not has_last_day(schedule) or _is_last_day(schedule, slot))


def _is_last_day(schedule: PeriodicTask, slot: datetime) -> bool:
    zone = ZoneInfo(str(schedule.crontab.timezone)) if schedule.crontab else UTC
    return (slot.astimezone(zone) + timedelta(days=1)).day == 1


def _order(
    pipeline: Pipeline, parameters: Group, selection: Selection, name: str, *, key: str | None, slot: datetime | None
) -> Order:
    return Order(
        pipeline,
        Cause.SCHEDULE,
        parameters=parameters,
        selection=selection,
        idempotency_key=key,
        cause_detail=name,
        due_at=slot,
    )


def _key(schedule: PeriodicTask, pipeline: Pipeline, slot: datetime | None, at: datetime) -> str:
    return _key_of(schedule, pipeline, slot) if slot else _key_after_last_run(schedule, pipeline, at)


def _key_of(schedule: PeriodicTask, pipeline: Pipeline, slot: datetime) -> str:
    return f"schedule:{schedule.pk}:{pipeline.pk}:{slot.isoformat()}"


def _key_after_last_run(schedule: PeriodicTask, pipeline: Pipeline, at: datetime) -> str:
    """An interval has no fixed times: what comes within half of it after a run is that run asked for again."""
    prefix = f"schedule:{schedule.pk}:{pipeline.pk}:"
    last = pipeline.runs.filter(idempotency_key__startswith=prefix).order_by("-id").first()
    if last is not None and last.idempotency_key and at - last.created_at < _interval(schedule) / 2:
        return last.idempotency_key
    return f"{prefix}after-{last.pk if last else 0}"


def _interval(schedule: PeriodicTask) -> timedelta:
    if schedule.interval:
        return timedelta(**{schedule.interval.period: schedule.interval.every})
    return timedelta(days=1)  # the sun's events come once a day


def due_slot(schedule: PeriodicTask, at: datetime) -> datetime | None:
    """The newest due time at `at`, UTC; None for a rule without fixed times."""
    if schedule.clocked:
        return _utc(schedule.clocked.clocked_time)
    if schedule.crontab:
        return last_due(rule_of(schedule.crontab), at + EARLY)
    return None


def start_missed(at: datetime) -> int:
    """Start for the newest due times that beat sent, while their messages were lost with the broker; how many."""
    sent = PeriodicTask.objects.filter(task=START, enabled=True, last_run_at__gte=at - MISSED_WITHIN)
    return sum(_start_missed(schedule, at) for schedule in sent.select_related("crontab", "clocked"))


def _start_missed(schedule: PeriodicTask, at: datetime) -> bool:
    slot = due_slot(schedule, at - MISSED_AFTER - EARLY)
    pipeline_id, parameters = asked(schedule)
    pipeline = Pipeline.objects.select_related("project").filter(pk=pipeline_id or 0).first()
    if slot is None or pipeline is None or not _was_sent(schedule, slot) or not _counts(schedule, slot):
        return False
    key = _key_of(schedule, pipeline, slot)
    if Run.objects.filter(idempotency_key=key).exists() or _was_refused(schedule, slot):
        return False
    try:
        launch(_order(pipeline, parameters, read(choices(schedule)), schedule.name, key=key, slot=slot), at=at)
    except ConsoleError as refusal:
        logger.warning("The schedule “%s” could not start for %s: %s", schedule.name, slot, refusal)
        return False
    logger.warning("The schedule “%s” starts for %s: its message was lost.", schedule.name, slot)
    return True


def _was_sent(schedule: PeriodicTask, slot: datetime) -> bool:
    """Whether beat wrote that it sent this due time, and nobody changed the schedule since."""
    sent_at = schedule.last_run_at
    return bool(sent_at and slot <= sent_at + EARLY < slot + PROMPT and schedule.date_changed < sent_at + PROMPT)


def _was_refused(schedule: PeriodicTask, slot: datetime) -> bool:
    """Whether a worker heard of it and could not start anything: the reason stands there."""
    failed = TaskResult.objects.filter(periodic_task_name=schedule.name, status="FAILURE")
    ours = f'"{ConsoleError.__module__}"'  # and not that the database was away
    return bool(failed.filter(date_created__gte=slot - EARLY, result__contains=ours).exists())


def rule_of(crontab: CrontabSchedule) -> AtTimes:
    """Its five fields as a rule; a field with a star holds every value of it."""
    cron = crontab.schedule
    every_day, every_weekday = len(cron.day_of_month) == MOST_DAYS, len(cron.day_of_week) == len(DAYS)
    return AtTimes(
        ZoneInfo(str(crontab.timezone)),
        tuple(time(hour, minute) for hour in sorted(cron.hour) for minute in sorted(cron.minute)),
        Days(
            months=frozenset(cron.month_of_year),
            weekdays=frozenset() if every_weekday else frozenset(day or len(DAYS) for day in cron.day_of_week),
            days_of_month=frozenset() if every_day else frozenset(cron.day_of_month),
        ),
        is_elapsed="*" in str(crontab.hour),
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def next_fire(schedule: PeriodicTask, at: datetime) -> datetime | None:
    """The next due time, UTC; None when it is paused, expired, over or has no time."""
    return next(iter(next_fires(schedule, at, 1)), None)


def next_fires(schedule: PeriodicTask, after: datetime, count: int = 3) -> list[datetime]:
    """The next due times, UTC, as beat will count them; what is overdue is due at once. None when paused or over."""
    is_over = (schedule.one_off or schedule.clocked) and schedule.total_run_count > 0
    if not schedule.enabled or is_over:
        return []
    begin = max(after, schedule.start_time) if schedule.start_time else after
    fires: Iterator[datetime] = islice(_fires(schedule, begin), 1 if schedule.one_off else count)
    if schedule.expires:
        fires = takewhile(lambda due: due < schedule.expires, fires)
    return list(fires)


def _fires(schedule: PeriodicTask, begin: datetime) -> Iterator[datetime]:
    if schedule.clocked:
        yield _utc(max(schedule.clocked.clocked_time, begin))
    elif schedule.crontab:
        yield from (due for due in dues(rule_of(schedule.crontab), begin) if _counts(schedule, due))
    elif schedule.interval:
        every = _interval(schedule)
        due = max((schedule.last_run_at or schedule.date_changed or begin) + every, begin)
        while True:
            yield _utc(due)
            due += every
    elif schedule.solar:
        yield from _sun_fires(schedule.solar, begin)


def _sun_fires(solar: SolarSchedule, moment: datetime) -> Iterator[datetime]:
    """Nothing where the library that knows the sun is not installed: beat then fires nothing either."""
    try:
        sun = solar.schedule
    except ImproperlyConfigured:
        return
    while True:
        sun.nowfun = partial(_utc, moment)
        moment = _utc(moment + sun.remaining_estimate(moment))
        yield moment


def sentence(schedule: PeriodicTask) -> str:
    """When it fires, in words."""
    if schedule.crontab:
        return f"{cron_sentence(schedule.crontab, is_last=has_last_day(schedule))}, {schedule.crontab.timezone}"
    if schedule.interval:
        unit = schedule.interval.period
        return f"Every {unit[:-1]}" if schedule.interval.every == 1 else f"Every {schedule.interval.every} {unit}"
    if schedule.clocked:
        return f"Once, on {_utc(schedule.clocked.clocked_time):%Y-%m-%d %H:%M} UTC"
    return str(schedule.solar or "Never")


def cron_sentence(crontab: CrontabSchedule, *, is_last: bool = False) -> str:
    """The five fields in words; as they are, where there are no words for them."""
    day = LAST if is_last else crontab.day_of_month
    fields = (crontab.minute, crontab.hour, day, crontab.month_of_year, crontab.day_of_week)
    text = " ".join(str(field).replace(" ", "") for field in fields)
    options = Options()
    options.use_24hour_time_format = True
    try:
        return str(ExpressionDescriptor(text, options).get_description())
    except (FormatException, ValueError, IndexError):
        return text


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


def _named(schedule: PeriodicTask) -> dict[str, Json]:
    """What a schedule gives its task by name; {} for what was typed wrong by hand."""
    try:
        return dict(json.loads(schedule.kwargs or "{}"))
    except (ValueError, TypeError):
        return {}


def has_last_day(schedule: PeriodicTask) -> bool:
    """Whether of the days of its rule only the last one of a month counts."""
    return bool(_named(schedule).get("last_day"))


def counts_since(schedule: PeriodicTask) -> datetime | None:
    """When it was last edited, or switched on: what was due before starts nothing. None: never since it was made."""
    try:
        return datetime.fromisoformat(str(_named(schedule)["since"]))
    except (KeyError, ValueError, TypeError):
        return None


def choices(schedule: PeriodicTask) -> dict[str, Json]:
    """What of its pipeline a schedule starts; {}: all of it."""
    found = _named(schedule).get("selection")
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
    return json.dumps({"pipeline_id": pipeline.pk, "parameters": sealed(parameters), **chosen, **last})


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


@receiver(pre_save, sender=PeriodicTask)
def count_from_now(instance: PeriodicTask, **_: object) -> None:
    """After an edit, or when it is switched on again, only due times that follow count; beat too counts from then."""
    before = PeriodicTask.objects.filter(pk=instance.pk).first() if instance.pk else None
    if before is None or _is_same(before, instance):
        return
    _begin_anew(instance, clock.now())


def _begin_anew(schedule: PeriodicTask, at: datetime) -> None:
    schedule.last_run_at = at
    if schedule.task == START and (named := _named(schedule)):
        schedule.kwargs = json.dumps({**named, "since": at.isoformat()})


def _is_same(before: PeriodicTask, after: PeriodicTask) -> bool:
    rules = [getattr(before, name) == getattr(after, name) for name in RULE]
    told = [{**_named(each), "since": None} for each in (before, after)]
    return all(rules) and told[0] == told[1] and before.args == after.args


@receiver(post_save, sender=CrontabSchedule)
@receiver(post_save, sender=IntervalSchedule)
@receiver(post_save, sender=ClockedSchedule)
@receiver(post_save, sender=SolarSchedule)
def count_all_from_now(instance: Model, *, created: bool, **_: object) -> None:
    """The same for each schedule that shares a rule which was edited."""
    for schedule in () if created else PeriodicTask.objects.filter(**{RULES[type(instance)]: instance.pk}):
        _begin_anew(schedule, clock.now())
        schedule.save()


@receiver(post_delete, sender=Pipeline)
def forget(instance: Pipeline, **_: object) -> None:
    """A pipeline takes its schedules with it: nothing is left that would fail every night."""
    for schedule in of_pipelines({instance.pk}):
        schedule.delete()
