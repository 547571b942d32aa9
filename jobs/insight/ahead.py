"""The days ahead: what schedules, rules, backfills and what runs now will make of the workers' slots and the quotas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from itertools import groupby, islice, takewhile
from typing import Final

from django.db.models import Count, OuterRef, Q, Subquery

from jobs.insight.durations import first_looked_at, lately_since
from jobs.insight.forecast import Uses, usual_uses
from jobs.insight.simulate import BACKFILL, Due, Flag, Follows, Foreseen, Line, Play, Pool
from jobs.models import Backfill, BackfillDate, Pipeline, Quota, Rule, Run, Schedule, Window, Worker
from jobs.models.snapshot import newest_of, picture_of
from jobs.quotas.turns import used_in_all
from jobs.schedules.due import next_dues
from jobs.states import Cause, Correlate, Occasion, Overlap, Status, Wants
from jobs.steps.overlap import unversioned

WEEK: Final = timedelta(days=7)
MOST_SCHEDULES: Final = 500
MOST_EACH: Final = 2_100
"""Due times of one schedule: every five minutes for a week."""
MOST_DUES: Final = 20_000
MOST_DATES: Final = 500
MOST_LIVE: Final = 200
UNKNOWN: Final = timedelta(seconds=60)
"""How long a run is taken to last whose pipeline has not succeeded yet."""
AROUND: Final = timedelta(hours=6)
"""How long before a due time something that stands in its way may have begun."""
SURE: Final = frozenset({Occasion.SUCCEEDED, Occasion.FINISHED, Occasion.PRODUCED})
SHORTEST: Final = timedelta(hours=1)
"""A window of a quota that is shorter only spreads calls out; it is never short for a day."""


@dataclass(frozen=True)
class Shortfall:
    """A window of a quota that the runs of a day or so would use more of than it allows."""

    quota: Quota
    window: Window
    begin: datetime
    end: datetime
    needed: int

    @property
    def sentence(self) -> str:
        return f"{self.quota} needs {self.needed:,} {self.window.unit} of the {self.window.allowed:,} that it allows."


@dataclass(frozen=True)
class Lane:
    """A pipeline and its runs of these days, in the order in which they are due."""

    pipeline: Pipeline
    usual_seconds: float | None
    runs: list[Foreseen]

    @property
    def flagged(self) -> int:
        return sum(bool(run.flags) for run in self.runs)


@dataclass(frozen=True)
class Use:
    """What the runs of one day of a window need of it, and what it allows."""

    begin: datetime
    end: datetime
    needed: int


@dataclass(frozen=True)
class Demand:
    """A window of a quota over the days ahead."""

    quota: Quota
    window: Window
    uses: list[Use]

    @property
    def shortfalls(self) -> list[Shortfall]:
        return [
            Shortfall(self.quota, self.window, use.begin, use.end, use.needed)
            for use in self.uses
            if use.needed > self.window.allowed
        ]


@dataclass(frozen=True)
class Problem:
    """What stands in the way of a pipeline's runs: the first time of it, and how often it happens."""

    pipeline: Pipeline
    kind: str
    sentence: str
    first_at: datetime
    count: int


@dataclass(frozen=True)
class Week:
    """The days ahead as they would go, and what was assumed."""

    begin: datetime
    end: datetime
    lanes: list[Lane]
    demands: list[Demand]
    slots: int
    assumed: list[str] = field(default_factory=list)

    @property
    def runs(self) -> int:
        return sum(len(lane.runs) for lane in self.lanes)

    @property
    def shortfalls(self) -> list[Shortfall]:
        return [each for demand in self.demands for each in demand.shortfalls]

    @property
    def problems(self) -> list[Problem]:
        """What stands in the way, each once however often it happens, the soonest first."""
        found: dict[tuple[int, str, int | None], list[tuple[Foreseen, Flag]]] = defaultdict(list)
        for lane in self.lanes:
            for run in lane.runs:
                for flag in run.flags:
                    found[lane.pipeline.pk, flag.kind, flag.other].append((run, flag))
        pipelines = {lane.pipeline.pk: lane.pipeline for lane in self.lanes}
        problems = [
            Problem(pipelines[pk], kind, times[0][1].sentence, times[0][0].due.at, len(times))
            for (pk, kind, _), times in found.items()
        ]
        return sorted(problems, key=lambda problem: (problem.first_at, problem.pipeline.name, problem.kind))


def week_ahead(at: datetime, *, until: datetime | None = None) -> Week:
    """The week from now on, or what comes until then."""
    end = until or at + WEEK
    world = _World(at)
    dues, cut = _scheduled(foreseen_schedules(), at, end)
    runs = world.play([*world.live(at), *world.backfills(at), *dues], end)
    world.flag_shortfalls(runs, at, end)
    for run in runs:
        if run.due.origin[0] in ("run", BACKFILL):  # they are there already, and have reasons of their own
            run.flags.clear()
    return Week(at, end, world.lanes(runs), world.demands(runs, at, end), world.slots, world.assumed(cut))


def collisions(
    pipeline: Pipeline,
    dues: Sequence[datetime],
    at: datetime,
    *,
    own: int | None = None,
    overlap: str = "",
    schedules: Sequence[Schedule] | None = None,
) -> dict[datetime, list[Flag]]:
    """What stands in the way of these due times of a schedule that may not be saved; `own` is its number if it is.

    The other schedules, where somebody has read them already `schedules`, are played out around each of them: waits
    for slots and files, and quotas that fall short.
    """  # fmt: skip
    if not dues:
        return {}
    known = foreseen_schedules() if schedules is None else schedules
    world, others = _World(at), [each for each in known if each.pk != own]
    mine = ("schedule", own or 0)
    found: dict[datetime, list[Flag]] = {}
    for some in _near(sorted(dues)):
        begin, end = max(at, some[0] - AROUND), some[-1] + AROUND
        scheduled, _ = _scheduled(others, begin, end)
        asked = [Due(due, pipeline.pk, mine, overlap, tick=due) for due in some]
        runs = world.play([*scheduled, *asked], end)
        world.flag_shortfalls(runs, begin, end)
        found |= {run.due.at: run.flags for run in runs if run.due.origin == mine and run.flags}
    return found


def _near(dues: Sequence[datetime]) -> Iterator[list[datetime]]:
    """Due times that are so near to each other that they are played out together."""
    some = [dues[0]]
    for due in dues[1:]:
        if due - some[-1] > 2 * AROUND:
            yield some
            some = []
        some.append(due)
    yield some


def foreseen_schedules(pipeline: Pipeline | None = None) -> list[Schedule]:
    """Those that start something, and all of this pipeline."""
    going = Q(pipeline__is_registered=True, next_due_at__isnull=False)
    wanted = going if pipeline is None else going | Q(pipeline=pipeline.pk)
    return list(Schedule.objects.known().filter(wanted).order_by("pk")[:MOST_SCHEDULES])


def _scheduled(known: Iterable[Schedule], begin: datetime, end: datetime) -> tuple[list[Due], list[str]]:
    """What schedules start between these moments, and those of which not all is looked at."""
    going = (row for row in known if row.next_due_at and row.pipeline and row.pipeline.is_registered)
    found: list[Due] = []
    cut = []
    for schedule in going:
        due_times = takewhile(lambda due: due < end, next_dues(schedule, MOST_EACH + 1, begin))
        times = list(islice(due_times, MOST_EACH + 1))
        if len(times) > MOST_EACH or len(found) + len(times) > MOST_DUES:
            cut.append(schedule.name)
        room = max(0, min(MOST_EACH, MOST_DUES - len(found)))
        origin = ("schedule", schedule.pk)
        found += [Due(due, schedule.pipeline_id or 0, origin, schedule.overlap, tick=due) for due in times[:room]]
    return found, cut


class _World:
    """What does not change while the days are played out."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        rows = Pipeline.objects.filter(is_registered=True).select_related("project")
        rows = rows.annotate(floor=first_looked_at("pk"), picture=newest_of("project"))
        self.pipelines = {row.pk: row for row in rows}
        self._figures = lately_since({pk: vars(row)["floor"] or 0 for pk, row in self.pipelines.items()}, at=at)
        self.usual = {pk: self._figures[pk].usual_seconds for pk in self.pipelines}
        self.lines = {pk: self._line(row) for pk, row in self.pipelines.items()}
        self.follows = list(_rules())
        self.workers = [worker for worker in Worker.objects.alive(at) if worker.is_taking]
        self.slots = sum(worker.slots for worker in self.workers)
        windows = Window.objects.select_related("quota").order_by("quota__name", "pk")
        self._windows = [window for window in windows if window.length >= SHORTEST]

    def _line(self, row: Pipeline) -> Line:
        seconds = self.usual[row.pk]
        return Line(
            row.pk,
            row.name,
            timedelta(seconds=seconds) if seconds is not None else UNKNOWN,
            row.queue,
            row.priority,
            row.overlap,
            self._written(row) if row.locks_outputs else {},
        )

    def _written(self, row: Pipeline) -> dict[str, str]:
        """Files that it writes over, by project: two projects may well write one path, and do not know."""
        written = _written_in(vars(row)["picture"]).get(row.name, {})
        return {f"{row.project_id}:{file}": dataset for file, dataset in written.items()}

    def play(self, dues: Iterable[Due], end: datetime) -> list[Foreseen]:
        pools = [Pool(worker.slots, frozenset(worker.queues)) for worker in self.workers]
        return Play(self.lines, self.follows, pools, end).run(dues)

    # ---- what is there besides schedules

    def live(self, at: datetime) -> Iterator[Due]:
        """Runs that are not over: they hold their slots for the rest of their usual time."""
        rows = Run.objects.live().order_by("pk").only("pk", "pipeline_id", "status", "started_at", "cause")
        for run in rows[:MOST_LIVE]:
            line = self.lines.get(run.pipeline_id)
            origin = (BACKFILL if run.cause == Cause.BACKFILL else "run", run.pk)
            if line and run.status == Status.RUNNING:
                longest = line.usual * 0.9  # it may take longer than usual: a tenth is always still to come
                yield Due(max(run.started_at or at, at - longest), line.pipeline, origin, Overlap.BOTH)
            elif line:
                yield Due(at, line.pipeline, origin, Overlap.BOTH)

    def backfills(self, at: datetime) -> Iterator[Due]:
        """Dates that wait: so many at once, each round after the usual time of the one before."""
        dates = BackfillDate.objects.waiting().filter(backfill=OuterRef("pk")).order_by().values("backfill")
        waiting = Subquery(dates.annotate(count=Count("pk")).values("count"))
        for row in Backfill.objects.active().annotate(waiting=waiting):
            line = self.lines.get(row.pipeline_id)
            for place in range(min(vars(row)["waiting"] or 0, MOST_DATES) if line else 0):
                later = place // row.at_once * (line.usual if line else UNKNOWN)
                yield Due(at + later, row.pipeline_id, (BACKFILL, row.pk), Overlap.BOTH)

    # ---- what comes of it

    def lanes(self, runs: Iterable[Foreseen]) -> list[Lane]:
        """By pipeline, those with something to look at first, then by the first due time."""
        by_pipeline: dict[int, list[Foreseen]] = defaultdict(list)
        for run in runs:
            by_pipeline[run.due.pipeline].append(run)
        found = [Lane(self.pipelines[pk], self.usual[pk], mine) for pk, mine in by_pipeline.items()]
        return sorted(found, key=lambda lane: (not lane.flagged, lane.runs[0].due.at, lane.pipeline.name))

    def assumed(self, cut: Collection[str]) -> list[str]:
        """What the picture leaves out or takes for granted."""
        unknown = sorted(self.pipelines[pk].name for pk, seconds in self.usual.items() if seconds is None)
        parts = ["Each run takes as long as it usually does and succeeds."]
        if not self.workers:
            parts.append("No worker is alive, so nothing waits for a slot here.")
        if unknown:
            names = ", ".join(unknown[:3]) + (" and others" if len(unknown) > 3 else "")
            parts.append(f"How long {names} take is not known yet; a minute is assumed.")
        if cut:
            parts.append(f"Only the first due times of {', '.join(sorted(cut)[:5])} are looked at: there are too many.")
        return parts

    # ---- quotas

    @cached_property
    def _uses(self) -> Uses:
        quotas = {window.quota_id: window.quota for window in self._windows}
        return usual_uses(self.pipelines.values(), quotas.values(), self.at, self._figures)

    @cached_property
    def _spent(self) -> Mapping[int, int]:
        """Of each window what is used now."""
        return used_in_all(self._windows, self.at)

    def demands(self, runs: Sequence[Foreseen], at: datetime, end: datetime) -> list[Demand]:
        """Each window that is long enough to fall short, with what is needed of it span by span."""
        return [
            Demand(window.quota, window, uses)
            for window in self._windows
            if (uses := self._uses_of(window, runs, at, end))
        ]

    def _uses_of(self, window: Window, runs: Sequence[Foreseen], at: datetime, end: datetime) -> list[Use]:
        uses, quota = self._uses, window.quota_id
        needs = [(run.starts_at, uses[run.due.pipeline, quota][window.unit]) for run in runs if run.starts_at]
        if not any(amount for _, amount in needs):
            return []
        found = []
        for begin, until in _spans(window, at, end):
            amount = sum(amount for moment, amount in needs if begin <= moment < until)
            spent = self._spent[window.pk] if begin <= at else 0
            found.append(Use(begin, until, round(amount + spent)))
        return found

    def flag_shortfalls(self, runs: Sequence[Foreseen], at: datetime, end: datetime) -> None:
        """Tell each run that comes after its quota is used up in its span."""
        for demand in self.demands(runs, at, end):
            for short in demand.shortfalls:
                spent = float(self._spent[short.window.pk]) if short.begin <= at else 0.0
                for run in sorted((each for each in runs if each.starts_at), key=lambda each: each.starts_at or at):
                    if run.starts_at is None or not short.begin <= run.starts_at < short.end:
                        continue
                    amount = self._uses[run.due.pipeline, short.quota.pk][short.window.unit]
                    spent += amount
                    if amount and spent > short.window.allowed:
                        run.flags.append(Flag("quota", short.sentence))


def _spans(window: Window, at: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The calendar days of a window, or spans of its length, from the present one on."""
    begin = at if window.seconds else window.day(at)
    while begin < end:
        until = begin + window.length if window.seconds else window.day(begin, later=1)
        yield begin, until
        begin = until


def _rules() -> Iterator[Follows]:
    """What a success brings about; a condition or a handler may say no."""
    wanted = Rule.objects.filter(is_enabled=True, outcome__in=sorted(SURE))
    rows = Rule.sources.through.objects.filter(rule__in=wanted).select_related("rule").order_by("rule__name")
    for rule, each in groupby(rows, key=lambda row: row.rule):
        yield Follows(
            rule.pk,
            frozenset(row.pipeline_id for row in each),
            rule.target_id,
            wants_all=rule.wants == Wants.ALL,
            by_tick=rule.correlate == Correlate.TICK,
            is_sure=not (rule.condition.strip() or rule.handler),
        )


@lru_cache(maxsize=256)
def _written_in(snapshot_id: int | None) -> Mapping[str, Mapping[str, str]]:
    """For each pipeline of a snapshot, which never changes, the files that it writes over."""
    picture = picture_of(snapshot_id) if snapshot_id else None
    return {each.name: unversioned(each.nodes, picture) for each in picture.pipelines} if picture else {}
