"""Make, edit and delete schedules: nothing wrong is kept, and an edit never starts anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import available_timezones

from django.conf import settings
from django.db import IntegrityError, transaction
from django_celery_beat.models import PeriodicTask

from jobs.errors import BadParameters, ConsoleError, nearest_of
from jobs.models import Pipeline, Schedule
from jobs.models.act import record
from jobs.schedules.due import counted, rule_of, set_next
from jobs.schedules.dues import Once, Rule
from jobs.schedules.mirror import columns_of
from jobs.schedules.rules import stored
from jobs.schedules.schedules import START, check_parameters, check_selection, wish
from jobs.schedules.switch import leave_behind, locked
from jobs.states import Missed, Overlap, Runner
from jobs.structure.paths import Path
from kedro_console.wire import Group, Json

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LONGEST_NAME: Final = 200
MOST_NUMBER: Final = 1_000_000
MOST_JITTER: Final = 86_400
CHOSEN: Final = {"overlap": Overlap.values, "runner": Runner.values}
"""What may be left to the pipeline."""
WHAT: Final = ("pipeline", "parameters", "selection", "runner")
WHEN: Final = ("rule", "zone", "begins_at", "ends_at", "is_once", "jitter_seconds")


TOLD: Final = (
    "name", "note", "zone", "parameters", "selection", "runner", "overlap", "missed", "missed_most", "missed_hours",
    "is_once", "jitter_seconds",
)  # fmt: skip
"""What the record of acts says of it as it is."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A schedule as somebody wants it."""

    name: str
    pipeline: Pipeline | None
    rule: Rule | None
    zone: str = settings.TIME_ZONE
    parameters: Group = field(default_factory=dict)
    selection: dict[str, Json] = field(default_factory=dict)
    runner: str = ""
    overlap: str = ""
    missed: str = Missed.NEWEST
    missed_most: int = 10
    missed_hours: int = 24
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    is_once: bool = False
    jitter_seconds: int = 0
    owner: User | None = None
    note: str = ""
    date_parameter: Path = ()


def wanted_of(schedule: Schedule) -> Wanted:
    """As it is now."""
    same = ("pipeline", "zone", "parameters", "selection", "runner", "overlap", "missed", "missed_most", "missed_hours")
    more = ("begins_at", "ends_at", "is_once", "jitter_seconds", "owner", "note", "name")
    return Wanted(
        rule=rule_of(schedule),
        date_parameter=tuple(schedule.date_parameter),
        **{name: getattr(schedule, name) for name in (*same, *more)},
    )


def create(wanted: Wanted, *, at: datetime) -> Schedule:
    """The schedule, on; due times from now on count. BadParameters with a sentence for each field that is wrong."""
    _check(wanted, None, at)
    with _one_of_its_name(), transaction.atomic():
        task = PeriodicTask(task=START, enabled=True)
        schedule = Schedule(created_at=at)
        _write(schedule, task, wanted)
        _count_from(schedule, at)
        _save(schedule, task)
        record("added", schedule, after=_told(wanted))
    return schedule


def edit(schedule: Schedule, wanted: Wanted, *, at: datetime) -> Schedule:
    """The schedule as it is wanted; when what it starts or when changes, only due times from now on count.

    What somebody else has changed since `schedule` was read, and this one has not, stays.
    """
    _check(wanted, schedule, at)
    seen = wanted_of(schedule)
    with _one_of_its_name(), transaction.atomic():
        row = locked(schedule)
        before = wanted_of(row)
        told = _told(before)
        if before != seen:
            wanted = _both(seen, wanted, before)
            _check(wanted, row, at)
        if wanted == before:
            return schedule
        is_other = any(getattr(before, name) != getattr(wanted, name) for name in (*WHAT, *WHEN))
        if is_other:
            leave_behind(row, at)
        _write(row, row.periodic_task, wanted)
        row.edited_at = at
        if is_other:
            _count_from(row, at)
        _save(row, row.periodic_task)
        _record_change(row, told, _told(wanted))
    schedule.refresh_from_db()
    return schedule


def _both(seen: Wanted, wanted: Wanted, before: Wanted) -> Wanted:
    """What was changed from what was seen, in what is there by now."""
    names = [each.name for each in fields(Wanted)]
    return replace(
        before, **{name: getattr(wanted, name) for name in names if getattr(wanted, name) != getattr(seen, name)}
    )


def _record_change(schedule: Schedule, before: Mapping[str, Json], after: Mapping[str, Json]) -> None:
    differ = [name for name in after if before[name] != after[name]]
    was, now = ({name: told[name] for name in differ} for told in (before, after))
    record("changed", schedule, before=was, after=now)


def delete(schedule: Schedule) -> None:
    """It and its ticks; its runs stay."""
    with transaction.atomic():
        record("deleted", schedule, before=_told(wanted_of(schedule)))
        schedule.periodic_task.delete()


def _write(schedule: Schedule, task: PeriodicTask, wanted: Wanted) -> None:
    rule, pipeline = wanted.rule, wanted.pipeline
    if rule is None or pipeline is None:
        raise TypeError("what was checked has both")
    same = ("pipeline", "zone", "parameters", "selection", "runner", "overlap", "missed", "missed_most", "missed_hours")
    for name in (*same, "begins_at", "ends_at", "is_once", "jitter_seconds", "owner"):
        setattr(schedule, name, getattr(wanted, name))
    schedule.rule, schedule.date_parameter = stored(rule), list(wanted.date_parameter)
    task.name, task.description = wanted.name.strip(), wanted.note
    task.kwargs = wish(pipeline, wanted.parameters, wanted.selection)
    task.args, task.start_time, task.expires = "[]", wanted.begins_at, wanted.ends_at
    task.one_off = wanted.is_once or isinstance(wanted.rule, Once)
    for name, value in columns_of(rule, wanted.zone).items():
        setattr(task, name, value)


def _count_from(schedule: Schedule, at: datetime) -> None:
    schedule.counts_since = schedule.decided_until = schedule.edited_at = at


def _save(schedule: Schedule, task: PeriodicTask) -> None:
    task.is_mirror = True
    task.save()
    schedule.periodic_task = task
    set_next(schedule)
    schedule.save()


@contextmanager
def _one_of_its_name() -> Iterator[None]:
    """Of two that take one name at once, the second hears why it may not."""
    try:
        yield
    except IntegrityError as error:
        raise BadParameters({"name": "Another schedule has this name."}) from error


# ---- what may not be kept ------------------------------------------------------------------------------


def _check(wanted: Wanted, schedule: Schedule | None, at: datetime) -> None:
    problems = {**_name(wanted, schedule), **_when(wanted, schedule, at), **_what(wanted, at), **_numbers(wanted)}
    if problems:
        raise BadParameters(problems)


def _name(wanted: Wanted, schedule: Schedule | None) -> dict[str, str]:
    name = wanted.name.strip()
    if not name:
        return {"name": "Give it a name."}
    if len(name) > LONGEST_NAME:
        return {"name": f"A name has at most {LONGEST_NAME} characters."}
    others = PeriodicTask.objects.filter(name=name)
    others = others.exclude(pk=schedule.periodic_task_id) if schedule else others
    return {"name": "Another schedule has this name."} if others.exists() else {}


def _when(wanted: Wanted, schedule: Schedule | None, at: datetime) -> dict[str, str]:
    if wanted.zone not in available_timezones():
        nearest = nearest_of(wanted.zone, available_timezones())
        meant = f" Did you mean {' or '.join(nearest)}?" if nearest else " Write one such as Europe/Berlin."
        return {"zone": f"There is no time zone “{wanted.zone}”.{meant}"}
    if wanted.rule is None:
        return {"rule": "Say when it is due."}
    if wanted.begins_at and wanted.ends_at and wanted.ends_at <= wanted.begins_at:
        return {"ends_at": "It ends before it begins."}
    if schedule and all(getattr(wanted_of(schedule), name) == getattr(wanted, name) for name in WHEN):
        return {}
    trial = Schedule(rule=stored(wanted.rule), counts_since=at, decided_until=at)
    for name in WHEN[1:]:
        setattr(trial, name, getattr(wanted, name))
    if not _ever_comes(trial, at):
        passed = isinstance(wanted.rule, Once) and wanted.rule.at <= at
        return {"rule": "This time has passed: give one in the future." if passed else "No such time ever comes."}
    return {}


def _ever_comes(schedule: Schedule, at: datetime) -> bool:
    try:
        return next(counted(schedule, at), None) is not None
    except ValueError:  # 31 February is none for Celery either
        return False


def _what(wanted: Wanted, at: datetime) -> dict[str, str]:
    pipeline = wanted.pipeline
    if pipeline is None:
        return {"pipeline": "Choose the pipeline that it starts."}
    if not pipeline.is_registered:
        return {"pipeline": f"The project {pipeline.project.name} has no pipeline “{pipeline.name}” any more."}
    problems: dict[str, str] = {}
    try:
        check_parameters(pipeline, wanted.parameters)
    except BadParameters as refusal:
        problems["parameters"] = str(refusal)
    except ConsoleError as refusal:
        problems["pipeline"] = str(refusal)
    if wrong := check_selection(pipeline, wanted.selection, at=at):
        problems["selection"] = "; ".join(f"{name}: {sentence}" for name, sentence in wrong.items())
    return problems


def _numbers(wanted: Wanted) -> dict[str, str]:
    problems = {
        name: f"There is no “{getattr(wanted, name)}”: write one of {', '.join(known)}, or nothing for the pipeline's."
        for name, known in CHOSEN.items()
        if getattr(wanted, name) not in ("", *known)
    }
    if wanted.missed not in Missed.values:
        problems["missed"] = f"Write one of {', '.join(Missed.values)}."
    bounds = {"missed_most": (1, MOST_NUMBER), "missed_hours": (0, MOST_NUMBER), "jitter_seconds": (0, MOST_JITTER)}
    for name, (least, most) in bounds.items():
        if not least <= getattr(wanted, name) <= most:
            problems[name] = f"Write a number from {least} to {most:,}."
    if not all(isinstance(key, str | int) and key != "" for key in wanted.date_parameter):
        problems["date_parameter"] = "Write the keys that lead to the parameter."
    return problems


def _told(wanted: Wanted) -> Mapping[str, Json]:
    """What the record of acts says of it."""
    facts: dict[str, Json] = {name: getattr(wanted, name) for name in TOLD}
    rule = stored(wanted.rule) if wanted.rule else {}
    return {
        **facts,
        "pipeline": str(wanted.pipeline),
        "rule": rule,
        "owner": str(wanted.owner or ""),
        "begins": str(wanted.begins_at or ""),
        "ends": str(wanted.ends_at or ""),
        "date parameter": ".".join(map(str, wanted.date_parameter)),
    }
