"""The panes of a workspace at work: links change the view and not the page, keys lead through it, refreshes keep it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from console.drawing.graph import element_id
from jobs import clock
from jobs.models import NodeRun, Run
from jobs.states import NodeStatus, Status
from tests import large_pipelines as large
from tests.browser.polls import polled
from tests.factories import make_pipeline, make_run
from tests.views.scenes import a_worker, ended, failed_in_a_node, running, with_log

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
Open = Callable[..., Any]


def is_same_page(page: Any) -> bool:
    return bool(page.evaluate("window.isTheSame === true"))


def mark(page: Any) -> None:
    page.evaluate("window.isTheSame = true")


def test_a_node_is_chosen_and_left_again_without_another_page_and_back_goes_back(open_as: Open) -> None:
    run = with_log(running(pipeline=large.sixty_nodes()), ["hello of step 0"], node="emea.dach.load.step_0")
    run.node_runs.update(step=run.steps.get())
    page = open_as("operator", f"/runs/{run.pk}/?unfold=emea.dach.load")
    mark(page)
    page.locator(f"#t-{element_id('emea.dach.load.step_0')}").click()
    page.locator("#drawer h2", has_text="emea.dach.load.step_0").wait_for()
    page.locator("#drawer").get_by_text("hello of step 0").wait_for()
    assert "node=emea.dach.load.step_0" in page.url and "unfold=emea.dach.load" in page.url
    page.locator(f"#{element_id('emea.dach.load.step_1')} a").click()
    page.locator("#drawer h2", has_text="emea.dach.load.step_1").wait_for()
    page.locator("#tab-timeline").click()
    page.locator("#panel-timeline").wait_for()
    assert page.locator("#drawer h2").inner_text() == "emea.dach.load.step_1"
    page.go_back()
    page.locator("#panel-graph").wait_for()
    page.keyboard.press("Escape")
    page.locator("#drawer-close").wait_for(state="detached")
    assert is_same_page(page) and "node=" not in page.url


def test_a_refresh_of_the_view_before_comes_too_late(open_as: Open) -> None:
    run = running(pipeline=large.sixty_nodes())
    page = open_as("operator", f"/runs/{run.pk}/?unfold=emea.dach.load")
    late: list[Any] = []
    page.route("**/*poll=1*", lambda route: route.continue_() if late else late.append(route))
    with page.expect_request(lambda request: "poll=1" in request.url):
        pass
    page.locator(f"#t-{element_id('emea.dach.load.step_0')}").click()
    page.locator("#drawer h2").wait_for()
    for route in late:
        route.continue_()
    polled(page, 2)
    assert page.locator("#drawer h2").inner_text() == "emea.dach.load.step_0"


def test_the_tree_is_walked_by_keys_and_a_node_is_found_by_typing(open_as: Open) -> None:
    run = running(pipeline=large.sixty_nodes())
    run.node_runs.update(status=NodeStatus.WAITING)
    page = open_as("viewer", f"/runs/{run.pk}/")
    mark(page)
    focused = "document.activeElement.querySelector('.kc-tree-name')?.title"
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "emea"
    page.keyboard.press("ArrowRight")
    page.locator("#tree [aria-expanded=true]").wait_for()
    page.wait_for_function(f"{focused} === 'emea'")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "emea.dach"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.locator("#tree [aria-expanded=true]").wait_for(state="detached")
    page.keyboard.press("/")
    page.keyboard.type("uk.model.step_7")
    page.get_by_text("2 of 60 nodes").wait_for()
    assert page.evaluate("document.activeElement.value") == "uk.model.step_7"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator("#drawer h2", has_text="emea.uk.model.step_7").wait_for()
    page.locator(f"#{element_id('emea.uk.model.step_7')}").wait_for()
    assert is_same_page(page)


def test_a_live_run_moves_on_beside_what_is_chosen(open_as: Open) -> None:
    run = running(pipeline=large.sixty_nodes())
    page = open_as("viewer", f"/runs/{run.pk}/?node=emea.dach.load.step_1&unfold=emea.dach.load")
    mark(page)
    NodeRun.objects.filter(run=run, name="emea.dach.load.step_1").update(
        status=NodeStatus.RUNNING,
        started_at=clock.now(),
        progress={"label": "rows", "done": 7, "total": 9, "unit": "it"},
    )
    page.locator("#drawer").get_by_text("7 of 9").wait_for()
    page.locator(f"#t-{element_id('emea.dach.load.step_1')}.kc-is-running").wait_for()
    page.locator(f"#{element_id('emea.dach.load.step_1')}[data-status=running]").wait_for()
    run.end(Status.FAILED, at=clock.now(), by="t", error="The disk is full.")
    page.get_by_text("The disk is full.").first.wait_for()
    assert is_same_page(page) and page.locator("#drawer h2").inner_text() == "emea.dach.load.step_1"


def test_the_small_map_shows_where_one_is_and_leads_elsewhere(open_as: Open) -> None:
    run = running(pipeline=large.five_hundred())
    page = open_as("viewer", f"/runs/{run.pk}/?unfold=*")
    here = page.locator(".kc-graph-here")
    here.wait_for(state="attached")
    before = here.get_attribute("x")
    chart = page.locator("[data-graph-map]")
    chart.click(position={"x": 120, "y": 10})
    page.wait_for_function(
        "(before) => document.querySelector('.kc-graph-here').getAttribute('x') !== before", arg=before
    )
    assert page.evaluate("document.querySelector('[data-graph-box]').scrollLeft") > 10_000


def test_the_panes_stack_on_a_phone_and_compare_and_resume_open_inside(open_as: Open) -> None:
    from axe_playwright_python.sync_playwright import Axe

    run = failed_in_a_node()
    page = open_as("operator", "/")
    page.set_viewport_size({"width": 390, "height": 844})
    paths = (f"/runs/{run.pk}/?node=fetch", f"/pipelines/{run.pipeline_id}/", f"/runs/{run.pk}/compare/")
    for path in (*paths, f"/runs/{run.pk}/resume/"):
        page.goto(path)
        page.locator(".kc-centre").wait_for()
        panes = [".kc-centre", *(name for name in ("#tree", "#drawer") if page.locator(name).is_visible())]
        boxes = [page.locator(name).bounding_box() for name in panes]
        assert len({round(box["x"]) for box in boxes}) == 1
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        found = Axe().run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    page.get_by_role("button", name=re.compile("^Resume with")).wait_for()


def test_a_log_fills_the_screen_until_escape_and_its_long_lines_wrap_or_not(open_as: Open) -> None:
    run = with_log(failed_in_a_node(), ["word " * 300, *(f"line {n}" for n in range(200))])
    page = open_as("viewer", f"/runs/{run.pk}/logs/?node=")
    page.locator("#L201").wait_for()
    page.get_by_role("button", name="Full screen").click()
    box = page.locator("#logs").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 1280, 860)
    inner = page.locator("[data-logs-box]").bounding_box()
    assert inner["y"] + inner["height"] <= 860
    page.locator("#L1").scroll_into_view_if_needed()
    height = "document.querySelector('#L1').getBoundingClientRect().height"
    page.wait_for_function(f"{height} >= 4 * 19")  # a line takes its room when it is drawn, not when it comes near
    page.get_by_role("button", name="Wrap").click()
    page.wait_for_function(f"{height} < 2 * 19")
    assert page.locator("[data-logs-box]").evaluate("box => box.scrollWidth > box.clientWidth")
    page.keyboard.press("Escape")
    assert page.locator("#logs").bounding_box()["x"] > 0
    assert page.url.endswith(f"/runs/{run.pk}/logs/?node=")


COUNT = "document.querySelector('[data-logs-count]').textContent"
IN_SIGHT = """() => {
    const box = document.querySelector("[data-logs-box]").getBoundingClientRect();
    const line = document.querySelector(".is-current")?.getBoundingClientRect();
    return Boolean(line) && line.top >= box.top && line.bottom <= box.bottom;
}"""


def test_one_goes_from_hit_to_hit_by_keys_and_buttons_while_the_log_grows(open_as: Open) -> None:
    run = with_log(running(), ["needle" if n in (10, 700, 2500) else f"hay {n}" for n in range(1, 3001)])
    page = open_as("viewer", f"/runs/{run.pk}/logs/")
    page.get_by_label("Find in the log").fill("needle")
    page.wait_for_function(f"{COUNT} === '3 of 3'")
    assert [line.get_attribute("id") for line in page.locator("[data-logs-list] li").all()] == [
        f"L{hit + beside}" for hit in (10, 700, 2500) for beside in range(-3, 4)
    ]
    assert page.locator("mark").all_inner_texts() == ["needle"] * 3
    with_log(run, ["hay", "a needle more"])
    page.wait_for_function(f"{COUNT} === '4 of 4'")
    page.get_by_label("Find in the log").press("Shift+Enter")
    page.wait_for_function(f"{COUNT} === '3 of 4'")
    page.locator("[data-logs-box]").focus()
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.wait_for_function(f"{COUNT} === '1 of 4'")
    page.keyboard.press("N")
    page.wait_for_function(f"{COUNT} === '4 of 4'")

    page.get_by_label("Lines around each hit").select_option("all")
    page.locator("#L3000").wait_for()
    page.get_by_role("button", name="Next hit").click()
    page.wait_for_function(IN_SIGHT)
    page.get_by_role("button", name="Next hit").click()
    page.wait_for_function(f"{COUNT} === '1 of 4'")
    page.wait_for_function(IN_SIGHT)
    assert page.locator("#L10.is-current").is_visible() and page.locator("#L11").is_visible()
    assert "text=needle&context=all" in page.url


def test_a_log_is_folded_by_node_with_counts_that_grow_and_opens_again_at_a_hit(open_as: Open) -> None:
    run = with_log(running(), [f"hay {n}" for n in range(1200)], node="fetch")
    run = with_log(run, ["needle", "hay"], node="parse", level="ERROR")
    page = open_as("viewer", f"/runs/{run.pk}/logs/")
    page.set_default_timeout(60_000)  # hundreds of lines are drawn, beside other tests
    page.get_by_role("button", name="Fold by node").click()
    fetch = page.locator("[data-node=fetch]")
    page.get_by_role("button", name=re.compile(r"^parse 2 lines · 2 errors$")).wait_for()
    with_log(run, ["later"], node="fetch")
    fetch.get_by_text("1,201 lines").wait_for()
    fetch.get_by_role("button", name=re.compile("^fetch")).press("Enter")
    fetch.get_by_text("hay 0", exact=True).wait_for()
    assert fetch.locator("li").count() == 400
    fetch.get_by_role("button", name="More lines").click()
    page.locator("#L800").wait_for(state="attached")
    assert page.url.endswith("?folded=1")
    page.get_by_label("Find in the log").fill("needle")
    page.get_by_role("button", name=re.compile(r"^parse 2 lines · 1 hit · 2 errors$")).wait_for()
    page.get_by_role("button", name="Next hit").click()
    page.locator("#L1201.is-current").wait_for()
    assert page.locator("[data-logs-folds]").is_hidden()


def test_columns_of_a_log_are_hidden_and_stay_so_in_this_browser(open_as: Open) -> None:
    run = with_log(failed_in_a_node(), ["hello"], node="fetch")
    page = open_as("viewer", f"/runs/{run.pk}/logs/")
    columns = page.locator("summary", has_text="Columns")
    columns.press("Enter")
    page.get_by_role("checkbox", name="Time").press("Space")
    page.get_by_role("checkbox", name="Node", exact=True).press("Space")
    page.keyboard.press("Escape")
    assert columns.evaluate("summary => summary === document.activeElement && !summary.parentElement.open")
    page.reload()
    line = page.locator("#L1")
    line.get_by_text("INFO").wait_for()
    assert line.locator("time").is_hidden() and line.locator("i").is_hidden()
    columns.click()
    page.get_by_role("checkbox", name="Time").check()
    assert line.locator("time").is_visible()


def test_a_search_in_a_long_log_goes_on_by_itself_until_it_has_hits_to_show(
    open_as: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.insight.read_logs.MOST_CHUNKS", 2)
    run = with_log(ended(), ["needle", *(f"\x1b[32mhay\x1b[0m {n}" for n in range(3000))], chunk=100)
    page = open_as("viewer", f"/runs/{run.pk}/logs/")
    page.get_by_label("Find in the log").fill("needle")
    page.locator("#L1.is-hit").wait_for()
    page.wait_for_function(f"{COUNT} === '1 of 1'")
    page.get_by_label("Find in the log").fill("nowhere")
    page.get_by_text("No line matches.").wait_for()
    page.wait_for_function(f"{COUNT} === 'No hits'")


def test_the_first_error_of_a_long_log_is_looked_for_a_part_at_a_time(
    open_as: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.insight.read_logs.MOST_LOOKED", 2)
    run = with_log(ended(), [f"fine {n}" for n in range(1000)], chunk=100)
    run = with_log(run, ["boom"], level="ERROR")
    page = open_as("viewer", f"/runs/{run.pk}/logs/?error")
    page.locator("#L1001.kc-chosen").wait_for()
    page.reload()
    page.locator("#L1001.kc-chosen").wait_for()
    page.get_by_role("link", name="First error").click()
    page.locator("#L1001.kc-chosen").wait_for()


def test_a_wait_is_helped_from_its_page_which_asks_again_meanwhile(open_as: Open) -> None:
    pipeline = make_pipeline()
    worker = a_worker(slots=1, busy=1)
    running(pipeline=pipeline)
    make_run(pipeline)
    waits = make_run(pipeline)
    page = open_as("operator", f"/runs/{waits.pk}/")
    page.get_by_role("button", name="Go first").click()
    polled(page, 1)
    page.get_by_role("button", name="Go first").last.click()
    page.get_by_text("now has priority 0").wait_for()
    page.get_by_text("this run is next").wait_for()
    assert page.get_by_role("button", name="Go first").count() == 0
    page.get_by_role("button", name="Raise slots").click()
    page.get_by_role("button", name="Raise them").press("Enter")
    page.get_by_text("was asked to run 2 steps at once").wait_for()
    assert page.url.endswith(f"/runs/{waits.pk}/")
    worker.refresh_from_db()
    assert worker.wanted_slots == 2
    waits.steps.get().claim(at=clock.now(), worker_name=worker.name, lease=timedelta(hours=1))
    waits.start(at=clock.now(), by=worker.name)
    page.get_by_text("Starting the project's process").wait_for()
    Run.objects.filter(pk=waits.pk).update(begun_with="abc/1")
    page.get_by_text("Starting the project's process").wait_for(state="detached")
