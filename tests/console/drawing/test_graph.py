from __future__ import annotations

import random

from django.template.loader import render_to_string

from console.drawing.folds import EVERYTHING, Folds
from console.drawing.graph import draw, element_id, shorten
from console.drawing.layout import lay_out
from kedro_console.wire import SnapshotNode, SnapshotPipeline


def a_node(name: str, inputs: list[str], outputs: list[str]) -> SnapshotNode:
    return SnapshotNode(name, f"f.{name}", "", [], inputs, outputs)


def a_pipeline(*nodes: SnapshotNode) -> SnapshotPipeline:
    return SnapshotPipeline("p", list(nodes), [], [], [])


def a_large_pipeline(count: int = 200) -> SnapshotPipeline:
    dice = random.Random(7)
    first = [a_node("node_0", ["source"], ["d0"])]
    rest = [
        a_node(f"node_{i}", sorted({f"d{dice.randrange(max(0, i - 12), i)}" for _ in range(2)}), [f"d{i}"])
        for i in range(1, count)
    ]
    return a_pipeline(*first, *rest)


CHAIN = a_pipeline(
    a_node("fetch", ["params:url"], ["raw"]),
    a_node("clean", ["raw", "parameters"], ["tidy@pandas"]),
    a_node("write", ["tidy@spark"], ["report"]),
)


def html(structure: SnapshotPipeline, **facts: object) -> str:
    return render_to_string("pipelines/_graph.html", {"drawing": draw(structure, **facts)})  # type: ignore[arg-type]


def test_nodes_and_datasets_become_cards_and_parameters_stay_folded() -> None:
    drawing = draw(CHAIN)
    assert {(card.kind, card.name) for card in drawing.cards} == {
        *(("node", name) for name in ("fetch", "clean", "write")),
        *(("dataset", name) for name in ("raw", "tidy", "report")),
    }
    assert drawing.has_parameters
    assert next(card for card in drawing.nodes if card.name == "fetch").parameters == ["url"]


def test_unfolded_parameters_have_cards_and_lines_of_their_own() -> None:
    drawing = draw(CHAIN, with_parameters=True)
    parameters = [card for card in drawing.cards if card.kind == "parameter"]
    assert [card.name for card in parameters] == ["url", "parameters"]
    assert {line.source for line in drawing.lines} >= {card.id for card in parameters}


def test_two_formats_of_a_dataset_are_one_card() -> None:
    assert len([card for card in draw(CHAIN).cards if card.name.startswith("tidy")]) == 1


def test_a_node_and_a_dataset_of_one_name_stay_two_cards() -> None:
    drawing = draw(a_pipeline(a_node("same", ["x"], ["same"])))
    assert len({card.id for card in drawing.cards}) == 3


def test_each_node_carries_its_status() -> None:
    page = html(CHAIN, statuses={"fetch": "succeeded", "clean": "running"})
    for name, status in (("fetch", "succeeded"), ("clean", "running"), ("write", "")):
        assert f'id="{element_id(name)}"' in page
        group = page[page.index(f'id="{element_id(name)}"') :].split(">")[0]
        assert f'data-status="{status}"' in group


def test_hostile_names_are_escaped_and_their_ids_are_plain() -> None:
    evil = '"><script>alert(1)</script>'
    page = html(a_pipeline(a_node(evil, [f"in{evil}", f"params:{evil}"], ["\ud800 half"])), with_parameters=True)
    assert "<script>alert" not in page
    assert element_id(evil).replace("-", "").isalnum()


def test_no_two_cards_overlap() -> None:
    cards = draw(a_large_pipeline(60)).cards
    for number, one in enumerate(cards):
        for other in cards[number + 1 :]:
            apart = one.x + one.width <= other.x or other.x + other.width <= one.x
            assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y


def test_lines_begin_and_end_at_the_cards_they_join() -> None:
    drawing = draw(CHAIN)
    cards = {card.id: card for card in drawing.cards}
    for line in drawing.lines:
        x, y = (float(part) for part in line.path[1:].split("L")[0].split("Q")[0].split())
        source = cards[line.source]
        assert source.x - 1 <= x <= source.x + source.width + 1
        assert source.y - 1 <= y <= source.y + source.height + 1


def test_every_card_lies_below_what_leads_to_it() -> None:
    drawing = draw(a_large_pipeline(40))
    cards = {card.id: card for card in drawing.cards}
    assert all(cards[line.source].y < cards[line.target].y for line in drawing.lines)
    assert all(card.x >= 0 and card.x + card.width <= drawing.width for card in drawing.cards)


def test_two_hundred_nodes_are_drawn_the_same_way_every_time() -> None:
    everything = Folds(frozenset({EVERYTHING}))
    first = draw(a_large_pipeline(), folds=everything)
    lay_out.cache_clear()
    assert draw(a_large_pipeline(), folds=everything) == first
    assert len(first.nodes) == 200


def test_a_layout_is_made_once_for_a_run() -> None:
    structure = a_large_pipeline(120)
    draw(structure, {"node_1": "waiting"})
    before = lay_out.cache_info()
    draw(structure, {"node_1": "running", "node_3": "succeeded"})
    after = lay_out.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)


def test_a_pipeline_without_nodes_is_drawn_empty() -> None:
    assert draw(a_pipeline()).cards == []


def test_long_names_leave_out_their_namespace_first_and_keep_both_ends() -> None:
    assert shorten("namespace_of_a_team.make_presentation_for_cars") == "…make_presentation_for_cars"
    assert shorten("2014.preprocessing.scouts.model_options") == "…scouts.model_options"
    short = shorten("make_a_presentation_for_all_the_cars_001")
    assert len(short) == 30
    assert short.startswith("make_a_presenta") and short.endswith("the_cars_001")
    assert shorten("short") == "short"
