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

Point = tuple[float, float]
Edge = tuple[str, str]


@dataclass(frozen=True)
class Vertex:
    """A card before it has a place; sizes in px."""

    id: str
    kind: str
    name: str
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Upper left corners by id, one route for each edge in the order given, and the size of the whole; px."""

    corners: dict[str, Point]
    routes: tuple[tuple[Point, ...], ...]
    width: float
    height: float


@lru_cache(maxsize=128)
def lay_out(vertices: tuple[Vertex, ...], edges: tuple[Edge, ...]) -> Layout:
    """Places from top to bottom, the same ones every time for the same graph."""
    if not vertices:
        return Layout({}, (), 0, 0)
    return _with_engine(vertices, edges) if engine else in_layers(vertices, edges)


def _with_engine(vertices: tuple[Vertex, ...], edges: tuple[Edge, ...]) -> Layout:
    graph = engine.Graph()
    for vertex in vertices:
        graph.node(vertex.id, width=vertex.width, height=vertex.height)
    for source, target in edges:
        graph.edge(source, target)
    spacing = {"layer_gap": LAYER_GAP, "node_gap": CARD_GAP}
    drawn = engine.layout(graph, options={"direction": "topbottom", "spacing": spacing})
    left, top = drawn.bounds["min"]["x"] - MARGIN, drawn.bounds["min"]["y"] - MARGIN

    def shifted(point: dict[str, Any]) -> Point:
        return point["x"] - left, point["y"] - top

    corners = {}
    for vertex, place in zip(vertices, drawn.nodes, strict=True):
        x, y = shifted(place["center"])
        corners[vertex.id] = (x - vertex.width / 2, y - vertex.height / 2)
    routes = tuple(tuple(shifted(point) for point in edge["points"]) for edge in drawn.edges)
    return Layout(corners, routes, drawn.bounds["max"]["x"] - left + MARGIN, drawn.bounds["max"]["y"] - top + MARGIN)


def in_layers(vertices: tuple[Vertex, ...], edges: tuple[Edge, ...]) -> Layout:
    """Each card in the layer below the last of those that lead to it; routes bend once between two layers."""
    layers: dict[int, list[Vertex]] = defaultdict(list)
    depth = _depths(vertices, edges)
    for vertex in vertices:
        layers[depth[vertex.id]].append(vertex)
    widest = max(sum(vertex.width + CARD_GAP for vertex in layer) for layer in layers.values()) - CARD_GAP
    corners: dict[str, Point] = {}
    y = MARGIN
    for _, layer in sorted(layers.items()):
        x = MARGIN + (widest - sum(vertex.width + CARD_GAP for vertex in layer) + CARD_GAP) / 2
        for vertex in layer:
            corners[vertex.id] = (x, y)
            x += vertex.width + CARD_GAP
        y += max(vertex.height for vertex in layer) + LAYER_GAP
    sizes = {vertex.id: vertex for vertex in vertices}
    routes = tuple(_bend(corners, sizes[source], sizes[target]) for source, target in edges)
    return Layout(corners, routes, widest + 2 * MARGIN, y - LAYER_GAP + MARGIN)


def _depths(vertices: tuple[Vertex, ...], edges: tuple[Edge, ...]) -> dict[str, int]:
    """The longest way to each card; one pass is enough, as edges come in the topological order of the nodes."""
    depth = {vertex.id: 0 for vertex in vertices}
    for source, target in edges:
        depth[target] = max(depth[target], depth[source] + 1)
    return depth


def _bend(corners: dict[str, Point], source: Vertex, target: Vertex) -> tuple[Point, ...]:
    start = corners[source.id][0] + source.width / 2, corners[source.id][1] + source.height
    end = corners[target.id][0] + target.width / 2, corners[target.id][1]
    middle = end[1] - LAYER_GAP / 2
    return start, (start[0], middle), (end[0], middle), end
