"""Draw a pipeline: its nodes and datasets as cards, laid out here, written as inline SVG by `pipelines/_graph.html`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from console.layout import Edge, Layout, Point, Vertex, lay_out
from console.templatetags.console import ICONS
from kedro_console.wire import SnapshotNode, SnapshotPipeline

LONGEST_LABEL = 30
PARAMETERS = "params:"
ALL_PARAMETERS = "parameters"
KINDS = {
    "node": "function",
    "dataset": "database",
    "parameter": "tune",
    "pipeline": "account_tree",
    "rule": "arrow_forward",
    "join": "merge",
    "side": "call_split",
}


@dataclass(frozen=True)
class Card:
    """A node, dataset, parameter, pipeline or rule at its place; `x` and `y` are its upper left corner in px."""

    id: str
    kind: str
    name: str
    label: str
    x: float
    y: float
    width: float
    height: float
    status: str = ""
    href: str = ""
    parameters: list[str] = field(default_factory=list)

    @property
    def icon(self) -> str:
        return KINDS[self.kind]

    @property
    def status_icon(self) -> str:
        return ICONS.get(self.status, "")

    @property
    def middle(self) -> float:
        return self.height / 2

    @property
    def right(self) -> float:
        return self.width - 14

    @property
    def summary(self) -> str:
        """What a screen reader and the tooltip say."""
        state = f", {self.status}" if self.status else ""
        reads = f"; parameters: {', '.join(self.parameters)}" if self.parameters else ""
        return f"{self.kind.capitalize()} {self.name}{state}{reads}"


@dataclass(frozen=True)
class Line:
    """An edge: `path` is the `d` of an SVG path, the ends are ids of cards."""

    path: str
    source: str
    target: str


@dataclass(frozen=True)
class Drawing:
    """All that `pipelines/_graph.html` draws; sizes in px."""

    cards: list[Card]
    lines: list[Line]
    width: float
    height: float
    has_parameters: bool
    with_parameters: bool

    @property
    def nodes(self) -> list[Card]:
        """The cards of nodes alone: what changes while a run is under way."""
        return [card for card in self.cards if card.kind == "node"]


def element_id(name: str) -> str:
    """The id of a node's `<g>`: the same on every page, safe for any name."""
    return _id("node", name)


def draw(
    structure: SnapshotPipeline,
    statuses: Mapping[str, str] | None = None,
    *,
    with_parameters: bool = False,
    link: Callable[[SnapshotNode], str] | None = None,
) -> Drawing:
    """The drawing of this pipeline with the status of each node by its name; `link` says where a node's card leads."""
    vertices, edges = _skeleton(structure, with_parameters)
    layout = lay_out(vertices, edges)
    nodes = {_id("node", node.name): node for node in structure.nodes}
    return Drawing(
        cards=[_card(vertex, layout, nodes.get(vertex.id), statuses or {}, link) for vertex in vertices],
        lines=[Line(path_along(points), *edge) for edge, points in zip(edges, layout.routes, strict=True)],
        width=layout.width,
        height=layout.height,
        has_parameters=any(_is_parameter(name) for node in structure.nodes for name in node.inputs),
        with_parameters=with_parameters,
    )


def _card(
    vertex: Vertex,
    layout: Layout,
    node: SnapshotNode | None,
    statuses: Mapping[str, str],
    link: Callable[[SnapshotNode], str] | None,
) -> Card:
    x, y = layout.corners[vertex.id]
    return Card(
        id=vertex.id,
        kind=vertex.kind,
        name=vertex.name,
        label=shorten(vertex.name),
        x=x,
        y=y,
        width=vertex.width,
        height=vertex.height,
        status=statuses.get(node.name, "") if node else "",
        href=link(node) if node and link else "",
        parameters=[_plain(name) for name in node.inputs if _is_parameter(name)] if node else [],
    )


def _skeleton(structure: SnapshotPipeline, with_parameters: bool) -> tuple[tuple[Vertex, ...], tuple[Edge, ...]]:
    """What the layout depends on, in a fixed order: the cards, and which leads to which."""
    vertices: dict[str, Vertex] = {}
    edges: dict[Edge, None] = {}
    for node in structure.nodes:
        here = vertices.setdefault(_id("node", node.name), _vertex("node", node.name)).id
        for name in node.inputs:
            kind = "parameter" if _is_parameter(name) else "dataset"
            if kind == "dataset" or with_parameters:
                there = _vertex(kind, _plain(name))
                edges[vertices.setdefault(there.id, there).id, here] = None
        for name in node.outputs:
            there = _vertex("dataset", _plain(name))
            edges[here, vertices.setdefault(there.id, there).id] = None
    return tuple(vertices.values()), tuple(edges)


def _vertex(kind: str, name: str) -> Vertex:
    room = 72 if kind == "node" else 48  # for the icons: a node also shows its status
    width = min(max(len(shorten(name)) * 7.4 + room, 120), 300)
    return Vertex(_id(kind, name), kind, name, width, 44 if kind == "node" else 32)


def _id(kind: str, name: str) -> str:
    return f"{kind[0]}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _is_parameter(name: str) -> bool:
    return name.startswith(PARAMETERS) or name == ALL_PARAMETERS


def _plain(name: str) -> str:
    """A parameter without its prefix; a dataset without Kedro's `@` transcoding: it is one thing in two formats."""
    return name.removeprefix(PARAMETERS) if _is_parameter(name) else name.partition("@")[0]


def shorten(name: str, length: int = LONGEST_LABEL) -> str:
    """The name without as much of its namespace as finds no room; one that is too long alone keeps both ends."""
    if len(name) <= length:
        return name
    places = [place for place, sign in enumerate(name) if sign == "." and len(name) - place <= length - 1]
    if places:
        return f"…{name[places[0] + 1 :]}"
    return f"{name[: length // 2]}…{name[-(length - length // 2 - 1) :]}"


def path_along(points: tuple[Point, ...], radius: float = 7) -> str:
    """An SVG path along these points, its corners rounded."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        enter, leave = _towards(corner, before, radius), _towards(corner, after, radius)
        parts.append(f"L{enter[0]:.1f} {enter[1]:.1f}Q{corner[0]:.1f} {corner[1]:.1f} {leave[0]:.1f} {leave[1]:.1f}")
    parts.append(f"L{points[-1][0]:.1f} {points[-1][1]:.1f}")
    return "".join(parts)


def _towards(start: Point, end: Point, distance: float) -> Point:
    """The point at most this far from `start` on the way to the middle between both."""
    across, down = end[0] - start[0], end[1] - start[1]
    length = (across**2 + down**2) ** 0.5
    share = min(distance / length, 0.5) if length else 0
    return start[0] + across * share, start[1] + down * share
