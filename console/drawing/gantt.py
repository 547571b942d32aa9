"""A run's nodes on a line of time, as percentages that the page draws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from jobs.models import NodeRun, Run

STEPS: Final = (0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
MOST_TICKS: Final = 6


@dataclass(frozen=True)
class Part:
    """A stretch of a bar that goes to loading or saving."""

    kind: str
    left: float
    width: float


@dataclass(frozen=True)
class Tried:
    """One attempt of a node: when it ran and how it ended; `ended_at` is None while it is under way."""

    number: int
    status: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Lane:
    """One attempt of a node that was tried more than once, as it is drawn."""

    number: int
    of: int
    status: str
    left: float
    width: float
    seconds: float
    parts: list[Part]


@dataclass(frozen=True)
class Bar:
    """One node: where its bar begins and how wide it is, in percent; None for a node that has not started."""

    node: NodeRun
    left: float | None
    width: float
    seconds: float | None
    parts: list[Part] = field(default_factory=list)
    is_critical: bool = False
    """Whether it is one of the chain that takes longest: the run cannot be faster than these."""
    lanes: list[Lane] = field(default_factory=list)
    """Its attempts in their order, where there was more than one."""


@dataclass(frozen=True)
class Told:
    """What the process said of a node's dataset: it was loaded or saved, and that took so long until then."""

    kind: str
    node: str
    at: datetime
    seconds: float


LOADED: Final = "dataset_loaded"
SAVED: Final = "dataset_saved"
PARTS: Final = {LOADED: "load", SAVED: "save"}


@dataclass(frozen=True)
class Tick:
    left: float
    after: timedelta


@dataclass(frozen=True)
class Gantt:
    bars: list[Bar]
    ticks: list[Tick]
    waited: float | None = None
    """Seconds until it was claimed."""
    start: Part | None = None
    """Of the project's process, until the first node."""
    start_seconds: float = 0
    critical_seconds: float = 0


def gantt(
    run: Run,
    nodes: list[NodeRun],
    at: datetime,
    told: Iterable[Told] = (),
    needs: Mapping[str, Iterable[str]] | None = None,
    tried: Mapping[str, list[Tried]] | None = None,
) -> Gantt:
    """Bars from the run's start to its end, or to `at` while it is under way; `needs`: what each node comes after.

    `tried` are the attempts of each node that had more than one.
    """
    tries = [each.started_at for found in (tried or {}).values() for each in found]
    first = min((*tries, *(node.started_at for node in nodes if node.started_at)), default=None)
    start = run.started_at or first
    waited = (run.started_at - run.created_at).total_seconds() if run.started_at else None
    if start is None:
        return Gantt([Bar(node, None, 0, None) for node in nodes], [])
    end = run.finished_at or at
    whole = max((end - start).total_seconds(), 0.001)
    by_node: dict[str, list[Told]] = defaultdict(list)
    for each in told:
        by_node[each.node].append(each)
    chain, seconds = _longest(nodes, needs or {}, end)
    bars = [_bar(node, start, end, whole, by_node[node.name], node.name in chain) for node in nodes]
    if tried:
        bars = [_with_lanes(bar, tried.get(bar.node.name, []), start, end, by_node[bar.node.name]) for bar in bars]
    begins = max(0.0, (first - start).total_seconds()) if first else whole
    return Gantt(bars, _ticks(whole), waited, Part("start", 0, _percent(begins, whole)), begins, seconds)


def _longest(nodes: list[NodeRun], needs: Mapping[str, Iterable[str]], end: datetime) -> tuple[set[str], float]:
    """Of all chains of nodes that come one after another the one that took longest, and its seconds."""
    best: dict[str, tuple[float, str]] = {}
    for node in sorted(nodes, key=lambda node: node.position):
        own = ((node.finished_at or end) - node.started_at).total_seconds() if node.started_at else 0.0
        before = max(needs.get(node.name, ()), key=lambda name: best.get(name, (0.0, ""))[0], default="")
        best[node.name] = own + best.get(before, (0.0, ""))[0], before
    if not needs or not best:
        return set(), 0.0
    name = max(best, key=lambda name: best[name][0])
    seconds, chain = best[name][0], set()
    while name:
        chain.add(name)
        name = best.get(name, (0.0, ""))[1]
    return (chain, seconds) if seconds else (set(), 0.0)


def _bar(node: NodeRun, start: datetime, end: datetime, whole: float, told: list[Told], is_critical: bool) -> Bar:
    if node.started_at is None:
        return Bar(node, None, 0, None)
    until = node.finished_at or end
    seconds = (until - node.started_at).total_seconds()
    left = min(99.5, max(0.0, 100 * (node.started_at - start).total_seconds() / whole))
    parts = [_part(each, start, whole) for each in told if node.started_at <= each.at <= until]
    width = round(min(100 - left, max(0.5, 100 * seconds / whole)), 3)
    return Bar(node, round(left, 3), width, seconds, parts, is_critical)


def _with_lanes(bar: Bar, tried: list[Tried], start: datetime, end: datetime, told: list[Told]) -> Bar:
    whole, count = max((end - start).total_seconds(), 0.001), max((each.number for each in tried), default=0)
    lanes = []
    for each in tried:
        until = each.ended_at or end
        seconds = max(0.0, (until - each.started_at).total_seconds())
        left = min(99.5, _percent((each.started_at - start).total_seconds(), whole))
        width = round(min(100 - left, max(0.5, 100 * seconds / whole)), 3)
        parts = [_part(part, start, whole) for part in told if each.started_at <= part.at <= until]
        lanes.append(Lane(each.number, count, each.status, left, width, seconds, parts))
    return replace(bar, lanes=lanes)


def _part(told: Told, start: datetime, whole: float) -> Part:
    begins = (told.at - start).total_seconds() - told.seconds
    return Part(PARTS[told.kind], _percent(begins, whole), _percent(told.seconds, whole))


def _percent(seconds: float, whole: float) -> float:
    return round(min(100.0, max(0.0, 100 * seconds / whole)), 3)


def _ticks(whole: float) -> list[Tick]:
    step = next((step for step in STEPS if whole / step <= MOST_TICKS), whole / MOST_TICKS)
    count = int(whole / step)
    return [Tick(round(100 * step * n / whole, 3), timedelta(seconds=step * n)) for n in range(count + 1)]
