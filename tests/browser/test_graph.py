"""The graph at work: where it opens, zoom, find, folds; and a live run that is refreshed underneath."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from console.drawing.graph import element_id
from jobs.models import Pipeline, Run, Snapshot
from jobs.states import NodeStatus
from tests.browser.polls import polled
from tests.factories import AT, content, make_project, node
from tests.views.scenes import running

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
Open = Callable[..., Any]
SMALLEST = 10


def a_pipeline(nodes: list[dict[str, Any]]) -> Pipeline:
    project = make_project()
    only = {"name": "large", "nodes": nodes, "inputs": [], "outputs": [], "parameters": []}
    Snapshot.objects.create(project=project, revision="r", taken_at=AT, content=content(pipelines=[only]))
    return Pipeline.objects.create(project=project, name="large")


def five_hundred() -> Pipeline:
    rest = [node(f"node_{i:03}", [f"n{i // 3}"], [f"n{i}"]) for i in range(1, 500)]
    return a_pipeline([node("start", [], ["n0"]), *rest])


def three_deep() -> Pipeline:
    nodes = []
    for place in ("emea.dach", "emea.uk", "apac.anz"):
        for step, source in (("load", "raw"), ("model", "load.table")):
            inside = f"{place}.{step}"
            for i in range(10):
                name, facts = f"{inside}.make_{i}", {"namespace": inside}
                nodes.append(node(name, [f"{place}.{source}_{i}"], [f"{inside}.table_{i}"], **facts))
    return a_pipeline(nodes)


def shown(page: Any) -> list[str]:
    """The ids of the cards that one sees."""
    return page.evaluate("""() => {
        const box = document.querySelector("[data-graph-box]").getBoundingClientRect();
        return [...document.querySelectorAll(".kc-node")].filter((card) => {
            const {left, right, top, bottom} = card.getBoundingClientRect();
            return left >= box.left - 1 && right <= box.right + 1 && top >= box.top - 1 && bottom <= box.bottom + 1;
        }).map((card) => card.id);
    }""")


def smallest_text(page: Any) -> float:
    return page.evaluate("""() => {
        const svg = document.querySelector("[data-graph-box] svg");
        const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
        const texts = [...svg.querySelectorAll(".kc-label, .kc-about")];
        return Math.min(...texts.map((text) => parseFloat(getComputedStyle(text).fontSize) * scale));
    }""")


def scale(page: Any) -> float:
    return page.evaluate("""() => {
        const svg = document.querySelector("[data-graph-box] svg");
        return svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    }""")


def offset(page: Any, name: str) -> tuple[float, float]:
    """How far the middle of this node's card is from the middle of the window onto the graph."""
    across, down = page.evaluate(
        """(id) => {
        const box = document.querySelector("[data-graph-box]").getBoundingClientRect();
        const card = document.getElementById(id).getBoundingClientRect();
        return [card.x + card.width / 2 - box.x - box.width / 2, card.y + card.height / 2 - box.y - box.height / 2];
    }""",
        element_id(name),
    )
    return across, down


def place(page: Any) -> list[float]:
    return page.evaluate(
        "(() => { const box = document.querySelector('[data-graph-box]'); return [box.scrollLeft, box.scrollTop]; })()"
    )


def set_status(run: Run, name: str, status: NodeStatus) -> None:
    assert run.node_runs.filter(name=name).update(status=status) == 1


@pytest.mark.parametrize("query", ["", "?unfold=*", "?unfold=layer:6/part:2"])
def test_five_hundred_nodes_open_on_the_first_cards_and_can_be_read(open_as: Open, query: str) -> None:
    page = open_as("viewer", f"/pipelines/{five_hundred().pk}/{query}")
    page.locator(".kc-node").first.wait_for()
    assert shown(page)
    assert smallest_text(page) >= SMALLEST
    page.get_by_role("button", name="Fit").click()
    assert shown(page)
    assert smallest_text(page) >= SMALLEST - 0.01


def side_by_side(count: int) -> Pipeline:
    """So many nodes with long names in a row, and twelve rows below the first."""
    heads = [node(f"collect_everything_there_is_of_region_{i}", [f"in_{i}"], [f"a_{i}_0"]) for i in range(count)]
    rest = [node(f"clean_{row}", [f"a_0_{row}"], [f"a_0_{row + 1}"]) for row in range(12)]
    return a_pipeline([*heads, *rest])


def test_a_graph_that_nearly_fits_opens_at_its_whole_width_and_can_be_read(open_as: Open) -> None:
    page = open_as("viewer", f"/pipelines/{side_by_side(3).pk}/?unfold=*")
    page.locator(".kc-node").first.wait_for()
    whole, shown_of_it = page.evaluate("""(() => {
        const box = document.querySelector("[data-graph-box]");
        return [box.querySelector("svg").viewBox.baseVal.width, box.clientWidth];
    })()""")
    seen = page.viewport_size
    page.set_viewport_size({**seen, "width": round(seen["width"] - shown_of_it + 0.72 * whole)})
    page.reload()
    page.locator(".kc-node").first.wait_for()
    assert 0.6 <= scale(page) < 0.83
    wide = page.evaluate("""(() => {
        const box = document.querySelector("[data-graph-box]");
        return box.scrollWidth - box.clientWidth;
    })()""")
    assert wide <= 1 and place(page) == [0, 0]
    assert smallest_text(page) >= SMALLEST
    left_over = page.evaluate("""() => [...document.querySelectorAll(".kc-node")].filter((card) => {
        const face = card.querySelector("rect").getBoundingClientRect();
        const texts = [...card.querySelectorAll(".kc-label")];
        return texts.some((text) => text.getBoundingClientRect().right > face.right);
    }).length""")
    assert left_over == 0


def test_the_first_node_is_what_one_sees_of_all_of_them(open_as: Open) -> None:
    page = open_as("viewer", f"/pipelines/{five_hundred().pk}/?unfold=*")
    assert element_id("start") in shown(page)
    page.get_by_role("button", name="Fit").click()
    assert element_id("start") in shown(page)


def test_what_is_found_is_unfolded_centred_and_marked(open_as: Open) -> None:
    page = open_as("viewer", f"/pipelines/{five_hundred().pk}/")
    field = page.get_by_label("Find in the graph")
    field.fill("node_33")
    page.locator(f"#{element_id('node_330')}.is-found").wait_for()
    assert page.inner_text("[data-graph-hits]") == "1 of 10"
    across, down = offset(page, "node_330")
    assert abs(across) < 3
    field.press("Enter")
    page.locator(f"#{element_id('node_331')}.is-found").wait_for()
    across, down = offset(page, "node_331")
    assert abs(across) < 3
    assert abs(down) < 300
    assert page.locator(".is-found").count() == 1
    field.press("Shift+Enter")
    page.locator(f"#{element_id('node_330')}.is-found").wait_for()
    assert page.evaluate("document.activeElement.id") == "graph-find"
    assert "unfold=" in page.url
    field.fill("nothing like it")
    page.locator("[data-graph-hits]", has_text="not found").wait_for()


def test_a_box_unfolds_and_folds_by_keyboard_and_the_address_leads_back(open_as: Open) -> None:
    pipeline = three_deep()
    page = open_as("viewer", f"/pipelines/{pipeline.pk}/")
    page.get_by_role("link", name="Unfold emea: 40 nodes", exact=True).focus()
    page.keyboard.press("Enter")
    fold = page.get_by_role("link", name="Fold emea: 40 nodes", exact=True)
    fold.wait_for()
    assert fold.evaluate("link => link === document.activeElement")
    page.get_by_role("link", name="Unfold emea.dach: 20 nodes", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Unfold emea.dach.model: 10 nodes", exact=True).click()
    page.locator(f"#{element_id('emea.dach.model.make_3')}").wait_for()
    assert page.url.endswith("?unfold=emea.dach.model")
    page.reload()
    page.locator(f"#{element_id('emea.dach.model.make_3')}").wait_for()
    page.get_by_role("link", name="Fold emea: 40 nodes", exact=True).click()
    page.get_by_role("link", name="Unfold emea: 40 nodes", exact=True).wait_for()
    assert page.url.endswith("?unfold=")


def test_keys_buttons_and_the_wheel_zoom_and_the_mouse_drags(open_as: Open) -> None:
    page = open_as("viewer", f"/pipelines/{five_hundred().pk}/?unfold=*")
    box = page.locator("[data-graph-box]")
    assert scale(page) == pytest.approx(1, abs=0.01)
    box.focus()
    page.keyboard.press("+")
    assert scale(page) == pytest.approx(1.25, abs=0.01)
    page.get_by_role("button", name="Zoom out").click()
    page.get_by_role("button", name="Zoom out").click()
    assert scale(page) == pytest.approx(0.8, abs=0.01)
    assert page.locator(".kc-label").first.is_visible() and smallest_text(page) >= SMALLEST - 0.01
    page.get_by_role("button", name="Zoom out").click()
    page.get_by_role("button", name="Zoom out").click()
    assert scale(page) == pytest.approx(0.512, abs=0.01)
    assert page.locator(".kc-label").first.is_hidden()
    page.keyboard.press("0")
    assert scale(page) == pytest.approx(10 / 12, abs=0.01)
    box.hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -50)
    page.keyboard.up("Control")
    page.wait_for_function("document.querySelector('[data-graph-box] svg').getBoundingClientRect().width > 40000")
    before = place(page)
    middle = box.bounding_box()
    x, y = middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 120, y - 60, steps=4)
    page.mouse.up()
    assert place(page) == pytest.approx([before[0] + 120, before[1] + 60], abs=2)
    assert page.url.endswith("?unfold=*")


def test_a_run_opens_on_what_failed_and_its_buttons_lead_to_the_rest(open_as: Open) -> None:
    run = running(pipeline=three_deep())
    set_status(run, "emea.uk.model.make_3", NodeStatus.FAILED)
    set_status(run, "apac.anz.load.make_1", NodeStatus.RUNNING)
    page = open_as("viewer", f"/runs/{run.pk}/?tab=graph")
    assert abs(offset(page, "emea.uk.model.make_3")[0]) < 400
    assert element_id("emea.uk.model.make_3") in shown(page)
    page.get_by_role("button", name="2 running").click()
    page.locator(f"#{element_id('emea.dach.load.make_0')}.is-found").wait_for()
    page.get_by_role("button", name="2 running").click()
    page.locator(f"#{element_id('apac.anz.load.make_1')}.is-found").wait_for()
    assert element_id("apac.anz.load.make_1") in shown(page)
    page.get_by_role("button", name="1 failed").click()
    page.locator(f"#{element_id('emea.uk.model.make_3')}.is-found").wait_for()


def test_refreshes_of_a_live_run_leave_zoom_place_folds_and_hit_alone(open_as: Open) -> None:
    run = running(pipeline=three_deep())
    page = open_as("viewer", f"/runs/{run.pk}/?tab=graph")
    page.get_by_label("Find in the graph").fill("uk.model.make_7")
    page.locator(f"#{element_id('emea.uk.model.make_7')}.is-found").wait_for()
    page.locator("[data-graph-box]").focus()
    page.keyboard.press("+")
    page.evaluate("document.querySelector('[data-graph-box]').scrollBy(37, 21)")
    before = (scale(page), place(page), page.url)
    set_status(run, "emea.uk.model.make_7", NodeStatus.FAILED)
    set_status(run, "emea.dach.load.make_0", NodeStatus.SUCCEEDED)
    set_status(run, "apac.anz.load.make_1", NodeStatus.RUNNING)
    polled(page, 3)
    page.locator(f"#{element_id('emea.uk.model.make_7')}[data-status=failed].is-found").wait_for()
    page.get_by_role("button", name="1 failed").wait_for()
    assert (scale(page), place(page), page.url) == before
    assert page.get_by_label("Find in the graph").input_value() == "uk.model.make_7"
    assert page.inner_text("[data-graph-hits]") == "1 of 1"
    assert page.get_by_role("link", name="Unfold apac.anz: 20 nodes, 1 running", exact=True).is_visible()


def test_a_refresh_that_was_under_way_does_not_turn_a_fold_back(open_as: Open) -> None:
    run = running(pipeline=three_deep())
    page = open_as("viewer", f"/runs/{run.pk}/?unfold=")
    late = []
    page.route(
        "**/*unfold=*",
        lambda route: route.continue_() if late else late.append(route),
    )
    with page.expect_request(lambda request: "unfold=" in request.url):
        pass
    page.get_by_role("link", name=re.compile("^Unfold emea: ")).click()
    page.get_by_role("link", name=re.compile("^Fold emea: ")).wait_for()
    for route in late:
        route.continue_()
    polled(page, 2)
    assert page.get_by_role("link", name=re.compile("^Fold emea: ")).is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_graphs_with_boxes_are_accessible_wide_and_narrow(open_as: Open, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    run = running(pipeline=three_deep())
    set_status(run, "emea.uk.model.make_3", NodeStatus.FAILED)
    page = open_as("viewer", "/", color_scheme=scheme)
    for width, path in ((1280, f"/runs/{run.pk}/?tab=graph"), (390, f"/pipelines/{run.pipeline_id}/?unfold=emea")):
        page.set_viewport_size({"width": width, "height": 844})
        page.goto(path)
        page.locator(".kc-node").first.wait_for()
        found = Axe().run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert shown(page)
