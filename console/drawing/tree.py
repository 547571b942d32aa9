"""The nodes of a pipeline as a tree: the same boxes as in its graph, open or folded as there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from console.drawing.folds import Box, State
from console.drawing.graph import ALARMS, element_id
from console.drawing.icons import ICONS
from kedro_console.wire import SnapshotNode

LATE: float = 1.5
LATE_SECONDS: float = 1.0
"""A node is called slow when it takes so many times as long as usual, and so much longer."""


@dataclass(frozen=True)
class Pace:
    """How long a node took, or has been running since, beside what is usual for it."""

    seconds: float | None = None
    usual: float | None = None
    progress: float | None = None
    """Of a node that is running how much is done, in percent."""
    since: datetime | None = None
    """Since when it has been running."""

    @property
    def is_slow(self) -> bool:
        if self.seconds is None or self.usual is None:
            return False
        return self.seconds >= LATE * self.usual and self.seconds - self.usual >= LATE_SECONDS


@dataclass(frozen=True)
class Leaf:
    """A node; `id` is that of its card in the graph."""

    id: str
    name: str
    label: str
    href: str
    status: str = ""
    is_chosen: bool = False
    pace: Pace = field(default_factory=Pace)

    @property
    def icon(self) -> str:
        return ICONS.get(self.status, "")


@dataclass(frozen=True)
class Branch:
    """A box, with what is in it where it is open."""

    key: str
    card: str
    """The id of its card or frame in the graph."""
    title: str
    href: str
    is_open: bool
    count: int
    failed: int
    running: int
    status: str
    rows: list[Branch | Leaf] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """The nodes in it, at any depth."""

    @property
    def icon(self) -> str:
        return ICONS.get(self.status, "")


@dataclass(frozen=True)
class Tree:
    rows: list[Branch | Leaf]
    count: int
    """All nodes, those in folded branches too."""
    alarms: Mapping[str, int]
    found: int | None = None
    """How many nodes are shown of them, where somebody looks for some."""


@dataclass(frozen=True)
class Wish:
    """Which nodes somebody looks for: by a part of the name, and failed or running ones alone."""

    find: str = ""
    only: str = ""

    def __bool__(self) -> bool:
        return bool(self.find or self.only)

    def has(self, node: SnapshotNode, status: str) -> bool:
        wanted = ALARMS.get(self.only)
        return self.find.lower() in node.name.lower() and (wanted is None or status in wanted)


class Gardener:
    """Makes a tree: `link` leads to a node, with its boxes open; `fold` opens a box or folds it."""

    def __init__(
        self,
        state: State,
        statuses: Mapping[str, str],
        paces: Mapping[str, Pace],
        *,
        link: Callable[[str], str],
        fold: Callable[[Box], str],
        chosen: str = "",
    ) -> None:
        self.state, self.statuses, self.paces = state, statuses, paces
        self._link, self._fold, self._chosen = link, fold, chosen

    def tree(self, wish: Wish) -> Tree:
        """All of it as it is folded; for a wish the nodes it means, each by its whole name."""
        nodes = self.state.whole.nodes
        counts = Counter(self.statuses.get(node.name, "") for node in nodes)
        alarms = {name: found for name, those in ALARMS.items() if (found := sum(counts[each] for each in those))}
        if not wish:
            return Tree(self._rows(self.state.whole), len(nodes), alarms)
        hits = [self._leaf(node, "") for node in nodes if wish.has(node, self.statuses.get(node.name, ""))]
        return Tree([*hits], len(nodes), alarms, found=len(hits))

    def _rows(self, box: Box) -> list[Branch | Leaf]:
        """Branches and leaves in the order of their first nodes."""
        inside = {node.name for inner in box.boxes for node in inner.nodes}
        place = {node.name: at for at, node in enumerate(box.nodes)}
        rows: list[tuple[int, Branch | Leaf]] = [
            (place[inner.nodes[0].name], self._branch(inner, box)) for inner in box.boxes
        ]
        rows += [(place[node.name], self._leaf(node, box.namespace)) for node in box.nodes if node.name not in inside]
        return [row for _, row in sorted(rows, key=lambda pair: pair[0])]

    def _branch(self, box: Box, around: Box) -> Branch:
        counts = Counter(self.statuses.get(node.name, "") for node in box.nodes)
        failed, running = (sum(counts[each] for each in those) for those in ALARMS.values())
        is_done = counts["succeeded"] + counts["reused"] == len(box.nodes)
        is_open = box.key in self.state.open
        return Branch(
            box.key,
            element_id(box.key, "box"),
            _inside(box.title, around.namespace if box.title == box.namespace else ""),
            self._fold(box),
            is_open,
            len(box.nodes),
            failed,
            running,
            "failed" if failed else "running" if running else "succeeded" if is_done else "",
            self._rows(box) if is_open else [],
            [node.name for node in box.nodes],
        )

    def _leaf(self, node: SnapshotNode, namespace: str) -> Leaf:
        return Leaf(
            element_id(node.name),
            node.name,
            _inside(node.name, namespace),
            self._link(node.name),
            self.statuses.get(node.name, ""),
            node.name == self._chosen,
            self.paces.get(node.name, Pace()),
        )


def _inside(name: str, namespace: str) -> str:
    """What is in a namespace is named without it."""
    return name.removeprefix(f"{namespace}.") if namespace else name
