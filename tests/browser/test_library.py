"""An analyst's first day, with a mouse: today's deck, yesterday's beside it, and a link that ends on Friday."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pptx import Presentation

from jobs import clock
from jobs.models import Share
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
Open = Callable[..., Any]


def deck(title: str) -> bytes:
    made = Presentation()
    made.slides.add_slide(made.slide_layouts[5]).shapes.title.text = title
    made.save(file := io.BytesIO())
    return file.getvalue()


def test_todays_deck_is_found_looked_at_compared_and_shared_in_under_ten_clicks(open_as: Open, chromium: Any) -> None:
    an_artifact(ended(), "Airports report.pptx", deck("Revenue 10"))
    an_artifact(ended(), "Airports report.pptx", deck("Revenue 12"))
    an_artifact(ended(), "cars.csv")
    page = open_as("analyst", "/library/")
    clicks = 0

    def click(selector: str) -> None:
        nonlocal clicks
        clicks += 1
        page.locator(selector).first.click()

    page.wait_for_selector(".kc-face svg:has-text('Revenue 12')")
    page.fill("[data-search]", "airp")
    page.wait_for_function("document.querySelectorAll('.kc-shelf-card').length === 1")
    click(".kc-shelf-card a.kc-strong")
    page.wait_for_selector("[data-drawn='1']")
    click("text=Compare with the previous one")
    assert page.locator("del").inner_text() == "Revenue 10"
    page.goto("/library/")
    click(".kc-shelf-card:has-text('Airports') a:has-text('Share')")
    click("#share label:has-text('Always the newest')")
    friday = clock.now() + timedelta(days=(4 - clock.now().weekday()) % 7 or 7)
    page.fill("[name=until]", f"{friday:%Y-%m-%d}")
    click("text=Make a link")
    address = page.locator("#new-link").inner_text()
    assert clicks < 10
    assert Share.objects.get().until.weekday() == 4 and Share.objects.get().is_newest

    stranger = chromium.new_context().new_page()
    stranger.goto(address)
    with stranger.expect_download() as download:
        stranger.click("text=Download")
    assert download.value.suggested_filename == "Airports report.pptx"
    stranger.context.close()


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_files_fit_and_are_accessible(open_as: Open, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    an_artifact(ended(), "deck.pptx", deck("a"))
    new = an_artifact(ended(), "deck.pptx", deck("b"))
    an_artifact(ended(), data=b"id,n\n1,2\n")
    table = an_artifact(ended(), data=b"id,n\n1,3\n")
    page = open_as("analyst", "/library/", color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    compared = [f"/artifacts/{row.uuid}/compare/" for row in (new, table)]
    for path in ["/library/", "/library/?q=nothing", f"/artifacts/{table.uuid}/#share", *compared, "/library/links/"]:
        page.goto(path)
        page.wait_for_selector("main")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        found = Axe().run(page).response["violations"]
        serious = [(each["id"], [node["html"][:200] for node in each["nodes"][:2]]) for each in found
                   if each["impact"] in ("serious", "critical")]  # fmt: skip
        assert serious == [], path
