"""How pipelines did lately: their last runs as bars, how often they succeed, how long they usually take.

All of it comes from the newest runs of each pipeline, found by index, so it costs the same for ten runs and a million.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache, reduce
from operator import or_
from statistics import median, quantiles

from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from jobs.models import Event, NodeRun, Pipeline, Run
from jobs.states import FINAL, NodeStatus, Status

SHOWN = 25
"""Runs that are drawn as bars and as columns."""

LOOKED_AT = 60
"""Newest runs of a pipeline, or successes, that its figures come from."""

SUCCESSES = 20
"""Newest successes whose durations make the usual one."""

TIMES = ("started_at", "finished_at")
FEW_SUCCESSES = 10
"""Newest successes that the usual times of nodes come from."""

NEWEST = 2**63 - 1
"""No run has this number."""

FIRST_EVENTS = 5
"""Of a run: that its first process began is among them."""

TOGETHER = 100
"""Pipelines in one query: SQLite refuses conditions that are nested too deeply."""


@dataclass(frozen=True)
class Usual:
    """Seconds from start to end of the last successes of a pipeline."""

    median: float
    p95: float
    count: int


def usual(pipeline_id: int, before: int | None = None) -> Usual | None:
    """By the last 20 of its last 60 successes (older than run `before`) that had something to do; None for none."""
    return usual_times(pipeline_id, before)[0]


def usual_times(pipeline_id: int, before: int | None = None) -> tuple[Usual | None, tuple[int, ...]]:
    """`usual`, and the runs whose nodes say what is usual for a node: both from one look at the successes."""
    rows = list(Run.objects.succeeded(pipeline_id).before(before).values_list("pk", *TIMES)[:LOOKED_AT])
    seconds = [(finished - started).total_seconds() for _, started, finished in rows if finished and started]
    return _usual_of([each for each in seconds if each > 0][:SUCCESSES]), tuple(pk for pk, *_ in rows[:FEW_SUCCESSES])


def _usual_of(seconds: list[float]) -> Usual | None:
    if not seconds:
        return None
    p95 = quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return Usual(median(seconds), p95, len(seconds))


def usual_of_nodes(pipeline_id: int, before: int | None = None) -> Mapping[str, float]:
    """Median seconds of each node in at most the last ten successes (older than run `before`)."""
    rows = Run.objects.succeeded(pipeline_id).before(before)
    return usual_of_nodes_in(tuple(rows.values_list("pk", flat=True)[:FEW_SUCCESSES]))


@lru_cache(maxsize=64)
def usual_of_nodes_in(runs: tuple[int, ...]) -> Mapping[str, float]:
    """Of runs that have ended: their times do not change any more."""
    times: dict[str, list[float]] = defaultdict(list)
    rows = NodeRun.objects.filter(run__in=runs, status=NodeStatus.SUCCEEDED, seconds__isnull=False)
    for name, seconds in rows.values_list("name", "seconds"):
        times[name].append(seconds or 0.0)
    return {name: median(each) for name, each in times.items()}


@lru_cache(maxsize=64)
def usual_start_of(runs: tuple[int, ...]) -> float | None:
    """Median seconds from the claim of such a run, which has ended, to the first word of its process."""
    rows = Event.objects.filter(run__in=runs, kind="child_started", seq__lte=FIRST_EVENTS).order_by("run", "seq")
    seconds: dict[int, float] = {}
    for run, at, claimed_at in rows.values_list("run", "at", "step__started_at"):
        if claimed_at:
            seconds.setdefault(run, max(0.0, (at - claimed_at).total_seconds()))
    return median(seconds.values()) if seconds else None


@dataclass(frozen=True)
class Bar:
    """One run: `seconds` is None while it waits, `height` is its share of the longest ended one, in percent."""

    number: int
    status: str
    started_at: datetime | None
    created_at: datetime
    seconds: float | None
    height: int = 0


@dataclass(frozen=True)
class Lately:
    """The last runs of one pipeline, oldest first, and what they say."""

    bars: list[Bar] = field(default_factory=list)
    success_rate: float | None = None
    usual_seconds: float | None = None
    slow_seconds: float | None = None
    successes: tuple[int, ...] = ()
    """The numbers of the newest ones, from which it is told what a run usually uses."""

    @property
    def success_percent(self) -> int | None:
        """Rounded down, so that 100 means all of them."""
        return None if self.success_rate is None else int(self.success_rate * 100)

    @property
    def last(self) -> Bar | None:
        return self.bars[-1] if self.bars else None


def lately(pipelines: Iterable[Pipeline], *, at: datetime) -> dict[int, Lately]:
    """For each pipeline, by its id, how it did: success rate over the bars (cancelled runs do not count), median
    (usual) and 95th percentile (slow) of its newest successes in seconds (not of those with nothing to do)."""
    floors: dict[int, int] = {}
    for some in _together([pipeline.pk for pipeline in pipelines]):
        rows = Pipeline.objects.filter(pk__in=some).annotate(floor=first_looked_at("pk"))
        floors |= {pk: floor or 0 for pk, floor in rows.values_list("pk", "floor")}
    return lately_since(floors, at=at)


def lately_since(floors: Mapping[int, int], *, at: datetime) -> dict[int, Lately]:
    """The same of pipelines of which somebody knows from which run on they are looked at."""
    return {pipeline_id: _told(bars) for pipeline_id, bars in _newest(floors, at).items()}


def first_looked_at(pipeline: str) -> Subquery:
    """From which run on this column's pipeline is looked at; None: all of them."""
    newest = Run.objects.filter(pipeline=OuterRef(pipeline)).order_by("-id").values("id")
    return Subquery(newest[LOOKED_AT - 1 : LOOKED_AT])


class Neighbours:
    """The runs of its pipeline around a run, read once when somebody asks."""

    def __init__(self, run: Run, older: int = SHOWN) -> None:
        self.run, self._older = run, older

    @cached_property
    def rows(self) -> list[Run]:
        """Newest first: at most as many newer ones as are shown, the run, and older ones."""
        known = Run.objects.filter(pipeline=self.run.pipeline_id)
        older = known.filter(pk__lte=self.run.pk).order_by("-pk").values("pk")[self._older - 1 : self._older]
        newer = known.filter(pk__gt=self.run.pk).order_by("pk").values("pk")[SHOWN - 1 : SHOWN]
        between = known.filter(pk__gte=Coalesce(Subquery(older), 0), pk__lte=Coalesce(Subquery(newer), NEWEST))
        return list(between.order_by("-pk").only("status", "created_at", "error", *TIMES))

    @property
    def past(self) -> list[Run]:
        """The run itself and older ones, newest first."""
        return [row for row in self.rows if row.pk <= self.run.pk]


def around(neighbours: Neighbours, at: datetime) -> list[Bar]:
    """The runs of its pipeline around this one, oldest first: as many as are shown, half of them newer if there are."""
    run = neighbours.run
    rows = [(row.pk, row.status, row.created_at, row.started_at, row.finished_at) for row in neighbours.rows]
    newer = [row for row in rows if row[0] > run.pk][::-1]
    older = [row for row in rows if row[0] <= run.pk]
    half = SHOWN // 2
    most = max(half, SHOWN - len(older))
    chosen = [*newer[:most][::-1], *older[: SHOWN - min(len(newer), most)]]
    return _with_heights([_bar(*row, at=at) for row in chosen])


def _bar(
    number: int, status: str, created_at: datetime, started_at: datetime | None, ended: datetime | None, *, at: datetime
) -> Bar:
    seconds = ((ended or at) - started_at).total_seconds() if started_at else None
    return Bar(number, status, started_at, created_at, seconds)


def _newest(floors: Mapping[int, int], at: datetime) -> dict[int, list[Bar]]:
    """The newest runs of each pipeline, newest first."""
    found: dict[int, list[Bar]] = {pk: [] for pk in floors}
    for some in _together(list(found)):
        windows = [Q(pipeline=pk, id__gte=floors[pk]) for pk in some]
        rows = Run.objects.filter(reduce(or_, windows)).order_by()  # in order a database would read them all
        names = ("pipeline_id", "id", "status", "created_at", *TIMES)
        for pipeline_id, *columns in rows.values_list(*names):
            found[pipeline_id].append(_bar(*columns, at=at))
    return {pk: sorted(bars, key=lambda bar: -bar.number) for pk, bars in found.items()}


def _together(pipelines: list[int]) -> Iterable[list[int]]:
    return (pipelines[start : start + TOGETHER] for start in range(0, len(pipelines), TOGETHER))


def _told(newest: list[Bar]) -> Lately:
    shown = newest[:SHOWN]
    counted = [bar for bar in shown if bar.status in FINAL and bar.status != Status.CANCELLED]
    good = sum(bar.status == Status.SUCCEEDED for bar in counted)
    successes = [bar for bar in newest if bar.status == Status.SUCCEEDED]
    found = _usual_of([bar.seconds for bar in successes if bar.seconds][:SUCCESSES])
    return Lately(
        bars=_with_heights(shown),
        success_rate=good / len(counted) if counted else None,
        usual_seconds=found.median if found else None,
        slow_seconds=found.p95 if found and found.count > 1 else None,
        successes=tuple(bar.number for bar in successes[:SUCCESSES]),
    )


def _with_heights(newest: list[Bar]) -> list[Bar]:
    longest = max((bar.seconds or 0 for bar in newest if bar.status in FINAL), default=0)
    return [
        Bar(bar.number, bar.status, bar.started_at, bar.created_at, bar.seconds, _height(bar.seconds, longest))
        for bar in reversed(newest)
    ]


def _height(seconds: float | None, longest: float) -> int:
    """Never so low that a bar cannot be seen or hit; a run under way may be longer than all that have ended."""
    return min(max(round(100 * (seconds or 0) / longest), 12), 100) if longest else 12


@dataclass(frozen=True)
class Cell:
    """One node in one run; no status when the run did not have that node."""

    run: int
    status: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Row:
    node: str
    cells: list[Cell]
    is_box: bool = False
    """It stands for several nodes: each cell shows the worst of them, and how long they took together."""


WORST: Mapping[str, int] = {
    status: place
    for place, status in enumerate(
        ("failed", "crashed", "running", "cancelled", "blocked", "waiting", "succeeded", "reused", "")
    )
}


def together(name: str, rows: Iterable[Row]) -> Row:
    """One row for these."""
    columns = zip(*(row.cells for row in rows), strict=True)
    return Row(name, [_worst(cells) for cells in columns], is_box=True)


def _worst(cells: Iterable[Cell]) -> Cell:
    found = sorted(cells, key=lambda cell: WORST.get(cell.status, 0))
    times = [cell.seconds for cell in found if cell.seconds is not None]
    return Cell(found[0].run, found[0].status, sum(times) if times else None)


def grid(nodes: Iterable[str], bars: Iterable[Bar]) -> list[Row]:
    """Nodes as rows, runs as columns, in the orders given."""
    nodes, numbers = list(nodes), [bar.number for bar in bars]
    rows = NodeRun.objects.filter(run__in=numbers)
    if len(nodes) == 1:
        rows = rows.filter(name=nodes[0])
    known: Mapping[tuple[int, str], Cell] = {
        (run, name): Cell(run, status, seconds)
        for run, name, status, seconds in rows.values_list("run_id", "name", "status", "seconds")
    }
    return [Row(node, [known.get((run, node), Cell(run)) for run in numbers]) for node in nodes]
