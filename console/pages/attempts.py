"""The attempts of the nodes of a run that were tried more than once, as its events tell them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from console.drawing.gantt import Tried
from jobs.models import NodeRun, Run
from jobs.states import NodeStatus

STARTED: Final = "node_started"
ENDS: Final[dict[str, str]] = {"node_finished": NodeStatus.SUCCEEDED, "node_failed": NodeStatus.FAILED}
MOST_EVENTS: Final = 3_000


def attempts(run: Run, nodes: Iterable[NodeRun]) -> dict[str, list[Tried]]:
    """By node, in their order; of those whose events are no longer kept nothing."""
    again = {row.name: row for row in nodes if row.attempts > 1 or (row.attempts and row.started_at is None)}
    if not again:
        return {}
    found: dict[str, list[Tried]] = {name: [] for name in again}
    steps: dict[str, list[int]] = {name: [] for name in again}
    rows = run.events.filter(kind__in=[STARTED, *ENDS], node__in=list(again)).order_by("seq")
    for kind, name, at, step in rows.values_list("kind", "node", "at", "step")[:MOST_EVENTS]:
        tries = found[name]
        if kind == STARTED:
            tries.append(Tried(len(tries) + 1, NodeStatus.RUNNING, at, None))
            steps[name].append(step)
        elif tries and tries[-1].ended_at is None:
            tries[-1] = replace(tries[-1], status=ENDS[kind], ended_at=at)
    ends = {row.pk: row for row in run.steps.filter(pk__in={step for each in steps.values() for step in each})}
    return {
        name: _whole(again[name], [_ended(each, ends.get(step)) for each, step in zip(tries, steps[name], strict=True)])
        for name, tries in found.items()
    }


def _ended(tried: Tried, step: object) -> Tried:
    """One of whose end nothing was heard ended with its step."""
    at, status = getattr(step, "finished_at", None), getattr(step, "status", "")
    return replace(tried, status=status, ended_at=at) if tried.ended_at is None and at else tried


def _whole(row: NodeRun, tries: list[Tried]) -> list[Tried]:
    """Numbered so that the last is the newest; the row knows best how that one stands."""
    first = max(0, row.attempts - len(tries))
    numbered = [replace(each, number=first + number) for number, each in enumerate(tries, 1)]
    if numbered and row.started_at and abs((row.started_at - numbered[-1].started_at).total_seconds()) < 1:
        numbered[-1] = replace(numbered[-1], status=row.status, ended_at=row.finished_at)
    return numbered
