"""Divide the nodes of a run into steps: the whole run in one process, or its graph over many workers."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobs.selection import children, parents
from jobs.states import Runner
from kedro_console.wire import SnapshotNode


@dataclass(frozen=True)
class PlannedStep:
    """Nodes that share a process, and the positions of the steps that have to succeed first."""

    position: int
    nodes: list[str]
    needs: list[int] = field(default_factory=list)


def plan(nodes: list[SnapshotNode], runner: Runner) -> list[PlannedStep]:
    """The steps of a run over these nodes (in topological order)."""
    if runner != Runner.DISTRIBUTED:
        return [PlannedStep(0, [node.name for node in nodes])]
    return _distributed(nodes)


def _distributed(nodes: list[SnapshotNode]) -> list[PlannedStep]:
    """A step for each node, linear chains fused: between them there is nothing to do at the same time."""
    above, below = parents(nodes), children(nodes)
    place: dict[str, int] = {}
    members: list[list[str]] = []
    for node in nodes:
        (*others, parent) = above[node.name] or {""}
        if parent and not others and len(below[parent]) == 1:
            place[node.name] = place[parent]
            members[place[parent]].append(node.name)
        else:
            place[node.name] = len(members)
            members.append([node.name])
    return [
        PlannedStep(position, names, sorted({place[parent] for parent in above[names[0]]}))
        for position, names in enumerate(members)
    ]
