"""What of a workspace is shown, as its address says: the pane, the node, what is looked for, and the open boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode

from django.http import QueryDict

from console.drawing.folds import EVERYTHING, Box, Folds, State, settle
from console.drawing.graph import ALARMS, Drawing, Links, draw, urgent
from console.drawing.tree import Branch, Gardener, Leaf, Pace, Tree, Wish
from console.pages.planned import Planned
from jobs.insight.durations import Row, together
from kedro_console.wire import SnapshotNode

FOLDS: Final = ("unfold", "fold", "parameters")
LONGEST: Final = 200
ANYTHING: Final = Wish()


@dataclass(frozen=True)
class Where:
    """`path` is the page's own; `pane` is "" for the first one, which is `first`."""

    path: str
    pane: str
    first: str
    node: str = ""
    wish: Wish = ANYTHING
    folds: tuple[tuple[str, str], ...] = ()

    @classmethod
    def asked(cls, path: str, pane: str, first: str, query: QueryDict) -> Where:
        find, only = (query.get(name, "").strip()[:LONGEST] for name in ("find", "only"))
        folds = tuple((name, value) for name in FOLDS for value in query.getlist(name))
        return cls(path, pane, first, query.get("node", "")[:500], Wish(find, only), folds)

    @property
    def kept(self) -> list[tuple[str, str]]:
        """All of it but the folds, as names and values of an address."""
        found = {
            "tab": "" if self.pane == self.first else self.pane,
            "node": self.node,
            "find": self.wish.find,
            "only": self.wish.only,
        }
        return [(name, value) for name, value in found.items() if value]

    @property
    def view(self) -> str:
        """What a refresh must be of to be shown."""
        return urlencode([("at", self.pane), *self.kept])

    @property
    def query(self) -> str:
        return urlencode([*self.kept, *self.folds])

    @property
    def address(self) -> str:
        return f"{self.path}?{query}" if (query := self.query) else self.path

    @property
    def polled(self) -> str:
        """What asks for the same again, without the parts that do not change by themselves."""
        return f"{self.path}?{urlencode([*self.kept, *self.folds, ('poll', '1')])}"

    @property
    def all_link(self) -> str:
        """Without looking for anything."""
        return self.at(wish=ANYTHING).address

    @property
    def only_links(self) -> dict[str, str]:
        """The nodes that failed alone, and those that are running; back to all where that is what is shown."""
        wishes = {name: ANYTHING if self.wish.only == name else Wish(only=name) for name in ALARMS}
        return {name: self.at(wish=wish).address for name, wish in wishes.items()}

    @property
    def run_link(self) -> str:
        """Without a node: the facts of the whole."""
        return self.at(node="").address

    def at(self, **changes: Any) -> Where:
        return replace(self, **changes)


@dataclass(frozen=True)
class Scene:
    """The left pane and the graph: two looks at the same boxes."""

    tree: Tree
    drawing: Drawing | None
    fold_link: str = ""
    unfold_link: str = ""
    folds: list[tuple[str, str]] = field(default_factory=list)
    """What brings an address back to these folds."""


def without_plan(where: Where, names: list[str], statuses: Mapping[str, str], paces: Mapping[str, Pace]) -> Scene:
    """A tree of nodes of which only the names are known."""
    nodes = [SnapshotNode(name, "", "", [], [], []) for name in names]
    whole = Box("", "", tuple(nodes))
    state = settle(whole, Folds(frozenset({EVERYTHING})))

    def link(name: str) -> str:
        return where.at(node="" if name == where.node else name).address

    gardener = Gardener(state, statuses, paces, link=link, fold=lambda box: where.address, chosen=where.node)
    return Scene(gardener.tree(where.wish), None)


def rows_of(tree: Tree, rows: Iterable[Row]) -> list[Row]:
    """Of the grid of nodes and runs what the tree shows: a row for each leaf, and one for each box that is folded."""
    known = {row.node: row for row in rows}

    def shown(branches: Iterable[Branch | Leaf]) -> Iterator[Row]:
        for each in branches:
            if isinstance(each, Leaf):
                yield known[each.name]
            elif each.is_open:
                yield from shown(each.rows)
            else:
                yield together(each.key, [known[name] for name in each.names])

    return list(shown(tree.rows))


@dataclass(frozen=True)
class Ways:
    """Addresses of the same page with other folds, or with another node."""

    where: Where
    state: State
    with_parameters: bool

    def folded(self, state: State) -> Where:
        return self.where.at(folds=tuple(self.asked(state)))

    def asked(self, state: State) -> list[tuple[str, str]]:
        return Links(state, [], self.with_parameters).asked(state)

    def fold(self, box: Box) -> str:
        return self.folded(self.state.toggled(box)).address

    def node(self, name: str) -> str:
        """Back to the whole where it is chosen already; one that was looked for is unfolded with what it is in."""
        if name == self.where.node:
            return self.where.at(node="").address
        is_hidden = bool(self.where.wish)
        return (self.folded(self.state.showing(name)) if is_hidden else self.where).at(node=name).address

    @property
    def whole(self) -> tuple[str, str]:
        """Where all is folded, and where all is unfolded; "" for what is so already."""
        boxes = frozenset(box.key for box in self.state.whole.walk())
        none = self.folded(replace(self.state, is_everything=False, open=frozenset())).address
        everything = self.folded(replace(self.state, is_everything=True, open=boxes)).address
        return none if boxes & self.state.open else "", everything if boxes - self.state.open else ""


def scene(
    where: Where, plan: Planned, statuses: Mapping[str, str], paces: Mapping[str, Pace], *, is_drawn: bool
) -> Scene:
    """The tree, and the graph where it is the pane that is shown."""
    query = QueryDict(urlencode(where.folds))
    first = where.node if where.node in plan.nodes else urgent(plan.structure, statuses, ALARMS)
    state = settle(plan.whole, Folds.asked(query), first)
    ways = Ways(where, state, query.get("parameters") == "1")
    gardener = Gardener(state, statuses, paces, link=ways.node, fold=ways.fold, chosen=where.node)
    drawing = _drawn(where, plan, statuses, ways) if is_drawn else None
    fold_link, unfold_link = ways.whole
    return Scene(gardener.tree(where.wish), drawing, fold_link, unfold_link, ways.asked(state))


def _drawn(where: Where, plan: Planned, statuses: Mapping[str, str], ways: Ways) -> Drawing:
    return draw(
        plan.structure,
        statuses,
        with_parameters=ways.with_parameters,
        link=lambda node: ways.node(node.name),
        keep=dict(where.kept),
        state=ways.state,
        chosen=where.node,
    )
