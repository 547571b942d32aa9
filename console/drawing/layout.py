"""Give the cards of a graph their places: by graphlay, or by plain layers where its wheel is missing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

try:
    import graphlay as engine
except ImportError:  # a platform without the wheel loses beauty, nothing else
    engine = None

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
    """Places from top to bottom, the same ones every time for the same graph; a frame comes before what is in it."""
    if not vertices:
        return Layout({}, {}, (), 0, 0)
    if engine is None:
        return in_layers(vertices, edges)
    try:
        return _with_engine(vertices, edges)
    except engine.GraphlayError:  # a limit of the engine: plain layers know none
        return in_layers(vertices, edges)


def _with_engine(vertices: tuple[Vertex, ...], edges: tuple[Edge, ...]) -> Layout:
    graph = engine.Graph()
    places = {vertex.id: place for place, vertex in enumerate(vertices)}
    for vertex in vertices:
        around = {"parent": places[vertex.parent]} if vertex.parent else {}
        graph.node(vertex.id, width=vertex.width, height=vertex.height, **around)
    for source, target in edges:
        graph.edge(source, target)
    frames = {"compound_padding": FRAME_PADDING, "compound_header": FRAME_HEAD}
    spacing = {"layer_gap": LAYER_GAP, "node_gap": CARD_GAP, **frames}
    drawn = engine.layout(graph, options={"direction": "topbottom", "spacing": spacing})
    left, top = drawn.bounds["min"]["x"] - MARGIN, drawn.bounds["min"]["y"] - MARGIN

    def shifted(point: dict[str, Any]) -> Point:
        return point["x"] - left, point["y"] - top

    corners, sizes = {}, {}
    for vertex, place in zip(vertices, drawn.nodes, strict=True):
        x, y = shifted(place["center"])
        width, height = sizes[vertex.id] = place["size"]["width"], place["size"]["height"]
        corners[vertex.id] = (x - width / 2, y - height / 2)
    routes = tuple(tuple(shifted(point) for point in edge["points"]) for edge in drawn.edges)
    right, bottom = shifted(drawn.bounds["max"])
    return Layout(corners, sizes, routes, right + MARGIN, bottom + MARGIN)


def in_layers(vertices: tuple[Vertex, ...], edges: tuple[Edge, ...]) -> Layout:
    """Each card in the layer below the last of those that lead to it; routes bend once between two layers."""
    around = {vertex.id: vertex.parent for vertex in vertices}
    inside: dict[str, list[Vertex]] = defaultdict(list)
    for vertex in vertices:
        inside[vertex.parent].append(vertex)
    beside: dict[str, dict[Edge, None]] = defaultdict(dict)
    for source, target in edges:
        parent, *pair = _siblings(source, target, around)
        if pair[0] != pair[1]:
            beside[parent][pair[0], pair[1]] = None
    sizes = {vertex.id: (vertex.width, vertex.height) for vertex in vertices}
    corners: dict[str, Point] = {}
    for frame in reversed([vertex for vertex in vertices if vertex.kind == FRAME]):  # inner ones first
        width, height = _rows(inside[frame.id], tuple(beside[frame.id]), sizes, corners)
        sizes[frame.id] = width + 2 * FRAME_PADDING, height + FRAME_HEAD + 2 * FRAME_PADDING
    width, height = _rows(inside[""], tuple(beside[""]), sizes, corners)
    for vertex in vertices:  # outer ones first
        x, y = corners[vertex.id]
        left, top = corners.get(vertex.parent, (MARGIN, MARGIN))
        inset = (FRAME_PADDING, FRAME_PADDING + FRAME_HEAD) if vertex.parent else (0.0, 0.0)
        corners[vertex.id] = (x + left + inset[0], y + top + inset[1])
    routes = tuple(_bend(corners, sizes, source, target) for source, target in edges)
    return Layout(corners, sizes, routes, width + 2 * MARGIN, height + 2 * MARGIN)


def _siblings(source: str, target: str, around: dict[str, str]) -> tuple[str, str, str]:
    """The innermost frame that holds both ends, and what in it holds each of them."""
    way = [source]
    while around[way[-1]]:
        way.append(around[way[-1]])
    parents = [around[step] for step in way]
    end = target
    while around[end] not in parents:
        end = around[end]
    return around[end], way[parents.index(around[end])], end


def _rows(inside: list[Vertex], edges: tuple[Edge, ...], sizes: dict[str, Point], corners: dict[str, Point]) -> Point:
    """Put these into rows below each other, from 0, 0; the size of it all."""
    layers: dict[int, list[str]] = defaultdict(list)
    depth = _depths(inside, edges)
    for vertex in inside:
        layers[depth[vertex.id]].append(vertex.id)
    widths = {at: sum(sizes[name][0] + CARD_GAP for name in layer) - CARD_GAP for at, layer in layers.items()}
    widest, y = max(widths.values(), default=0.0), 0.0
    for at, layer in sorted(layers.items()):
        x = (widest - widths[at]) / 2
        for name in layer:
            corners[name] = (x, y)
            x += sizes[name][0] + CARD_GAP
        y += max(sizes[name][1] for name in layer) + LAYER_GAP
    return widest, max(y - LAYER_GAP, 0.0)


def _depths(inside: list[Vertex], edges: tuple[Edge, ...]) -> dict[str, int]:
    """The longest way to each card; edges that would close a circle, as boxes may, do not count."""
    after: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        after[source].append(target)
    order: list[str] = []
    state: dict[str, int] = {}
    back: set[Edge] = set()
    for start in [vertex.id for vertex in inside]:
        stack = [] if start in state else [(start, iter(after[start]))]
        state.setdefault(start, 1)
        while stack:
            here, rest = stack[-1]
            step = next(rest, None)
            if step is None:
                state[here] = 2
                order.append(here)
                stack.pop()
            elif state.get(step) == 1:
                back.add((here, step))
            elif step not in state:
                state[step] = 1
                stack.append((step, iter(after[step])))
    depth = {vertex.id: 0 for vertex in inside}
    for here in reversed(order):
        for target in after[here]:
            if (here, target) not in back:
                depth[target] = max(depth[target], depth[here] + 1)
    return depth


def _bend(corners: dict[str, Point], sizes: dict[str, Point], source: str, target: str) -> tuple[Point, ...]:
    start = corners[source][0] + sizes[source][0] / 2, corners[source][1] + sizes[source][1]
    end = corners[target][0] + sizes[target][0] / 2, corners[target][1]
    middle = end[1] - LAYER_GAP / 2
    return start, (start[0], middle), (end[0], middle), end
