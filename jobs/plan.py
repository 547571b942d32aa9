"""Divide the nodes of a run into steps: the whole run in one process, or its graph over many workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from jobs.selection import children, parents
from jobs.states import Runner
from kedro_console.wire import SnapshotNode

QUEUE_TAGS: Final = ("queue-", "queue:")
"""Kedro 1 refuses a colon in a tag; older projects may have one."""
LONGEST_QUEUE: Final = 80


@dataclass(frozen=True)
class PlannedStep:
    """Nodes that share a process, and the positions of the steps that have to succeed first."""

    position: int
    nodes: list[str]
    needs: list[int] = field(default_factory=list)
    queue: str = ""
    """The queue that its nodes are tagged with; empty: the pipeline's."""


def queue_of(node: SnapshotNode) -> str:
    """What its tag `queue-gpu` names; empty without one. Of several the first by name counts."""
    length = len(QUEUE_TAGS[0])
    names = sorted(tag[length:].strip()[:LONGEST_QUEUE] for tag in node.tags if tag.startswith(QUEUE_TAGS))
    return next(filter(None, names), "")


def plan(nodes: list[SnapshotNode], runner: Runner) -> list[PlannedStep]:
    """The steps of a run over these nodes (in topological order)."""
    if runner != Runner.DISTRIBUTED:
        return [PlannedStep(0, [node.name for node in nodes])]
    return _distributed(nodes)


def _distributed(nodes: list[SnapshotNode]) -> list[PlannedStep]:
    """A step for each node, linear chains of one queue fused: in them there is nothing to do at the same time."""
    above, below = parents(nodes), children(nodes)
    queue = {node.name: queue_of(node) for node in nodes}
    place: dict[str, int] = {}
    members: list[list[str]] = []
    for node in nodes:
        (*others, parent) = above[node.name] or {""}
        if parent and not others and len(below[parent]) == 1 and queue[parent] == queue[node.name]:
            place[node.name] = place[parent]
            members[place[parent]].append(node.name)
        else:
            place[node.name] = len(members)
            members.append([node.name])
    return [
        PlannedStep(position, names, sorted({place[parent] for parent in above[names[0]]}), queue[names[0]])
        for position, names in enumerate(members)
    ]
