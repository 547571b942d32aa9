"""`python -m bench.layouts`: how the graph's layout does on small and large pipelines; pictures with `--folder`.

Crossings of lines, how often a line is on a card that it does not lead to, width, height, length of all lines,
seconds.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.stage import ROOT, table

sys.path[:0] = [str(ROOT)]

from console.drawing import layout  # noqa: E402
from console.drawing.folds import EVERYTHING, Folds, divide, settle  # noqa: E402
from console.drawing.graph import FRAME, Scene, path_along  # noqa: E402
from console.drawing.layout import Layout, Vertex  # noqa: E402
from kedro_console.wire import SnapshotNode, SnapshotPipeline  # noqa: E402

Segment = tuple[tuple[float, float], tuple[float, float]]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--folder", type=Path, help="Where SVG files are written.")
    options = asked.parse_args()
    rows = []
    for name, structure, opened in examples():
        scene = Scene(structure, settle(divide(structure), opened), with_parameters=False, has_run=False)
        vertices, edges = tuple(scene.vertices.values()), tuple(scene.edges)
        for engine, lay_out in engines().items():
            begun = time.perf_counter()
            drawn = lay_out(vertices, edges)
            seconds = time.perf_counter() - begun
            rows.append([
                name, engine, f"{len(vertices):,}", f"{len(edges):,}", f"{drawn.width:,.0f}", f"{drawn.height:,.0f}",
                *(f"{count:,}" for count in judged(drawn, vertices, edges)), f"{seconds:.2f}",
            ])  # fmt: skip
            if options.folder:
                options.folder.mkdir(parents=True, exist_ok=True)
                (options.folder / f"{name}-{engine}.svg").write_text(svg(drawn, vertices, scene.labels))
    heads = ["pipeline", "layout", "cards", "lines", "width", "height", "crossings", "on cards", "length", "seconds"]
    print(table(heads, rows))


def engines() -> dict[str, Callable[..., Layout]]:
    """Ours, and graphlay where somebody has installed it to compare."""
    found: dict[str, Callable[..., Layout]] = {"ours": layout.lay_out.__wrapped__}
    if importlib.util.find_spec("graphlay"):
        found["graphlay"] = with_graphlay
    return found


def with_graphlay(vertices: tuple[Vertex, ...], edges: tuple[Any, ...]) -> Layout:
    import graphlay

    graph = graphlay.Graph()
    places = {vertex.id: place for place, vertex in enumerate(vertices)}
    for vertex in vertices:
        around = {"parent": places[vertex.parent]} if vertex.parent else {}
        graph.node(vertex.id, width=vertex.width, height=vertex.height, **around)
    for source, target in edges:
        graph.edge(source, target)
    frames = {"compound_padding": layout.FRAME_PADDING, "compound_header": layout.FRAME_HEAD}
    spacing = {"layer_gap": layout.LAYER_GAP, "node_gap": layout.CARD_GAP, **frames}
    drawn = graphlay.layout(graph, options={"direction": "topbottom", "spacing": spacing})
    left, top = drawn.bounds["min"]["x"] - layout.MARGIN, drawn.bounds["min"]["y"] - layout.MARGIN
    corners, sizes = {}, {}
    for vertex, place in zip(vertices, drawn.nodes, strict=True):
        width, height = sizes[vertex.id] = place["size"]["width"], place["size"]["height"]
        corners[vertex.id] = (place["center"]["x"] - left - width / 2, place["center"]["y"] - top - height / 2)
    routes = tuple(tuple((point["x"] - left, point["y"] - top) for point in edge["points"]) for edge in drawn.edges)
    right, bottom = drawn.bounds["max"]["x"] - left, drawn.bounds["max"]["y"] - top
    return Layout(corners, sizes, routes, right + layout.MARGIN, bottom + layout.MARGIN)


def node(name: str, inputs: list[str], outputs: list[str], namespace: str = "") -> SnapshotNode:
    return SnapshotNode(name=name, namespace=namespace, tags=[], inputs=inputs, outputs=outputs, function="f")


def examples() -> Iterator[tuple[str, SnapshotPipeline, Folds | None]]:
    """Name, pipeline, and what of it is open."""
    everything = Folds(frozenset({EVERYTHING}))
    for name, nodes in (
        ("spaceflights", spaceflights()), ("sixty", sixty()), ("tree-500", tree()), ("chains-500", chains()),
        ("mesh-50", mesh()), ("circle", circle()),
    ):  # fmt: skip
        structure = SnapshotPipeline(name=name, nodes=nodes, inputs=[], outputs=[], parameters=[])
        yield name, structure, everything
        if len(nodes) > 25:
            yield f"{name}-folded", structure, None


def spaceflights() -> list[SnapshotNode]:
    given = [
        ("preprocess_companies", "companies", "preprocessed_companies"),
        ("preprocess_shuttles", "shuttles", "preprocessed_shuttles"),
        ("create_model_input", "preprocessed_shuttles preprocessed_companies reviews", "model_input_table"),
        ("split_data", "model_input_table", "X_train X_test y_train y_test"),
        ("train_model", "X_train y_train", "regressor"),
        ("evaluate_model", "regressor X_test y_test", "metrics"),
        ("compare_passenger_capacity_exp", "preprocessed_shuttles", "shuttle_passenger_capacity_plot_exp"),
        ("compare_passenger_capacity_go", "preprocessed_shuttles", "shuttle_passenger_capacity_plot_go"),
        ("create_confusion_matrix", "companies", "dummy_confusion_matrix"),
    ]
    return [node(name, reads.split(), writes.split()) for name, reads, writes in given]


def sixty() -> list[SnapshotNode]:
    """Namespaces three deep."""
    found = []
    for region in ("emea", "apac"):
        for place in ("dach", "uk", "anz"):
            inside = f"{region}.{place}"
            for step in range(10):
                space = f"{inside}.{('load', 'model')[step // 5]}"
                before = f"{inside}.table_{step - 1}" if step else "raw"
                more = [f"{inside}.table_0"] if step in (4, 8) else []
                found.append(node(f"{space}.step_{step}", [before, *more], [f"{inside}.table_{step}"], space))
    return [
        *found,
        node("report", [f"{r}.{p}.table_9" for r in ("emea", "apac") for p in ("dach", "uk", "anz")], ["deck"]),
    ]


def tree() -> list[SnapshotNode]:
    return [node("start", [], ["n0"]), *(node(f"node_{i:03}", [f"n{i // 3}"], [f"n{i}"]) for i in range(1, 500))]


def chains() -> list[SnapshotNode]:
    """Ten regions of five places of ten nodes, that meet."""
    found = []
    for region in range(10):
        for place in range(5):
            space = f"region_{region}.place_{place}"
            for step in range(10):
                before = f"{space}.t{step - 1}" if step else "raw"
                found.append(node(f"{space}.n{step}", [before], [f"{space}.t{step}"], space))
    return found


def mesh() -> list[SnapshotNode]:
    """Each reads what two or three before it made."""
    found = []
    for i in range(50):
        reads = sorted({f"d{(i * 7 + k * 11) % i}" for k in range(1 + i % 3)}) if i else ["raw"]
        found.append(node(f"step_{i}", reads, [f"d{i}"]))
    return found


def circle() -> list[SnapshotNode]:
    """Two boxes that lead to each other."""
    return [node(f"{'ab'[i % 2]}.{i}", [f"d{i - 1}"], [f"d{i}"], "ab"[i % 2]) for i in range(12)]


def judged(drawn: Layout, vertices: tuple[Vertex, ...], edges: Any) -> tuple[int, int, int]:
    """Crossings, pieces of lines on cards that are not theirs, length."""
    segments: dict[Segment, None] = {}
    on_cards = 0
    cards = [vertex for vertex in vertices if vertex.kind != FRAME]
    for edge, route in zip(edges, drawn.routes, strict=True):
        for one, other in itertools.pairwise(route):
            segments[min(one, other), max(one, other)] = None
            on_cards += sum(
                card.id not in edge and _lies_on((one, other), drawn.corners[card.id], drawn.sizes[card.id])
                for card in cards
            )
    flat = [each for each in segments if abs(each[0][1] - each[1][1]) < 0.5]
    steep = [each for each in segments if abs(each[0][0] - each[1][0]) < 0.5]
    crossings = sum(
        a[0] + 0.5 < b[0][0] < c[0] - 0.5 and min(b[0][1], b[1][1]) + 0.5 < a[1] < max(b[0][1], b[1][1]) - 0.5
        for a, c in flat
        for b in steep
    )
    length = sum(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in segments)
    return crossings, on_cards, round(length)


def _lies_on(segment: Segment, corner: tuple[float, float], size: tuple[float, float]) -> bool:
    (x1, y1), (x2, y2) = segment
    return (
        min(x1, x2) < corner[0] + size[0] - 1
        and max(x1, x2) > corner[0] + 1
        and min(y1, y2) < corner[1] + size[1] - 1
        and max(y1, y2) > corner[1] + 1
    )


def svg(drawn: Layout, vertices: tuple[Vertex, ...], labels: dict[str, str]) -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{drawn.width:.0f}" height="{drawn.height:.0f}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for vertex in vertices:
        (x, y), (width, height) = drawn.corners[vertex.id], drawn.sizes[vertex.id]
        if vertex.kind == FRAME:
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="10" '
                'fill="#eef" fill-opacity=".5" stroke="#99a" stroke-dasharray="5 4"/>'
                f'<text x="{x + 12:.1f}" y="{y + 20:.1f}">{labels[vertex.id]}</text>'
            )
    parts += [f'<path d="{path_along(route)}" fill="none" stroke="#778" stroke-width="1.4"/>' for route in drawn.routes]
    for vertex in vertices:
        (x, y), (width, height) = drawn.corners[vertex.id], drawn.sizes[vertex.id]
        if vertex.kind != FRAME:
            fill = "#dfe8ff" if vertex.kind in ("node", "box") else "#fff7dd"
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6" fill="{fill}" '
                f'stroke="#556"/><text x="{x + 10:.1f}" y="{y + height / 2 + 4:.1f}">{labels[vertex.id]}</text>'
            )
    return "".join([*parts, "</svg>"])


if __name__ == "__main__":
    main()
