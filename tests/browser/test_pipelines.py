from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from jobs.models import Run
from tests import large_pipelines as large
from tests.factories import make_pipeline
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
Open = Callable[..., Any]


def a_deck() -> bytes:
    """A title slide and one with a native chart."""
    deck, buffer = Presentation(), BytesIO()
    deck.slides.add_slide(deck.slide_layouts[0]).shapes.title.text = "Report for cars"
    chart = CategoryChartData()
    chart.categories = ["USA", "Japan"]
    chart.add_series("hp", (119, 79))
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(1), Inches(7), Inches(5), chart)
    deck.save(buffer)
    return buffer.getvalue()


def test_slides_are_drawn_in_the_browser(open_as: Open) -> None:
    artifact = an_artifact(ended(), "deck.pptx", a_deck())
    page = open_as("analyst", f"/artifacts/{artifact.uuid}/")
    page.wait_for_selector('[data-drawn="2"]')
    page.locator("[data-slides-stage]").get_by_text("Report for cars").wait_for()
    assert "2 slides" in page.inner_text("[data-slides-note]")


def test_a_deck_that_cannot_be_drawn_leaves_a_sentence(open_as: Open) -> None:
    artifact = an_artifact(ended(), "deck.pptx", b"this is no deck")
    page = open_as("analyst", f"/artifacts/{artifact.uuid}/")
    page.wait_for_selector('[data-drawn="0"]')
    assert "cannot be drawn here" in page.inner_text("[data-slides-note]")


def test_a_table_is_sorted_and_filtered(open_as: Open) -> None:
    artifact = an_artifact(ended(), "a.csv", b"name,hp\nann,9\nbob,\ncid,10\n")
    page = open_as("analyst", f"/artifacts/{artifact.uuid}/")
    names = lambda: page.locator("[data-table] tbody tr:not(.kc-sheet-gap) td:first-child")  # noqa: E731
    page.wait_for_selector("[data-described]")
    page.get_by_role("button", name="hp").click()
    page.wait_for_selector("th[aria-sort=ascending]")
    assert names().all_inner_texts() == ["ann", "cid", "bob"]
    page.get_by_role("button", name="hp").click()
    page.wait_for_selector("th[aria-sort=descending]")
    assert names().all_inner_texts() == ["cid", "ann", "bob"]
    page.fill("[data-table-filter]", "AN")
    page.wait_for_selector("text=1 of 3 rows")
    assert names().all_inner_texts() == ["ann"]


def test_changed_fields_are_dotted_can_be_undone_and_show_in_the_command(open_as: Open) -> None:
    page = open_as("operator", f"/pipelines/{make_pipeline().pk}/run/")
    field = page.locator('[data-field="options.top"]')
    assert field.locator("[data-dot]").is_hidden()
    field.locator("input").fill("12")
    assert field.locator("[data-dot]").is_visible()
    page.wait_for_function("document.getElementById('as-command').textContent.includes('options.top=12')")
    field.locator("[data-undo]").click()
    assert field.locator("input").input_value() == "10"
    assert field.locator("[data-dot]").is_hidden()


def test_an_error_lands_on_the_field_and_ctrl_enter_starts_the_mended_form(open_as: Open) -> None:
    page = open_as("operator", f"/pipelines/{make_pipeline().pk}/run/")
    field = page.locator('[data-field="options.top"]')
    field.locator("input").fill("31")
    page.locator("[data-start]").click()
    page.wait_for_selector(".has-errors")
    assert "maximum of 30" in field.inner_text()
    assert page.evaluate("document.activeElement.name") == "p:options.top"
    field.locator("input").fill("12")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/runs/*/")
    assert Run.objects.get().parameters == {"options": {"top": 12}}


def test_the_graph_leads_to_the_code_and_unfolds_its_parameters(open_as: Open) -> None:
    page = open_as("viewer", f"/pipelines/{make_pipeline().pk}/")
    page.locator(".kc-node-node a").first.focus()
    assert page.locator(".kc-line.is-near").count() > 0
    page.keyboard.press("Enter")
    page.locator("#drawer h2", has_text="fetch").wait_for()
    page.locator("#drawer details[open], #drawer", has_text="Code").first.wait_for()
    page.get_by_role("button", name="Show parameters").click()
    page.wait_for_selector(".kc-node-parameter")
    page.get_by_role("button", name="Fold parameters").click()
    page.wait_for_selector(".kc-node-parameter", state="detached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_of_pipelines_and_artifacts_are_accessible(open_as: Open, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    run = ended()
    table = an_artifact(run, "a.csv")
    pipeline = f"/pipelines/{run.pipeline_id}/"
    page = open_as("operator", "/pipelines/", color_scheme=scheme)
    for path in ("/pipelines/", pipeline, f"{pipeline}run/", "/artifacts/", f"/artifacts/{table.uuid}/"):
        page.goto(path)
        page.wait_for_selector("main")
        found = Axe().run(page).response["violations"]
        serious = [
            (path, violation["id"], [node["html"][:200] for node in violation["nodes"][:3]])
            for violation in found
            if violation["impact"] in ("serious", "critical")
        ]
        assert serious == []


def test_one_of_hundreds_of_parameters_is_found_changed_and_seen_in_its_closed_group(open_as: Open) -> None:
    pipeline = large.sixty_nodes()
    page = open_as("operator", f"/pipelines/{pipeline.pk}/run/")
    groups = page.locator(".kc-group")
    assert page.locator(".kc-group[open]").count() == 0 and groups.count() >= 6
    finder = page.get_by_label("Find a parameter")
    finder.fill("emea.uk step_3 option_2")
    page.get_by_text(re.compile(r"^1 of \d{3}$")).wait_for()
    page.locator("[data-field]:visible input").first.fill("77")
    finder.press("Enter")
    finder.fill("")
    group = page.locator(".kc-group", has=page.locator("[data-field='emea.uk.step_3.option_2']"))
    assert group.locator("[data-group-dot]").is_visible() and not group.evaluate("fold => fold.open")
    page.get_by_text("1 changed", exact=True).wait_for()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/runs/*/")
    assert Run.objects.get().parameters == {"emea.uk": {"step_3": {"option_2": 77}}}
