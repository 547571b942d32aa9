"""The days ahead: what schedules, rules, backfills and what runs now will make of the workers' slots and the quotas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Final

from jobs.insight.durations import lately
from jobs.insight.forecast import usual_use
from jobs.insight.simulate import BACKFILL, Due, Flag, Follows, Foreseen, Line, Play, Pool
from jobs.models import Backfill, Pipeline, Quota, Rule, Run, Schedule, Window, Worker
from jobs.quotas.turns import used
from jobs.schedules.due import next_dues
from jobs.states import BackfillStatus, Cause, Correlate, Occasion, Overlap, Status, Wants
from jobs.steps.overlap import unversioned

WEEK: Final = timedelta(days=7)
MOST_SCHEDULES: Final = 500
MOST_EACH: Final = 2_100
"""Due times of one schedule: every five minutes for a week."""
MOST_DUES: Final = 20_000
MOST_DATES: Final = 500
MOST_LIVE: Final = 200
MOST_GRANTS: Final = 2_000
NOTHING: Final[Mapping[str, float]] = {"requests": 0.0, "rows": 0.0}
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
    dues, cut = _scheduled(Schedule.objects.all(), at, end)
    runs = world.play([*world.live(at), *world.backfills(at), *dues], end)
    world.flag_shortfalls(runs, at, end)
    for run in runs:
        if run.due.origin[0] in ("run", BACKFILL):  # they are there already, and have reasons of their own
            run.flags.clear()
    return Week(at, end, world.lanes(runs), world.demands(runs, at, end), world.slots, world.assumed(cut))


def collisions(
    pipeline: Pipeline, dues: Sequence[datetime], at: datetime, *, own: int | None = None, overlap: str = ""
) -> dict[datetime, list[Flag]]:
    """What stands in the way of these due times of a schedule that may not be saved; `own` is its number if it is.

    The other schedules are played out around each of them: waits for slots and files, and quotas that fall short.
    """
    if not dues:
        return {}
    world, others = _World(at), Schedule.objects.exclude(pk=own or 0)
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


def _scheduled(rows: Iterable[Schedule], begin: datetime, end: datetime) -> tuple[list[Due], list[str]]:
    """What schedules start between these moments, and those of which not all is looked at."""
    known = rows.known().filter(pipeline__is_registered=True, next_due_at__isnull=False)  # type: ignore[attr-defined]
    found: list[Due] = []
    cut = []
    for schedule in known[:MOST_SCHEDULES]:
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
        rows = Pipeline.objects.filter(is_registered=True).select_related("project")
        self.pipelines = {row.pk: row for row in rows}
        figures = lately(self.pipelines.values(), at=at)
        self.usual = {pk: figures[pk].usual_seconds for pk in self.pipelines}
        self._writes: dict[int, dict[str, dict[str, str]]] = {}
        self.lines = {pk: self._line(row) for pk, row in self.pipelines.items()}
        self.follows = list(_rules())
        self.workers = [worker for worker in Worker.objects.alive(at) if worker.is_taking]
        self.slots = sum(worker.slots for worker in self.workers)
        self.quotas = list(Quota.objects.prefetch_related("windows"))
        self._uses: dict[tuple[int, int], Mapping[str, float]] = {}
        self._users: dict[int, frozenset[int | None]] = {}

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
        if row.project_id not in self._writes:
            snapshot = row.project.snapshot
            pictures = snapshot.picture.pipelines if snapshot else []
            found = {each.name: unversioned(each.nodes, snapshot) for each in pictures} if snapshot else {}
            self._writes[row.project_id] = found
        written = self._writes[row.project_id].get(row.name, {})
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
        for row in Backfill.objects.filter(status=BackfillStatus.RUNNING):
            line = self.lines.get(row.pipeline_id)
            waiting = min(row.dates.waiting().count(), MOST_DATES)
            for place in range(waiting if line else 0):
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

    def use_of(self, pipeline: int, quota: Quota) -> Mapping[str, float]:
        key = (pipeline, quota.pk)
        if key not in self._uses:
            is_user = pipeline in self._users_of(quota) or quota.name in self.pipelines[pipeline].takes
            self._uses[key] = usual_use(pipeline, quota) if is_user else NOTHING
        return self._uses[key]

    def _users_of(self, quota: Quota) -> frozenset[int | None]:
        """The pipelines that have used it lately."""
        if quota.pk not in self._users:
            rows = quota.grants.order_by("-pk").values_list("run__pipeline_id", flat=True)
            self._users[quota.pk] = frozenset(rows[:MOST_GRANTS])
        return self._users[quota.pk]

    def demands(self, runs: Sequence[Foreseen], at: datetime, end: datetime) -> list[Demand]:
        """Each window that is long enough to fall short, with what is needed of it span by span."""
        return [
            Demand(quota, window, uses)
            for quota in self.quotas
            for window in quota.windows.all()
            if window.length >= SHORTEST and (uses := self._uses_of(quota, window, runs, at, end))
        ]

    def _uses_of(
        self, quota: Quota, window: Window, runs: Sequence[Foreseen], at: datetime, end: datetime
    ) -> list[Use]:
        needs = [(run.starts_at, self.use_of(run.due.pipeline, quota)[window.unit]) for run in runs if run.starts_at]
        if not any(amount for _, amount in needs):
            return []
        found = []
        for begin, until in _spans(window, at, end):
            amount = sum(amount for moment, amount in needs if begin <= moment < until)
            spent = used(quota, window, at) if begin <= at else 0
            found.append(Use(begin, until, round(amount + spent)))
        return found

    def flag_shortfalls(self, runs: Sequence[Foreseen], at: datetime, end: datetime) -> None:
        """Tell each run that comes after its quota is used up in its span."""
        for demand in self.demands(runs, at, end):
            for short in demand.shortfalls:
                spent = float(used(short.quota, short.window, at)) if short.begin <= at else 0.0
                for run in sorted((each for each in runs if each.starts_at), key=lambda each: each.starts_at or at):
                    if run.starts_at is None or not short.begin <= run.starts_at < short.end:
                        continue
                    amount = self.use_of(run.due.pipeline, short.quota)[short.window.unit]
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
    rows = Rule.objects.filter(is_enabled=True, outcome__in=sorted(SURE)).prefetch_related("sources")
    for rule in rows:
        yield Follows(
            rule.pk,
            frozenset(source.pk for source in rule.sources.all()),
            rule.target_id,
            wants_all=rule.wants == Wants.ALL,
            by_tick=rule.correlate == Correlate.TICK,
            is_sure=not (rule.condition.strip() or rule.handler),
        )
