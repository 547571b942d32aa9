"""Divide the nodes of a run into steps: the whole run in one process, or its graph over many workers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from jobs.states import Grouping, Runner
from jobs.structure.selection import children, parents, reach
from kedro_console.wire import SnapshotNode

QUEUE_TAGS: Final = ("queue-", "queue:")
"""Kedro 1 refuses a colon in a tag; older projects may have one."""
STEP_TAGS: Final = ("step-", "step:")
LONGEST_QUEUE: Final = 80
FEW_REASONS: Final = 3


@dataclass(frozen=True)
class PlannedStep:
    """Nodes that share a process, and the positions of the steps that have to succeed first."""

    position: int
    nodes: list[str]
    needs: list[int] = field(default_factory=list)
    queue: str = ""
    """The queue that its nodes are tagged with; empty: the pipeline's."""


@dataclass(frozen=True)
class Bond:
    """Nodes that have to share a process, and why, as a sentence."""

    nodes: frozenset[str]
    reason: str


@dataclass(frozen=True)
class Plan:
    """The steps of a run; the reason says why they are fewer than its pipeline asks for."""

    steps: list[PlannedStep]
    reason: str = ""


def queue_of(node: SnapshotNode) -> str:
    """What its tag `queue-gpu` names; empty without one. Of several the first by name counts."""
    return _named_by(node, QUEUE_TAGS)[:LONGEST_QUEUE].strip()


def _named_by(node: SnapshotNode, prefixes: tuple[str, ...]) -> str:
    names = sorted(tag[len(prefixes[0]) :].strip() for tag in node.tags if tag.startswith(prefixes))
    return next(filter(None, names), "")


def plan(
    nodes: list[SnapshotNode], runner: Runner, grouping: Grouping = Grouping.NODE, bonds: Iterable[Bond] = ()
) -> Plan:
    """The steps of a run over these nodes (in topological order); what is bound together shares one."""
    if not nodes:
        return Plan([])
    if runner != Runner.DISTRIBUTED:
        return Plan([PlannedStep(0, [node.name for node in nodes])])
    groups = _Groups(nodes, grouping).members
    bonds = list(bonds)
    joined = _join(nodes, groups, bonds)
    reason = _reason(len(joined), len(groups), [bond for bond in bonds if not _is_within(bond, groups)])
    return Plan(_steps(nodes, joined), reason)


def _is_within(bond: Bond, groups: list[list[str]]) -> bool:
    return any(bond.nodes <= set(names) for names in groups)


def _reason(count: int, wanted: int, bonds: list[Bond]) -> str:
    if not bonds or count == wanted:
        return ""
    said = [bond.reason for bond in bonds[:FEW_REASONS]]
    more = [f"And {len(bonds) - FEW_REASONS} more like these."] if len(bonds) > FEW_REASONS else []
    return " ".join([f"{count} {'step' if count == 1 else 'steps'} instead of {wanted}.", *said, *more])


class _Groups:
    """Nodes that share a step, each group a list of names; no two groups wait for each other.

    Nodes come in topological order, so a node has no followers yet when it takes its place: it may join a group
    unless that already waits for another of the node's parents. Then its group goes on in a new part.
    """

    def __init__(self, nodes: list[SnapshotNode], grouping: Grouping) -> None:
        self.members: list[list[str]] = []
        self._above, self._below = parents(nodes), children(nodes)
        self._queue = {node.name: queue_of(node) for node in nodes}
        self._label = {node.name: _label(node, grouping) for node in nodes}
        self._parts: dict[tuple[str, str], list[int]] = {}
        self._place: dict[str, int] = {}
        self._after: dict[int, set[int]] = {}
        for node in nodes:
            self._put(node.name)

    def _put(self, name: str) -> None:
        needs = {self._place[parent] for parent in self._above[name]}
        place = self._in_group(name, needs) if self._label[name] else self._in_chain(name)
        if place is None:
            place = len(self.members)
            self.members.append([])
            self._after[place] = set()
            if self._label[name]:
                self._parts.setdefault((self._label[name], self._queue[name]), []).append(place)
        self.members[place].append(name)
        self._place[name] = place
        for other in needs - {place}:
            self._after[other].add(place)

    def _in_group(self, name: str, needs: set[int]) -> int | None:
        parts = self._parts.get((self._label[name], self._queue[name]), [])
        return next((part for part in parts if self._may_wait_for(part, needs - {part})), None)

    def _may_wait_for(self, part: int, needs: set[int]) -> bool:
        return not (needs and needs & reach({part}, self._after))

    def _in_chain(self, name: str) -> int | None:
        """With its only parent, when that has no other child: in a chain there is nothing to do at the same time."""
        (*others, parent) = self._above[name] or {""}
        is_chain = parent and not others and len(self._below[parent]) == 1 and not self._label[parent]
        return self._place[parent] if is_chain and self._queue[parent] == self._queue[name] else None


def _label(node: SnapshotNode, grouping: Grouping) -> str:
    """The group that the node belongs to; empty: none. Namespaces count by their first part, as in Kedro."""
    if grouping == Grouping.NAMESPACE:
        return node.namespace.partition(".")[0]
    return _named_by(node, STEP_TAGS) if grouping == Grouping.TAG else ""


def _join(nodes: list[SnapshotNode], groups: list[list[str]], bonds: list[Bond]) -> list[list[str]]:
    """The groups, in one those that are bound together, with whatever would then both follow and precede them."""
    place = {name: number for number, names in enumerate(groups) for name in names}
    for bond in bonds:
        bound = {place[name] for name in bond.nodes if name in place}
        if len(bound) > 1:
            _unite(place, bound)
            after, before = _edges(nodes, place)
            _unite(place, reach({min(bound)}, after) & reach({min(bound)}, before))
    joined: dict[int, list[str]] = {}
    for node in nodes:
        joined.setdefault(place[node.name], []).append(node.name)
    return list(joined.values())


def _unite(place: dict[str, int], places: set[int]) -> None:
    first = min(places)
    place.update({name: first for name, number in place.items() if number in places})


def _edges(nodes: list[SnapshotNode], place: dict[str, int]) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """(the groups that follow each, the groups that come before each)."""
    after: dict[int, set[int]] = {}
    before: dict[int, set[int]] = {}
    for name, above in parents(nodes).items():
        for parent in above:
            if place[parent] != place[name]:
                after.setdefault(place[parent], set()).add(place[name])
                before.setdefault(place[name], set()).add(place[parent])
    return after, before


def _steps(nodes: list[SnapshotNode], groups: list[list[str]]) -> list[PlannedStep]:
    """The groups as steps, numbered so that each comes after those that it needs."""
    place = {name: number for number, names in enumerate(groups) for name in names}
    after, before = _edges(nodes, place)
    missing = {number: len(before.get(number, ())) for number in range(len(groups))}
    ready = [number for number, count in missing.items() if not count]
    position: dict[int, int] = {}
    while ready:
        number = heappop(ready)
        position[number] = len(position)
        for other in after.get(number, ()):
            missing[other] -= 1
            if not missing[other]:
                heappush(ready, other)
    queue = {node.name: queue_of(node) for node in nodes}
    return [
        PlannedStep(
            position[number],
            groups[number],
            sorted(position[other] for other in before.get(number, ())),
            next(filter(None, map(queue.__getitem__, groups[number])), ""),
        )
        for number in position
    ]
