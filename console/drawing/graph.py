"""Draw a pipeline: its nodes and datasets as cards, laid out here, written as inline SVG by `pipelines/_graph.html`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from console.drawing.folds import Box, Folds, State, address, divide, settle
from console.drawing.icons import ICONS
from console.drawing.layout import FRAME, Edge, Layout, Point, Vertex, lay_out
from kedro_console.wire import SnapshotNode, SnapshotPipeline, bare

LONGEST_LABEL = 30
LONGEST_BOX = 40
LETTER = 7.4
SMALL_LETTER = 6.2
HEAD_ROOM = 48
BOX = "box"
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
    BOX: "chevron_right",
    FRAME: "expand_more",
}
ALARMS = {"failed": ("failed", "crashed"), "running": ("running",)}
"""What one looks for first in a run, and the statuses of nodes that count as it."""


@dataclass(frozen=True)
class Card:
    """A node, dataset, parameter, pipeline, rule or box at its place; `x` and `y` are its upper left corner in px."""

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
    about: str = ""
    """What stands below the label of a box."""
    said: str = ""
    """The same for a screen reader and the tooltip: nothing is left out."""
    parent: str = ""
    """The id of the frame that it is in."""
    is_chosen: bool = False
    is_pane: bool = False
    """It leads to another view of the same page."""

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
    def head(self) -> float:
        """How wide the head of a frame is."""
        return min(len(self.label) * LETTER + HEAD_ROOM, self.width)

    @property
    def summary(self) -> str:
        """What a screen reader and the tooltip say."""
        if self.kind in (BOX, FRAME):
            return f"{'Unfold' if self.kind == BOX else 'Fold'} {self.name}: {self.said}"
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
    has_parameters: bool = False
    with_parameters: bool = False
    frames: list[Card] = field(default_factory=list)
    count: int = 0
    """Nodes, those in folded boxes too."""
    alarms: Mapping[str, int] = field(default_factory=dict)
    """How many nodes are failed, and how many running, where there are any."""
    names: list[tuple[str, str, str, str]] = field(default_factory=list)
    """All that can be found: id, name, status, and the key of the folded box that has to be opened to see it."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """What brings an address back to these folds."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Where one unfolds everything, folds everything, or shows or folds the parameters."""

    @property
    def nodes(self) -> list[Card]:
        """The cards of nodes alone: what changes while a run is under way."""
        return [card for card in self.cards if card.kind == "node"]

    @property
    def query(self) -> str:
        return address(self.asked)[1:]


def element_id(name: str, kind: str = "node") -> str:
    """The id of the `<g>` of a node, or of a box by its key: the same on every page, safe for any name."""
    return _id(kind, name)


def draw(
    structure: SnapshotPipeline,
    statuses: Mapping[str, str] | None = None,
    *,
    with_parameters: bool = False,
    link: Callable[[SnapshotNode], str] | None = None,
    folds: Folds | None = None,
    keep: Mapping[str, str] | None = None,
    state: State | None = None,
    chosen: str = "",
) -> Drawing:
    """The drawing of this pipeline with the status of each node by its name; `link` says where a node's card leads.

    `folds` says which boxes are open (or `state`, where that is settled), `keep` what else the addresses of the page
    have to hold. The node that is `chosen` is marked."""
    is_pane = state is not None
    statuses = statuses or {}
    state = state or settle(divide(structure), folds, urgent(structure, statuses))
    scene = Scene(structure, state, with_parameters=with_parameters, has_run=bool(statuses))
    layout = lay_out(tuple(scene.vertices.values()), tuple(scene.edges))
    links = Links(state, list((keep or {}).items()), with_parameters)
    cards = [_card(vertex, layout, scene, statuses, link, links) for vertex in scene.vertices.values()]
    if is_pane:
        cards = [_in_pane(card, chosen) for card in cards]
    found = Counter(statuses.get(node.name, "") for node in structure.nodes)
    alarms = {name: sum(found[status] for status in those) for name, those in ALARMS.items()}
    return Drawing(
        cards=[card for card in cards if card.kind != FRAME],
        lines=[Line(path_along(points), *edge) for edge, points in zip(scene.edges, layout.routes, strict=True)],
        width=layout.width,
        height=layout.height,
        has_parameters=any(_is_parameter(name) for node in structure.nodes for name in node.inputs),
        with_parameters=with_parameters,
        frames=[card for card in cards if card.kind == FRAME],
        count=len(structure.nodes),
        alarms={name: count for name, count in alarms.items() if count},
        names=_names(scene, statuses),
        asked=links.asked(state),
        links=links.whole,
    )


def urgent(structure: SnapshotPipeline, statuses: Mapping[str, str], alarms: Iterable[str] = ("failed",)) -> str:
    """The node that one has to see first: one that failed. One that is running is soon another."""
    for alarm in alarms:
        for node in structure.nodes:
            if statuses.get(node.name) in ALARMS[alarm]:
                return node.name
    return ""


@dataclass(frozen=True)
class Links:
    """Addresses of the same page with other folds."""

    state: State
    kept: list[tuple[str, str]]
    with_parameters: bool

    def asked(self, state: State, *, with_parameters: bool | None = None) -> list[tuple[str, str]]:
        is_with = self.with_parameters if with_parameters is None else with_parameters
        return [*state.asked, *([("parameters", "1")] if is_with else [])]

    def toggle(self, box: Box) -> str:
        return address(self.kept, self.asked(self.state.toggled(box)))

    @property
    def whole(self) -> dict[str, str]:
        found = {"parameters": address(self.kept, self.asked(self.state, with_parameters=not self.with_parameters))}
        boxes = frozenset(box.key for box in self.state.whole.walk())
        if boxes - self.state.open:
            found["unfold"] = address(self.kept, self.asked(replace(self.state, is_everything=True, open=boxes)))
        if boxes & self.state.open:
            found["fold"] = address(self.kept, self.asked(replace(self.state, is_everything=False, open=frozenset())))
        return found


class Scene:
    """What the layout depends on, in a fixed order: frames and cards, which leads to which, and which is in which."""

    def __init__(self, structure: SnapshotPipeline, state: State, *, with_parameters: bool, has_run: bool) -> None:
        self.vertices: dict[str, Vertex] = {}
        self.edges: dict[Edge, None] = {}
        self.boxes: dict[str, Box] = {}
        self.nodes = {element_id(node.name): node for node in structure.nodes}
        self.folded: dict[str, Box] = {}
        self._around: dict[str, tuple[str, ...]] = {}
        self._makers: dict[str, tuple[str, ...]] = {}
        self._read: set[str] = set()
        self.whole = state.whole
        self._state, self._has_run = state, has_run
        self._place(state.whole, ())
        self._join(structure, with_parameters)
        for mark, vertex in self.vertices.items():  # datasets come where everything is that they are joined with
            if vertex.kind in ("dataset", "parameter"):
                self.vertices[mark] = replace(vertex, parent=(self._around[mark] or ("",))[-1])
        self._name()

    def _place(self, box: Box, around: tuple[str, ...]) -> None:
        """Its frames and folded boxes; and for each of its nodes what stands for it."""
        for inner in box.boxes:
            mark = _id("box", inner.key)
            self.boxes[mark] = inner
            if inner.key in self._state.open:
                self.vertices[mark] = Vertex(mark, FRAME, inner.title, 120, 60, (around or ("",))[-1])
                self._place(inner, (*around, mark))
            else:
                self._around[mark] = around
                self.folded.update(dict.fromkeys((node.name for node in inner.nodes), inner))
        for node in box.nodes:
            self._around.setdefault(element_id(node.name), around)

    def _stands_for(self, node: SnapshotNode) -> str:
        box = self.folded.get(node.name)
        return _id("box", box.key) if box else element_id(node.name)

    def _join(self, structure: SnapshotPipeline, with_parameters: bool) -> None:
        """Cards for what is shown; a dataset that only joins folded boxes is the line between them."""
        makers: dict[str, str] = {}
        shown: set[str] = set()
        for node in structure.nodes:
            makers.update((_plain(name), self._stands_for(node)) for name in node.outputs)
            if node.name not in self.folded:
                shown.update(_plain(name) for name in (*node.inputs, *node.outputs) if not _is_parameter(name))
        for node in structure.nodes:
            here = self._add_node(node)
            for name in node.inputs:
                self._lead_in(name, here, makers, shown, with_parameters and node.name not in self.folded)
            for name in node.outputs:
                if _plain(name) in shown:
                    mark = self._add("dataset", _plain(name), here)
                    self._makers.setdefault(mark, self._around[here])
                    self._lead(here, mark)

    def _lead_in(self, name: str, here: str, makers: Mapping[str, str], shown: set[str], with_parameters: bool) -> None:
        plain = _plain(name)
        maker = makers.get(plain, "")
        if _is_parameter(name):
            if with_parameters:
                self._lead(self._add("parameter", plain, here), here)
        elif maker == here and here in self.boxes:
            pass
        elif plain in shown:
            self._lead(self._add("dataset", plain, here), here)
        elif maker:
            self._lead(maker, here)

    def _lead(self, source: str, target: str) -> None:
        self.edges[source, target] = None

    def _add_node(self, node: SnapshotNode) -> str:
        mark = self._stands_for(node)
        if mark not in self.vertices:
            parent = (self._around[mark] or ("",))[-1]
            vertex = (
                _box(mark, self.boxes[mark], has_run=self._has_run)
                if mark in self.boxes
                else _vertex("node", node.name)
            )
            self.vertices[mark] = replace(vertex, parent=parent)
        return mark

    def _add(self, kind: str, name: str, beside: str) -> str:
        """A dataset or parameter, in the innermost frame that holds all that it is joined with."""
        mark = _id(kind, name)
        around = self._around[beside]
        if mark in self._makers:  # where it is made, if it is read there too: no line leads back into a frame
            shared = _shared(self._makers[mark], around)
            around = max(shared, self._around[mark] if mark in self._read else (), key=len)
            self._read.add(mark)
        elif mark in self.vertices:
            around = _shared(self._around[mark], around)
        self._around[mark] = around
        self.vertices.setdefault(mark, _vertex(kind, name))
        return mark

    def _name(self) -> None:
        """Inside of the frame of a namespace its name is not said again; the room follows what is said."""
        self.labels: dict[str, str] = {}
        for mark, vertex in self.vertices.items():
            said = self.boxes[vertex.parent].namespace + "." if vertex.parent else ""
            is_named = vertex.kind != "parameter" and said != "."
            label = vertex.name.removeprefix(said) if is_named else vertex.name
            self.labels[mark] = _brief(label) if mark in self.boxes else shorten(label)
            if vertex.kind == FRAME:
                self.labels[mark] += f" · {_size(self.boxes[mark])}"
            if label != vertex.name and mark not in self.boxes:
                self.vertices[mark] = replace(vertex, width=_width(vertex.kind, label))


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The frames that both are in."""
    return tuple(frame for frame, same in zip(one, other, strict=False) if frame == same)


def _names(scene: Scene, statuses: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Nodes in their order, then boxes and datasets, folded or not."""
    folded = scene.folded
    homes = {node.name: box.key for box in scene.whole.walk() for node in box.nodes}  # inner ones last
    found = {}
    for mark, node in scene.nodes.items():
        key = homes[node.name] if node.name in folded else ""
        found[mark] = (mark, node.name, statuses.get(node.name, ""), key)
    for mark, box in scene.boxes.items():
        found[mark] = (mark, box.title, "", "")
    for mark, vertex in scene.vertices.items():
        found.setdefault(mark, (mark, vertex.name, "", ""))
    for node in scene.nodes.values():
        for name in (*node.outputs, *node.inputs):
            mark = _id("dataset", _plain(name))
            if node.name in folded and not _is_parameter(name):
                found.setdefault(mark, (mark, _plain(name), "", homes[node.name]))
    return list(found.values())


def _in_pane(card: Card, chosen: str) -> Card:
    return replace(card, is_pane=True, is_chosen=card.name == chosen) if card.kind == "node" else card


def _card(
    vertex: Vertex,
    layout: Layout,
    scene: Scene,
    statuses: Mapping[str, str],
    link: Callable[[SnapshotNode], str] | None,
    links: Links,
) -> Card:
    (x, y), (width, height) = layout.corners[vertex.id], layout.sizes[vertex.id]
    place: dict[str, Any] = {"id": vertex.id, "kind": vertex.kind, "name": vertex.name}
    place |= {"x": x, "y": y, "width": width, "height": height}
    box, node = scene.boxes.get(vertex.id), scene.nodes.get(vertex.id)
    if box:
        return _box_card(box, place, scene, statuses, links)
    return Card(
        **place,
        label=scene.labels[vertex.id],
        status=statuses.get(node.name, "") if node else "",
        href=link(node) if node and link else "",
        parameters=[_plain(name) for name in node.inputs if _is_parameter(name)] if node else [],
    )


def _box_card(box: Box, place: dict[str, Any], scene: Scene, statuses: Mapping[str, str], links: Links) -> Card:
    counts = Counter(statuses.get(node.name, "") for node in box.nodes)
    bad, live = (sum(counts[status] for status in ALARMS[name]) for name in ("failed", "running"))
    said = [_size(box), *([f"{bad} failed"] if bad else []), *([f"{live} running"] if live else [])]
    status = "failed" if bad else "running" if live else ""
    if not status and counts["succeeded"] + counts["reused"] == len(box.nodes):
        status = "succeeded"
    return Card(
        **place,
        label=_fitting(scene.labels[place["id"]], place) if place["kind"] == FRAME else scene.labels[place["id"]],
        status=status,
        href=links.toggle(box),
        about=" · ".join([*said, *([_brief(box.about)] if box.about else [])]),
        said=", ".join([*said, *([box.about] if box.about else [])]),
        parent=scene.vertices[place["id"]].parent,
    )


def _fitting(label: str, place: Mapping[str, Any]) -> str:
    """The head of a frame is no wider than the frame: before letters of its name it leaves out the word for what it
    counts. The tooltip says all of it."""
    room = max(int((place["width"] - HEAD_ROOM) / LETTER), 6)
    name, _, size = label.rpartition(" · ")
    if len(label) <= room or not name:
        return shorten(label, room)
    count = f" · {size.partition(' ')[0]}"
    return f"{shorten(name, max(room - len(count), 4))}{count}"


def _brief(text: str) -> str:
    """Of a box's first and last node each by itself, so that both can be told."""
    parts = text.split(" … ")
    return " … ".join(shorten(part, LONGEST_BOX // len(parts)) for part in parts)


def _size(box: Box) -> str:
    return f"{len(box.nodes)} node{'' if len(box.nodes) == 1 else 's'}"


def _box(mark: str, box: Box, *, has_run: bool) -> Vertex:
    """In a run its size leaves room for what there may be to say: no layout changes while the run goes on."""
    about = len(_size(box)) + (len(_brief(box.about)) + 3 if box.about else 0)
    more = len(" · 99 failed · 99 running") if has_run else 0
    letters = max(len(_brief(box.title)) * LETTER, (about + more) * SMALL_LETTER)
    return Vertex(mark, BOX, box.title, max(letters + 72, 180), 60)


def _vertex(kind: str, name: str) -> Vertex:
    return Vertex(_id(kind, name), kind, name, _width(kind, name), 44 if kind == "node" else 32)


def _width(kind: str, label: str) -> float:
    room = 72 if kind == "node" else 48  # for the icons: a node also shows its status
    return min(max(len(shorten(label)) * LETTER + room, 120), 300)


def _id(kind: str, name: str) -> str:
    return f"{kind[0]}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _is_parameter(name: str) -> bool:
    return name.startswith(PARAMETERS) or name == ALL_PARAMETERS


def _plain(name: str) -> str:
    """A parameter without its prefix; a dataset without Kedro's `@` transcoding: it is one thing in two formats."""
    return name.removeprefix(PARAMETERS) if _is_parameter(name) else bare(name)


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
