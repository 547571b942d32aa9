"""The layout itself: cards apart, lines around them, few crossings, and no more time than a page has."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bench.layouts import chains, circle, judged, mesh, sixty, spaceflights, tree
from console.drawing.folds import EVERYTHING, Folds, divide, settle
from console.drawing.graph import FRAME, Scene
from console.drawing.layers import depths, spread
from console.drawing.layout import Layout, Vertex, lay_out
from kedro_console.wire import SnapshotNode, SnapshotPipeline

Graph = tuple[Layout, tuple[Vertex, ...], tuple[tuple[str, str], ...]]
EXAMPLES = {each.__name__: each for each in (spaceflights, sixty, tree, chains, mesh, circle)}


def laid_out(nodes: list[SnapshotNode]) -> Graph:
    structure = SnapshotPipeline(name="p", nodes=nodes, inputs=[], outputs=[], parameters=[])
    state = settle(divide(structure), Folds(frozenset({EVERYTHING})))
    scene = Scene(structure, state, with_parameters=False, has_run=False)
    vertices, edges = tuple(scene.vertices.values()), tuple(scene.edges)
    return lay_out(vertices, edges), vertices, edges


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_line_lies_on_a_card_that_it_does_not_lead_to(name: str) -> None:
    _, on_cards, _ = judged(*laid_out(EXAMPLES[name]()))
    assert on_cards == 0


MOST_CROSSINGS = {"spaceflights": 0, "sixty": 3, "chains": 5, "circle": 20, "mesh": 350}


@pytest.mark.parametrize("name", MOST_CROSSINGS)
def test_lines_cross_seldom(name: str) -> None:
    crossings, _, _ = judged(*laid_out(EXAMPLES[name]()))
    assert crossings <= MOST_CROSSINGS[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_lines_are_upright_or_level_and_end_at_the_borders_of_their_cards(name: str) -> None:
    drawn, _, edges = laid_out(EXAMPLES[name]())
    for (source, target), route in zip(edges, drawn.routes, strict=True):
        assert all(abs(a[0] - b[0]) < 0.6 or abs(a[1] - b[1]) < 0.6 for a, b in pairwise(route))
        for card, (x, y) in ((source, route[0]), (target, route[-1])):
            (left, top), (width, height) = drawn.corners[card], drawn.sizes[card]
            assert left <= x <= left + width and min(abs(y - top), abs(y - top - height)) < 0.6


def test_what_is_in_a_frame_stays_in_it_and_nothing_else_is() -> None:
    drawn, vertices, _ = laid_out(sixty())
    around = {vertex.id: vertex.parent for vertex in vertices}

    def is_in(inner: str, outer: str) -> bool:
        return bool(inner) and (inner == outer or is_in(around[inner], outer))

    for frame in [vertex.id for vertex in vertices if vertex.kind == FRAME]:
        (left, top), (width, height) = drawn.corners[frame], drawn.sizes[frame]
        for vertex in vertices:
            (x, y), (wide, high) = drawn.corners[vertex.id], drawn.sizes[vertex.id]
            if is_in(vertex.id, frame):
                assert left <= x and x + wide <= left + width and top <= y and y + high <= top + height
            elif not is_in(frame, vertex.id):
                assert x + wide <= left or left + width <= x or y + high <= top or top + height <= y


def test_places_that_are_wanted_are_given_where_there_is_room_and_shared_where_not() -> None:
    assert spread([0, 100], [1, 1], [10]) == [0, 100]
    assert spread([50, 50], [1, 1], [10]) == [45, 55]
    assert spread([50, 50], [3, 1], [10]) == [47.5, 57.5]
    assert spread([9, 0, 5], [1, 1, 1], [1, 1]) == pytest.approx([11 / 3, 14 / 3, 17 / 3])


def test_what_closes_a_circle_does_not_count() -> None:
    assert depths(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")]) == {"a": 0, "b": 1, "c": 2}


def test_the_same_graph_is_laid_out_the_same_way() -> None:
    first, vertices, edges = laid_out(mesh())
    assert lay_out.__wrapped__(vertices, edges) == first
