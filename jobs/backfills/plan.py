"""What a backfill would do, date by date, before it does anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import islice
from math import ceil
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings

from jobs.errors import BadParameters
from jobs.insight.durations import Lately, usual_times
from jobs.insight.forecast import forecast, standing, usual_uses
from jobs.models import Pipeline, Quota, Run, Schedule, Snapshot
from jobs.models.backfill import MOST_AT_ONCE
from jobs.runs.launch import check_choices, nodes_of
from jobs.schedules.due import rule_of
from jobs.schedules.dues import AtTimes, Days, Every, Rule, dues
from jobs.states import LIVE, Again, DateStatus, Direction, Overlap, Status
from jobs.steps.overlap import unversioned
from jobs.structure import parameters as runtime
from jobs.structure.dated import dated, path_of
from jobs.structure.parameters import settled
from jobs.structure.paths import Path, merge
from jobs.structure.paths import at as at_path
from jobs.structure.selection import read
from kedro_console.wire import Group, Json, Key, Value

MOST_DATES: Final = 5_000
FIRST_YEAR: Final = 1970
EVERY: Final = {
    "day": "Every day",
    "week": "Every Monday",
    "month": "On the first day of every month",
    "hour": "Every hour",
}
"""Due times of a pipeline that no schedule starts, in words."""
DAYS: Final = {"week": Days(weekdays=frozenset({1})), "month": Days(days_of_month=frozenset({1}))}
MIDNIGHT: Final = time()
HOURS: Final = tuple(time(hour) for hour in range(24))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What somebody asks for: the first and the last day are days of the zone, both included."""

    pipeline: Pipeline
    first_day: date
    last_day: date
    schedule: Schedule | None = None
    """Whose due times, parameters and choices count; None: every `every`."""
    every: str = "day"
    zone: str = ""
    """Empty: the schedule's, else the console's."""
    again: str = Again.UNSUCCESSFUL
    direction: str = Direction.OLDEST
    at_once: int = 1
    date_parameter: str | None = None
    """As Kedro names it, such as params:date; "" for none, None: as the schedule has it."""
    parameters: Group = field(default_factory=dict)
    selection: dict[str, Json] | None = None
    """None: as the schedule has it."""
    runner: str = ""


@dataclass(frozen=True)
class Planned:
    """One date: what became of it before, and whether it would run."""

    due_at: datetime
    run: Run | None
    """The newest run for this date."""
    is_skipped: bool
    reason: str
    value: Value = None
    """What the date parameter would get."""

    @property
    def verb(self) -> str:
        """create, again or skip."""
        return "skip" if self.is_skipped else "again" if self.run else "create"

    @property
    def status(self) -> DateStatus:
        return DateStatus.SKIPPED if self.is_skipped else DateStatus.WAITING


@dataclass(frozen=True)
class Calls:
    """What the runs would usually use of a quota, and when they would have found room if nobody else used it."""

    quota: Quota
    requests: int
    done_at: datetime | None


@dataclass(frozen=True)
class Plan:
    """A backfill as it would be begun; its parameters are nested and checked, its dates the oldest first."""

    wanted: Wanted
    zone: ZoneInfo
    words: str
    path: Path
    parameters: dict[Key, Value]
    selection: dict[str, Json]
    runner: str
    dates: list[Planned]
    usual_seconds: float | None
    calls: list[Calls]
    serial: str
    """Why one of its runs waits for the other, however many at once are wished; "" when they go together."""

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(planned.verb for planned in self.dates)

    @property
    def runs(self) -> int:
        return self.counts["create"] + self.counts["again"]

    @property
    def beside(self) -> str:
        """What else there is to say of the runs, after their number."""
        skipped, again = self.counts["skip"], self.counts["again"]
        parts = [f"{again:,} of them again" if again else "", f"{skipped:,} skipped" if skipped else ""]
        return "".join(f", {part}" for part in parts if part)

    @property
    def together(self) -> int:
        """How many may really be under way at once."""
        return 1 if self.serial else self.wanted.at_once

    @property
    def seconds(self) -> float | None:
        """All of it, with so many at once; None while the pipeline's usual duration is not known."""
        return None if self.usual_seconds is None else self.usual_seconds * -(-self.runs // self.together)

    @property
    def work_seconds(self) -> float | None:
        """The durations of all its runs together."""
        return None if self.usual_seconds is None else self.usual_seconds * self.runs


def plan(wanted: Wanted, at: datetime) -> Plan:
    """Each date with what happens to it, and the totals; BadParameters with a sentence for each field."""
    zone = _zone(wanted)
    rule, words = _rule(wanted)
    snapshot, selection = _checked_choices(wanted, at)
    path = _path(wanted)
    found = _dues(wanted, rule, zone, at)
    parameters = _parameters(wanted, snapshot)
    values = _values(wanted, parameters, path, found, zone, snapshot)
    before = runs_for(wanted.pipeline, found)
    dates = [_planned(due, before.get(due), wanted.again, value) for due, value in zip(found, values, strict=True)]
    runs = sum(not planned.is_skipped for planned in dates)
    times, successes = usual_times(wanted.pipeline.pk)
    return Plan(
        wanted,
        zone,
        words,
        path,
        parameters,
        selection,
        wanted.runner or (wanted.schedule.runner if wanted.schedule else ""),
        dates,
        times.median if times else None,
        list(_calls(wanted.pipeline, successes, runs, at)),
        _serial(wanted.pipeline, snapshot, selection),
    )


# ---- its dates


def _zone(wanted: Wanted) -> ZoneInfo:
    name = wanted.zone or (wanted.schedule.zone if wanted.schedule else settings.TIME_ZONE)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadParameters(
            {"zone": f"There is no time zone “{name[:60]}”: write one such as Europe/Berlin."}
        ) from error


def _rule(wanted: Wanted) -> tuple[Rule, str]:
    if wanted.schedule:
        return _rule_of(wanted.schedule, wanted.pipeline), f"As the schedule {wanted.schedule}"
    if wanted.every not in EVERY:
        raise BadParameters({"every": f"Write {', '.join(EVERY)}."})
    times = HOURS if wanted.every == "hour" else (MIDNIGHT,)
    rule = AtTimes(times, DAYS.get(wanted.every, Days()), is_elapsed=wanted.every == "hour")
    return rule, EVERY[wanted.every]


def _rule_of(schedule: Schedule, pipeline: Pipeline) -> Rule:
    """The schedule's rule, whatever its edits, pauses and ends are."""
    rule = rule_of(schedule)
    if schedule.pipeline_id != pipeline.pk or rule is None:
        why = "has no rule" if rule is None else f"starts another pipeline than {pipeline.name}"
        raise BadParameters({"schedule": f"{schedule} {why}."})
    return rule


def _reaching(rule: Rule, begin: datetime) -> Rule:
    """An interval is counted from its anchor on: for what lies before, the anchor moves back by whole intervals."""
    if not isinstance(rule, Every) or rule.anchor <= begin:
        return rule
    back = ceil((rule.anchor - begin).total_seconds() / rule.seconds)
    return replace(rule, anchor=rule.anchor - back * timedelta(seconds=rule.seconds))


def _dues(wanted: Wanted, rule: Rule, zone: ZoneInfo, at: datetime) -> list[datetime]:
    """Those of the range that have passed, the oldest first."""
    if wanted.last_day < wanted.first_day:
        raise BadParameters({"to": f"Lies before the first day, {wanted.first_day}."})
    if not FIRST_YEAR <= wanted.first_day.year <= at.year:
        raise BadParameters({"from": f"Choose a day between {FIRST_YEAR} and today: a backfill runs what has passed."})
    begin = datetime.combine(wanted.first_day, time(), zone).astimezone(UTC)
    end = datetime.combine(min(wanted.last_day, at.astimezone(zone).date()) + timedelta(days=1), time(), zone)
    moment = timedelta(microseconds=1)
    until = min(end.astimezone(UTC) - moment, at)
    found = list(islice(dues(_reaching(rule, begin), zone, begin - moment, until), MOST_DATES + 1))
    if not found:
        raise BadParameters({"to": "Nothing was due between these days: choose others."})
    if len(found) > MOST_DATES:
        raise BadParameters({"to": f"More than {MOST_DATES:,} dates: choose a shorter range."})
    return found


def runs_for(pipeline: Pipeline, found: list[datetime]) -> dict[datetime, Run]:
    """The newest run of the pipeline for each of these due times that has one, whatever started it."""
    rows = Run.objects.filter(pipeline=pipeline, due_at__gte=found[0], due_at__lte=found[-1]).order_by("id")
    return {run.due_at: run for run in rows.only("id", "due_at", "status", "cause", "pipeline_id") if run.due_at}


def why_not(run: Run | None, again: str) -> str:
    """Why a date whose newest run is this one does not run; "" when it does."""
    if run is None:
        return ""
    if run.status in LIVE:
        return f"Run #{run.pk} of this date is {run.status}."
    if again == Again.NEW:
        return f"Run #{run.pk} of this date {run.status}." if run.status != Status.CANCELLED else ""
    if again == Again.UNSUCCESSFUL and run.status == Status.SUCCEEDED:
        return f"Run #{run.pk} of this date succeeded."
    return ""


def _planned(due: datetime, run: Run | None, again: str, value: Value) -> Planned:
    reason = why_not(run, again)
    return Planned(due, run, bool(reason), reason, value)


# ---- what its runs are given


def _checked_choices(wanted: Wanted, at: datetime) -> tuple[Snapshot, dict[str, Json]]:
    raw = wanted.selection
    if raw is None:
        raw = dict(wanted.schedule.selection) if wanted.schedule else {}
    if not 1 <= wanted.at_once <= MOST_AT_ONCE:
        raise BadParameters({"at_once": f"Write a whole number from 1 to {MOST_AT_ONCE}."})
    selection = read(raw)
    return check_choices(wanted.pipeline, selection, at=at), selection.stored


def _path(wanted: Wanted) -> Path:
    if wanted.date_parameter is None:
        return tuple(wanted.schedule.date_parameter) if wanted.schedule else ()
    return path_of(wanted.date_parameter, wanted.pipeline.known_parameters)


def _parameters(wanted: Wanted, snapshot: Snapshot) -> dict[Key, Value]:
    """Those of the schedule, over them those that were given, with the project's own keys."""
    known = snapshot.picture.parameters
    own = settled(wanted.schedule.parameters, known) if wanted.schedule else {}
    return merge(own, settled(wanted.parameters, known))


def _values(
    wanted: Wanted,
    parameters: dict[Key, Value],
    path: Path,
    found: list[datetime],
    zone: ZoneInfo,
    snapshot: Snapshot,
) -> list[Value]:
    """What the date parameter gets for each due time; the first and the last are tried as a run would be."""
    own = wanted.pipeline
    for due in {found[0], found[-1]}:
        _try(own, dated(parameters, path, due, zone, pipeline=own, snapshot=snapshot), snapshot)
    if not path:
        return [None] * len(found)
    runs = (dated(parameters, path, due, zone, pipeline=own, snapshot=snapshot) for due in found)
    return [at_path(given, path)[1] for given in runs]


def _try(pipeline: Pipeline, parameters: Group, snapshot: Snapshot) -> None:
    runtime.check(
        runtime.as_given(parameters),
        picture=snapshot.picture,
        pipeline=snapshot.pipeline(pipeline.name),
        defaults=pipeline.default_parameters,
    )


# ---- what it costs


def _serial(pipeline: Pipeline, snapshot: Snapshot, selection: dict[str, Json]) -> str:
    if pipeline.overlap != Overlap.BOTH:
        return f"Runs of {pipeline.name} do not overlap (policy: {Overlap(pipeline.overlap).label})."
    if not pipeline.locks_outputs:
        return ""
    files = sorted(set(unversioned(nodes_of(pipeline, snapshot, read(selection)), snapshot.picture).values()))
    return f"Each run writes {', '.join(files[:3])} over, so one waits for the other." if files else ""


def _calls(pipeline: Pipeline, successes: tuple[int, ...], runs: int, at: datetime) -> Iterable[Calls]:
    quotas = list(Quota.objects.prefetch_related("windows"))
    found = usual_uses([pipeline], quotas, at, {pipeline.pk: Lately(successes=successes)})
    now = standing(quotas, at)
    for quota in quotas:
        uses = found[pipeline.pk, quota.pk]
        if runs and any(uses.values()):
            each = {"requests_each": uses["requests"], "rows_each": uses["rows"]}
            yield Calls(quota, round(uses["requests"] * runs), forecast(runs, quota, at, **each, now=now))
