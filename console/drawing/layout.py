"""Give the cards of a graph, and the frames around them, their places, and the lines between them their ways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from console.drawing.layers import LANE, Item, Level, Wire, depths, placed

MARGIN = 16.0
LAYER_GAP = 40.0
CARD_GAP = 22.0
FRAME_HEAD = 30.0
FRAME_PADDING = 16.0
FRAME = "frame"

Point = tuple[float, float]
Edge = tuple[str, str]


@dataclass(frozen=True)
class Vertex:
    """A card before it has a place; sizes in px. A frame gets its size from the cards whose `parent` it is."""

    id: str
    kind: str
    name: str
    width: float
    height: float
    parent: str = ""


@dataclass(frozen=True)
class Layout:
    """Upper left corners and sizes by id, one route for each edge in the order given, and the whole's size; px."""

    corners: dict[str, Point]
    sizes: dict[str, Point]
    routes: tuple[tuple[Point, ...], ...]
    width: float
    height: float


@lru_cache(maxsize=128)
def lay_out(vertices: tuple[Vertex, ...], edges: tuple[Edge, ...]) -> Layout:
    """Places from top to bottom, the same ones every time for the same graph; a frame comes before what is in it.

    Frame by frame, the inner ones first: a frame that has its layout is one item of what is around it.
    """
    if not vertices:
        return Layout({}, {}, (), 0, 0)
    nest = Nest(vertices, edges)
    levels: dict[str, Level] = {}
    for frame in [*reversed([vertex.id for vertex in vertices if vertex.kind == FRAME]), ""]:
        levels[frame] = nest.level(frame, levels)
    corners: dict[str, Point] = {"": (MARGIN, MARGIN)}
    sizes = {vertex.id: nest.size(vertex, levels) for vertex in vertices}
    for vertex in vertices:  # outer ones first
        x, y = nest.inside(vertex.parent, corners, levels)
        item = levels[vertex.parent].items[vertex.id]
        corners[vertex.id] = (x + item.x - item.width / 2, y + item.y)
    routes = tuple(nest.route(edge, corners, levels) for edge in edges)
    whole = levels[""]
    del corners[""]
    return Layout(corners, sizes, routes, whole.width + 2 * MARGIN, whole.height + 2 * MARGIN)


@dataclass(frozen=True)
class Way:
    """The wires of one edge, from the upper one of its ends to the lower one, each with the frame that it is in."""

    parts: tuple[tuple[str, Wire], ...]
    is_upwards: bool


class Nest:
    """Frames in frames, and what crosses their borders: there each line has a place of its own."""

    def __init__(self, vertices: tuple[Vertex, ...], edges: tuple[Edge, ...]) -> None:
        self.vertices = {vertex.id: vertex for vertex in vertices}
        self.around = {vertex.id: self._around(vertex) for vertex in vertices}
        inside: dict[str, list[str]] = defaultdict(list)
        for vertex in vertices:
            inside[vertex.parent].append(vertex.id)
        self.members = inside
        depth = self._depths(edges)
        self.ways = {edge: self._way(edge, depth) for edge in edges}
        self.wires: dict[str, dict[Wire, None]] = defaultdict(dict)
        for way in self.ways.values():
            for frame, wire in way.parts:
                self.wires[frame][wire] = None

    def _around(self, vertex: Vertex) -> tuple[str, ...]:
        """The frames that it is in, the outermost first, and itself."""
        found = [vertex.id]
        while parent := self.vertices[found[0]].parent:
            found.insert(0, parent)
        return tuple(found)

    def _depths(self, edges: tuple[Edge, ...]) -> dict[str, int]:
        """The layer of each item in what it is in: boxes may lead to each other in a circle."""
        beside: dict[str, dict[Edge, None]] = defaultdict(dict)
        for edge in edges:
            parent, one, other = self._meet(edge)
            if one != other:
                beside[parent][one, other] = None
        found: dict[str, int] = {}
        for parent, names in self.members.items():
            found.update(depths(names, beside[parent]))
        return found

    def _meet(self, edge: Edge) -> tuple[str, str, str]:
        """The innermost frame that holds both ends, and what in it holds each of them."""
        one, other = (self.around[end] for end in edge)
        shared = next(
            at for at in range(len(one)) if at == len(other) - 1 or at == len(one) - 1 or one[at] != other[at]
        )
        return one[shared - 1] if shared else "", one[shared], other[shared]

    def _way(self, edge: Edge, depth: Mapping[str, int]) -> Way:
        parent, one, other = self._meet(edge)
        is_upwards = depth[one] > depth[other]
        upper, lower = reversed(edge) if is_upwards else edge
        end = f"^{upper}" if is_upwards else upper
        above, below = self.around[upper], self.around[lower]
        level = above.index(parent) + 1 if parent else 0
        parts = [
            (above[at], Wire(above[at + 1], leaving(above[at], end), end))
            for at in range(len(above) - 2, level - 1, -1)
        ]
        parts.append((parent, Wire(above[level], below[level], end)))
        parts += [(below[at], Wire(coming(below[at], end), below[at + 1], end)) for at in range(level, len(below) - 1)]
        return Way(tuple(parts), is_upwards)

    def level(self, frame: str, levels: Mapping[str, Level]) -> Level:
        """What is in this frame, at its places."""
        wires = list(self.wires[frame])
        items = [self._item(self.vertices[name], levels) for name in self.members[frame]]
        top = list(dict.fromkeys(wire.source for wire in wires if wire.source.startswith("<")))
        bottom = list(dict.fromkeys(wire.target for wire in wires if wire.target.startswith(">")))
        items += [Item(name, LANE, 0.0) for name in (*top, *bottom)]
        return placed(items, wires, top=top, bottom=bottom, gap=(CARD_GAP, LAYER_GAP))

    def _item(self, vertex: Vertex, levels: Mapping[str, Level]) -> Item:
        width, height = self.size(vertex, levels)
        if vertex.kind != FRAME:
            return Item(vertex.id, width, height)
        within = levels[vertex.id].items.values()
        entries = {item.id[item.id.index("|") + 1 :]: item.x + FRAME_PADDING for item in within if item.id[0] == "<"}
        exits = {item.id[item.id.index("|") + 1 :]: item.x + FRAME_PADDING for item in within if item.id[0] == ">"}
        return Item(vertex.id, width, height, entries=entries, exits=exits)

    def size(self, vertex: Vertex, levels: Mapping[str, Level]) -> Point:
        if vertex.kind != FRAME:
            return vertex.width, vertex.height
        level = levels[vertex.id]
        return level.width + 2 * FRAME_PADDING, level.height + self._head(level) + self._foot(level)

    def _head(self, level: Level) -> float:
        """The space above: where lines come in, what they need to turn is a part of it."""
        room = FRAME_HEAD + FRAME_PADDING
        return room - LAYER_GAP if any(name[0] == "<" for name in level.items) else room

    def _foot(self, level: Level) -> float:
        return 0.0 if any(name[0] == ">" for name in level.items) else FRAME_PADDING

    def inside(self, frame: str, corners: Mapping[str, Point], levels: Mapping[str, Level]) -> Point:
        """Where 0, 0 of what is in a frame lies."""
        left, top = corners[frame]
        return (left + FRAME_PADDING, top + self._head(levels[frame])) if frame else (left, top)

    def route(self, edge: Edge, corners: Mapping[str, Point], levels: Mapping[str, Level]) -> tuple[Point, ...]:
        points: list[Point] = []
        way = self.ways[edge]
        for frame, wire in way.parts:
            left, top = self.inside(frame, corners, levels)
            found = [(x + left, y + top) for x, y in levels[frame].ways[wire]]
            if wire.source.startswith("<"):  # from the border on, through the head
                found[0] = (found[0][0], corners[frame][1])
            points += found
        return straightened(points[::-1] if way.is_upwards else points)


def leaving(frame: str, end: str) -> str:
    return f">{frame}|{end}"


def coming(frame: str, end: str) -> str:
    return f"<{frame}|{end}"


def straightened(points: list[Point]) -> tuple[Point, ...]:
    """Without those that are on the line between their neighbours."""
    found = [points[0]]
    for at, point in enumerate(points[1:], 1):
        after = points[at + 1] if at + 1 < len(points) else None
        is_between = after is not None and any(
            abs(found[-1][axis] - point[axis]) < 0.01 and abs(after[axis] - point[axis]) < 0.01 for axis in (0, 1)
        )
        if not is_between:
            found.append(point)
    return tuple(found)
