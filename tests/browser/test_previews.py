"""Large tables are scrolled, sorted and searched; slides are gone through by keys; archives by folder."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pptx import Presentation

from console.files.tables.readers import READERS
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended, failed_in_a_node

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
Open = Callable[..., Any]
ROWS = "[data-table] tbody tr:not(.kc-sheet-gap)"
DRAWN = f"[...document.querySelectorAll('{ROWS}')].every((row) => row.cells[0].textContent !== '…')"


@pytest.fixture(autouse=True)
def _no_process_stays() -> Iterator[None]:
    yield
    READERS.close()


def test_a_large_table_is_scrolled_sorted_and_narrowed_without_an_endless_page(open_as: Open) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"n": list(range(50_000)), "word": [f"w<{n % 5}>" for n in range(50_000)]}), buffer)
    row = an_artifact(ended(), "large.parquet", buffer.getvalue())
    page = open_as("analyst", f"/artifacts/{row.uuid}/")
    page.wait_for_selector("[data-described='1']")
    assert "50,000 rows × 2 columns; the first 10,000 can be scrolled." in page.inner_text("[data-rows-note]")
    assert "0 – 49999" in page.inner_text("th >> nth=0")
    page.evaluate("document.querySelector('[data-rows-box]').scrollTop = 1e9")
    page.wait_for_function("document.querySelector('[data-rows-box]').scrollTop > 1000")
    page.wait_for_function(DRAWN)
    assert page.locator(ROWS).last.inner_text().split() == ["9999", "w<4>"]
    assert page.locator(ROWS).count() < 120
    page.get_by_role("button", name="n whole number").click()
    page.get_by_role("button", name="n whole number").click()
    page.wait_for_selector(f"{ROWS}:has-text('49999')")
    page.select_option("[data-where-column]", "word")
    page.fill("[data-where-value]", "w<3>")
    page.click("text=Apply")
    page.wait_for_selector("text=10,000 of 50,000 rows")
    assert page.locator(f"{ROWS} >> nth=0").inner_text().split() == ["49998", "w<3>"]
    page.reload()
    page.wait_for_selector("text=10,000 of 50,000 rows; ordered by n, the largest first")
    page.click("text=All rows")
    page.wait_for_selector("text=50,000 rows × 2 columns")


def test_what_a_link_orders_a_wide_table_by_is_seen_at_once(open_as: Open) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({f"a rather long name {n}": [n, n + 1] for n in range(30)}), buffer)
    row = an_artifact(ended(), "wide.parquet", buffer.getvalue())
    page = open_as("analyst", f"/artifacts/{row.uuid}/?sort=-a+rather+long+name+29")
    page.wait_for_selector("[data-described='1']")
    assert "ordered by a rather long name 29, the largest first" in page.inner_text("[data-rows-note]")
    shown, box = (page.locator(each).last.bounding_box() for each in ("[data-table] th", "[data-rows-box]"))
    assert shown["x"] + shown["width"] <= box["x"] + box["width"] + 1


def test_a_file_that_only_claims_to_be_a_table_leaves_a_sentence(open_as: Open) -> None:
    row = an_artifact(ended(), "broken.parquet", b"no table at all")
    page = open_as("analyst", f"/artifacts/{row.uuid}/")
    page.wait_for_selector("text=cannot be read as a table")


def test_slides_have_a_rail_keys_and_the_whole_screen(open_as: Open) -> None:
    deck, buffer = Presentation(), io.BytesIO()
    for number in range(1, 6):
        deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = f"Title {number}"
    deck.save(buffer)
    row = an_artifact(ended(), "deck.pptx", buffer.getvalue())
    page = open_as("analyst", f"/artifacts/{row.uuid}/")
    page.wait_for_selector("[data-drawn='5']")
    page.focus("[data-slides-stage]")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("[data-slide-shown='2']")
    page.locator("[data-slides-stage]").get_by_text("Title 2").wait_for()
    page.keyboard.press("End")
    page.wait_for_selector("[data-slide-shown='5']")
    page.locator("[data-slide='2']").click()
    page.wait_for_selector("[data-slide-shown='3']")
    page.click("[data-slide-step='1']")
    page.wait_for_selector("[data-slide-shown='4']")
    page.click("[data-slides-full]")
    page.wait_for_function("document.fullscreenElement?.contains(document.activeElement)")
    page.keyboard.press("Home")
    page.wait_for_selector("[data-slide-shown='1']")


def test_a_file_of_an_archive_is_looked_at_and_taken(open_as: Open) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/cars.csv", "name,hp\nann,9\n")
        archive.writestr("page.html", "<h1>Framed</h1>")
    row = an_artifact(ended(), "all.zip", buffer.getvalue())
    page = open_as("analyst", f"/artifacts/{row.uuid}/")
    page.click("[aria-label=Preview] a:has-text('in')")
    page.click("a:has-text('cars.csv')")
    page.wait_for_selector("td:has-text('ann')")
    with page.expect_download() as download:
        page.click("text=Download this file")
    assert download.value.suggested_filename == "cars.csv"
    page.click("[aria-label=Preview] a:has-text('all.zip')")
    page.click("[aria-label=Preview] nav a:has-text('all.zip')")
    page.click("a:has-text('page.html')")
    page.frame_locator("iframe").locator("h1:has-text('Framed')").wait_for()


def test_resuming_asks_with_the_pipelines_own_fields_and_says_what_it_comes_to(open_as: Open) -> None:
    run = failed_in_a_node()
    page = open_as("admin", f"/runs/{run.pk}/resume/")
    page.wait_for_selector("[data-outlook]:has-text('reused')")
    page.click("summary:has-text('Parameters')")
    field = page.locator("[data-field='options.top'] input")
    field.fill("99")
    page.wait_for_selector("#resume-preview [role=alert]:has-text('options.top')")
    field.fill("7")
    page.wait_for_selector("[data-outlook]:has-text('run')")
    page.check("[name=copies][value=always]")
    page.click("text=From now on >> nth=-1")
    page.wait_for_selector("text=all that passes between its nodes is kept")
    page.locator("button:has-text('Resume with')").click()
    page.wait_for_selector(f"text=resumes #{run.pk}")
