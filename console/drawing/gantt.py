"""A run's nodes on a line of time, as percentages that the page draws."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from jobs.models import NodeRun, Run

STEPS: Final = (0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
MOST_TICKS: Final = 6


@dataclass(frozen=True)
class Bar:
    """One node: where its bar begins and how wide it is, in percent; None for a node that has not started."""

    node: NodeRun
    left: float | None
    width: float
    seconds: float | None


@dataclass(frozen=True)
class Tick:
    left: float
    after: timedelta


@dataclass(frozen=True)
class Gantt:
    bars: list[Bar]
    ticks: list[Tick]


def gantt(run: Run, nodes: list[NodeRun], at: datetime) -> Gantt:
    """Bars from the run's start to its end, or to `at` while it is under way."""
    start = min((node.started_at for node in nodes if node.started_at), default=run.started_at)
    if start is None:
        return Gantt([Bar(node, None, 0, None) for node in nodes], [])
    end = run.finished_at or at
    whole = max((end - start).total_seconds(), 0.001)
    return Gantt([_bar(node, start, end, whole) for node in nodes], _ticks(whole))


def _bar(node: NodeRun, start: datetime, end: datetime, whole: float) -> Bar:
    if node.started_at is None:
        return Bar(node, None, 0, None)
    seconds = ((node.finished_at or end) - node.started_at).total_seconds()
    left = min(99.5, max(0.0, 100 * (node.started_at - start).total_seconds() / whole))
    return Bar(node, round(left, 3), round(min(100 - left, max(0.5, 100 * seconds / whole)), 3), seconds)


def _ticks(whole: float) -> list[Tick]:
    step = next((step for step in STEPS if whole / step <= MOST_TICKS), whole / MOST_TICKS)
    count = int(whole / step)
    return [Tick(round(100 * step * n / whole, 3), timedelta(seconds=step * n)) for n in range(count + 1)]
