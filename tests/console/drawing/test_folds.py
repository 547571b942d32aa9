from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict

from console.drawing.folds import EVERYTHING, MOST, Box, Folds, State, address, divide, layers, settle
from console.drawing.graph import Drawing, draw
from kedro_console.wire import SnapshotNode, SnapshotPipeline


def a_node(name: str, inputs: list[str], outputs: list[str], **facts: Any) -> SnapshotNode:
    return SnapshotNode(name, "f.g", facts.get("namespace", ""), facts.get("tags", []), inputs, outputs)


def a_pipeline(*nodes: SnapshotNode) -> SnapshotPipeline:
    return SnapshotPipeline("p", list(nodes), [], [], [])


def three_deep() -> SnapshotPipeline:
    """60 nodes in emea.dach.load, emea.dach.model … apac.anz.model."""
    return a_pipeline(*(
        a_node(
            f"{place}.{step}.make_{i}", [f"{place}.{source}_{i}"], [f"{place}.{step}_{i}"], namespace=f"{place}.{step}"
        )
        for place in ("emea.dach", "emea.uk", "apac.anz")
        for step, source in (("load", "raw"), ("model", "load"))
        for i in range(10)
    ))  # fmt: skip


def a_tree(count: int = 500, **facts: Any) -> SnapshotPipeline:
    """Layers of 1, 2, 6, 18, 54 … nodes without namespaces."""
    rest = (a_node(f"node_{i:03}", [f"n{i // 3}"], [f"n{i}"], **facts) for i in range(1, count))
    return a_pipeline(a_node("start", [], ["n0"], **facts), *rest)


def beside(count: int) -> SnapshotPipeline:
    return a_pipeline(*(a_node(f"node_{i}", ["x"], [f"y{i}"]) for i in range(count)))


def a_chain(count: int) -> SnapshotPipeline:
    return a_pipeline(*(a_node(f"node_{i}", [f"d{i}"], [f"d{i + 1}"]) for i in range(count)))


def titles(box: Box) -> list[str]:
    return [each.title for each in box.boxes]


def inside(box: Box, title: str) -> Box:
    return next(each for each in box.walk() if each.title == title)


def opened(structure: SnapshotPipeline, *keys: str, **facts: Any) -> Drawing:
    return draw(structure, folds=Folds(frozenset(keys)), **facts)


def boxes(drawing: Drawing) -> set[str]:
    return {card.name for card in drawing.cards if card.kind == "box"}


def frames(drawing: Drawing) -> set[str]:
    return {card.name for card in drawing.frames}


# ---- dividing


def test_namespaces_become_boxes_in_boxes_and_none_that_holds_a_single_box() -> None:
    whole = divide(three_deep())
    assert titles(whole) == ["emea", "apac.anz"]
    assert titles(inside(whole, "emea")) == ["emea.dach", "emea.uk"]
    assert titles(inside(whole, "emea.dach")) == ["emea.dach.load", "emea.dach.model"]
    assert titles(inside(whole, "apac.anz")) == ["apac.anz.load", "apac.anz.model"]


def test_a_namespace_around_everything_is_no_box() -> None:
    nodes = [a_node(f"a.b.{step}.n{i}", [], [f"{step}{i}"], namespace=f"a.b.{step}") for step in "xy" for i in range(3)]
    assert titles(divide(a_pipeline(*nodes))) == ["a.b.x", "a.b.y"]


def test_without_namespaces_tags_divide_then_layers() -> None:
    loaded = [a_node(f"load_{i}", [], [f"l{i}"], tags=["load", "all"]) for i in range(20)]
    made = [a_node(f"make_{i}", [f"l{i % 20}"], [f"m{i}"], tags=["make", "all"]) for i in range(30)]
    rest = [a_node(f"rest_{i}", [f"m{i}"], [f"r{i}"], tags=["all"]) for i in range(8)]
    whole = divide(a_pipeline(*loaded, *made, *rest))
    assert titles(whole) == ["Tag load", "Tag make"]
    assert len(whole.nodes) == 58
    assert titles(divide(a_tree(200))) == ["Layers 1–3", "Layer 4", "Layer 5", "Layer 6"]


def test_a_tag_of_its_own_for_each_node_divides_nothing() -> None:
    nodes = [a_node(f"node_{i}", [f"n{i - 1}"], [f"n{i}"], tags=[f"t{i}"]) for i in range(60)]
    assert titles(divide(a_pipeline(*nodes))) == ["Layers 1–25", "Layers 26–50", "Layers 51–60"]


def test_a_layer_says_its_first_and_last_node_and_a_wide_one_is_divided_by_names() -> None:
    whole = divide(a_tree())
    layer = inside(whole, "Layer 5")
    assert (len(layer.nodes), layer.about) == (54, "node_027 … node_080")
    assert titles(layer) == ["node_027 … node_044", "node_045 … node_062", "node_063 … node_080"]
    assert titles(divide(beside(60))) == ["node_0 … node_19", "node_20 … node_39", "node_40 … node_59"]


@pytest.mark.parametrize(
    "structure",
    [
        three_deep(),
        a_tree(),
        beside(3_000),
        a_pipeline(*(a_node(f"c{i}", [f"d{i}"], [f"d{i + 1}"]) for i in range(900))),
    ],
    ids=["namespaces", "layers", "one layer", "chain"],
)
def test_no_box_shows_much_at_once_and_each_node_is_in_one_place(structure: SnapshotPipeline) -> None:
    whole = divide(structure)
    for box in (whole, *whole.walk()):
        inner = [node.name for each in box.boxes for node in each.nodes]
        assert len(inner) == len(set(inner))
        assert len(box.boxes) + len(box.nodes) - len(inner) <= 2 * MOST
    keys = [box.key for box in whole.walk()]
    assert len(keys) == len(set(keys))


def test_layers_count_through_both_formats_of_a_dataset() -> None:
    found = layers([a_node("a", [], ["x@pandas"]), a_node("b", ["x@spark"], ["y"]), a_node("c", ["y", "x@spark"], [])])
    assert found == {"a": 1, "b": 2, "c": 3}


# ---- open and folded


def asked(text: str) -> Folds | None:
    return Folds.asked(QueryDict(text))


def test_a_large_pipeline_opens_folded_and_a_small_one_open() -> None:
    assert settle(divide(three_deep()), None).open == frozenset()
    small = a_pipeline(*(a_node(f"{box}.{i}", [], [f"{box}{i}"], namespace=box) for box in "ab" for i in range(3)))
    assert settle(divide(small), None).open == {"a", "b"}


def test_an_open_box_opens_those_around_it() -> None:
    state = settle(divide(three_deep()), asked("unfold=emea.uk.load"))
    assert state.open == {"emea", "emea.uk", "emea.uk.load"}
    assert state.asked == [("unfold", "emea.uk.load")]


def test_everything_can_be_open_but_for_what_is_folded() -> None:
    state = settle(divide(three_deep()), asked("unfold=*&fold=emea"))
    assert "apac.anz.model" in state.open
    assert "emea" not in state.open
    assert state.asked == [("unfold", EVERYTHING), ("fold", "emea")]
    assert "emea.uk.load" in settle(divide(three_deep()), asked("unfold=*&unfold=emea.uk.load&fold=emea")).open


def test_what_no_box_is_called_is_left_out_of_the_address() -> None:
    assert settle(divide(three_deep()), asked("unfold=gone&fold=gone")).asked == [("unfold", "")]
    assert asked("tab=graph") is None


def test_folding_a_box_leaves_those_around_it_open() -> None:
    state = settle(divide(three_deep()), asked("unfold=emea.uk.load"))
    assert state.toggled(inside(state.whole, "emea.uk")).asked == [("unfold", "emea")]
    assert state.toggled(inside(state.whole, "emea")).asked == [("unfold", "")]


@pytest.mark.parametrize("query", ["unfold=", "unfold=*", "unfold=emea.uk", "unfold=*&fold=emea.dach"])
def test_an_address_leads_back_to_the_same_folds_also_after_a_turn(query: str) -> None:
    whole = divide(three_deep())
    box = inside(whole, "apac.anz")

    def again(state: State) -> State:
        return settle(whole, asked(address(state.asked)[1:]))

    state = settle(whole, asked(query))
    assert again(state) == state
    turned = again(state.toggled(box))
    assert (box.key in turned.open) is (box.key not in state.open)
    assert again(turned.toggled(box)) == state


# ---- drawn


def test_folded_boxes_stand_for_their_nodes_and_lines_join_them() -> None:
    drawing = draw(a_tree())
    assert boxes(drawing) == {"Layers 1–3", "Layer 4", "Layer 5", "Layer 6", "Layer 7"}
    assert {card.kind for card in drawing.cards} == {"box"}
    assert len(drawing.lines) == 4
    assert drawing.count == 500


def test_an_open_box_is_a_frame_around_its_cards() -> None:
    drawing = opened(three_deep(), "emea.dach.load")
    assert frames(drawing) == {"emea", "emea.dach", "emea.dach.load"}
    assert boxes(drawing) == {"apac.anz", "emea.uk", "emea.dach.model"}
    assert {card.label for card in drawing.nodes} == {f"make_{i}" for i in range(10)}
    frame = next(card for card in drawing.frames if card.name == "emea.dach.load")
    for card in drawing.nodes:
        assert frame.x < card.x
        assert card.x + card.width < frame.x + frame.width
        assert frame.y < card.y
        assert card.y + card.height < frame.y + frame.height
        assert card.summary == f"Node {card.name}"


def test_a_dataset_stands_in_the_frame_that_holds_all_that_use_it() -> None:
    drawing = opened(three_deep(), "emea.dach.load")
    frame = next(card for card in drawing.frames if card.name == "emea.dach")
    inner = next(card for card in drawing.frames if card.name == "emea.dach.load")
    made = next(card for card in drawing.cards if card.name == "emea.dach.load_3")
    assert frame.y < made.y < frame.y + frame.height
    assert not inner.y < made.y < inner.y + inner.height
    assert made.label == "load_3"


def test_a_run_opens_on_the_node_that_failed_and_counts_on_the_boxes() -> None:
    statuses = {"emea.uk.model.make_3": "failed", "apac.anz.load.make_1": "running", "apac.anz.load.make_2": "crashed"}
    drawing = draw(three_deep(), statuses)
    assert drawing.asked == [("unfold", "emea.uk.model")]
    assert drawing.alarms == {"failed": 2, "running": 1}
    box = next(card for card in drawing.cards if card.name == "apac.anz")
    assert (box.about, box.status) == ("20 nodes · 1 failed · 1 running", "failed")
    assert box.summary == "Unfold apac.anz: 20 nodes, 1 failed, 1 running"


def test_a_box_that_runs_or_is_done_shows_it() -> None:
    done = {node.name: "succeeded" for node in three_deep().nodes if node.namespace.startswith("emea")}
    drawing = draw(three_deep(), {**done, "apac.anz.load.make_1": "running"})
    assert {card.name: card.status for card in drawing.cards} == {"emea": "succeeded", "apac.anz": "running"}
    assert drawing.asked == [("unfold", "")]


def test_each_node_and_dataset_can_be_found_wherever_it_is_folded() -> None:
    drawing = opened(three_deep(), "emea.dach.load")
    found = {name: key for _, name, _, key in drawing.names}
    assert found["emea.dach.load.make_1"] == ""
    assert found["emea.dach.model.make_1"] == "emea.dach.model"
    assert found["apac.anz.load.make_1"] == found["apac.anz.raw_1"] == "apac.anz.load"
    assert len({mark for mark, *_ in drawing.names}) == len(drawing.names)


def test_links_of_a_box_keep_the_rest_of_the_address() -> None:
    drawing = opened(three_deep(), "emea", keep={"tab": "graph"}, with_parameters=True)
    box = next(card for card in drawing.cards if card.name == "emea.uk")
    assert box.href == "?tab=graph&unfold=emea.uk&parameters=1"
    assert drawing.frames[0].href == "?tab=graph&unfold=&parameters=1"
    assert drawing.links["unfold"] == "?tab=graph&unfold=%2A&parameters=1"


def test_boxes_that_lead_to_each_other_in_a_circle_are_drawn() -> None:
    nodes = [a_node(f"{'ab'[i % 2]}.{i}", [f"d{i - 1}"], [f"d{i}"], namespace="ab"[i % 2]) for i in range(30)]
    assert boxes(draw(a_pipeline(*nodes))) == {"a", "b"}
    assert len(opened(a_pipeline(*nodes), "a", "b").nodes) == 30


@pytest.mark.parametrize("structure", [three_deep(), a_tree(120)], ids=["namespaces", "layers"])
def test_frames_hold_their_cards_and_none_overlap(structure: SnapshotPipeline) -> None:
    drawing = opened(structure, EVERYTHING)
    for number, one in enumerate(drawing.cards):
        assert 0 <= one.x <= drawing.width - one.width
        assert 0 <= one.y <= drawing.height - one.height
        for other in drawing.cards[number + 1 :]:
            apart = one.x + one.width <= other.x or other.x + other.width <= one.x
            assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y
    places = {card.id: card for card in drawing.frames}
    for frame in drawing.frames:
        if around := places.get(frame.parent):
            assert around.x < frame.x
            assert frame.y + frame.height < around.y + around.height
