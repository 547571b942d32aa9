from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from jobs import clock
from jobs.models import BackfillDate, Run
from jobs.schedules.dues import Cron
from jobs.schedules.edit import Wanted, create
from jobs.states import Status
from tests.admin.rows import make_backfill
from tests.factories import make_run
from tests.views.artifacts import an_artifact
from tests.views.scenes import a_worker, busy_quota, ended, failed_in_a_node, running, with_log

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
Open = Callable[..., Any]


def every_page() -> list[str]:
    good = ended()
    Run.objects.filter(pk=good.pk).update(resolved_parameters={"url": "http://127.0.0.1/" + "x" * 150, "top": 1})
    run = with_log(failed_in_a_node(), ["\x1b[31mred\x1b[0m <script>alert(1)</script>"])
    Run.objects.filter(pk=run.pk).update(resolved_parameters={"url": "http://127.0.0.1/", "top": 2})
    live = with_log(running(), ["hello"])
    a_worker()
    quota = busy_quota()
    create(Wanted(name="mornings", pipeline=good.pipeline, rule=Cron("0 6 * * *"), zone="UTC"), at=clock.now())
    backfill = make_backfill(good)
    for day, (status, run_of) in enumerate(
        [("succeeded", good), ("failed", run), ("running", live), ("waiting", None)]
    ):
        due = clock.now() - timedelta(days=4 - day)
        BackfillDate.objects.create(backfill=backfill, due_at=due, status=status, run=run_of, reason="It broke.")
    tabs = ["nodes", "graph", "timeline", "artifacts", "parameters", "events"]
    return [
        "/", "/runs/", "/runs/?q=status:nonsense", "/workers/", "/quotas/", quota.get_absolute_url(),
        "/week/", "/backfills/", backfill.get_absolute_url(), f"/backfills/new/?pipeline={good.pipeline_id}",
        f"/runs/{run.pk}/logs/?text=red", f"/runs/{live.pk}/logs/", f"/runs/{run.pk}/logs/?folded=1",
        f"/runs/{run.pk}/compare/", f"/runs/{live.pk}/compare/?with={good.pk}", f"/runs/{run.pk}/resume/",
        f"/runs/{live.pk}/", *[f"/runs/{run.pk}/?tab={tab}" for tab in tabs],
    ]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_quiet_keeps_to_its_origin_and_is_accessible(open_as: Open, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_as("operator", "/", color_scheme=scheme)
    for path in every_page():
        page.goto(path)
        page.wait_for_selector("main")
        found = Axe().run(page).response["violations"]
        serious = [
            (path, violation["id"], [node["html"][:160] for node in violation["nodes"][:3]])
            for violation in found
            if violation["impact"] in ("serious", "critical")
        ]
        assert serious == []


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_window(open_as: Open, width: int) -> None:
    page = open_as("operator", "/")
    page.set_viewport_size({"width": width, "height": 844})
    for path in every_page():
        page.goto(path)
        assert (path, page.evaluate("document.documentElement.scrollWidth")) == (path, width)


def admin_pages() -> list[str]:
    run = running()
    artifact = an_artifact(run, name="a_name_that_is_" + "very_" * 20 + "long.csv")
    person = User.objects.get(username="admin")
    rows = (person, artifact, run, run.pipeline, run.pipeline.project)
    return [reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk]) for row in rows]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forms_of_the_admin_are_accessible_and_fit_a_phone(open_as: Open, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_as("admin", "/", color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    for path in admin_pages():
        page.goto(path)
        page.wait_for_load_state("load")
        found = Axe().run(page).response["violations"]
        serious = [
            (path, violation["id"], [node["html"][:160] for node in violation["nodes"][:3]])
            for violation in found
            if violation["impact"] in ("serious", "critical")
        ]
        assert serious == []
        assert (path, page.evaluate("document.documentElement.scrollWidth")) == (path, 390)


OVERLAPS = """() => {
    const all = [...document.querySelectorAll(".kc-top button, .kc-top a, .kc-top select")];
    const shown = all.filter((one) => one.checkVisibility());
    const both = (a, b, low, high) => Math.min(a[high], b[high]) - Math.max(a[low], b[low]) > 1;
    const meet = (a, b) => both(a, b, "left", "right") && both(a, b, "top", "bottom");
    return shown.flatMap((one, place) => shown.slice(place + 1)
        .filter((other) => meet(one.getBoundingClientRect(), other.getBoundingClientRect()))
        .map((other) => `${one.textContent.trim()} / ${other.textContent.trim()}`));
}"""


def test_nothing_at_the_top_covers_anything_on_a_phone(open_as: Open) -> None:
    page = open_as("admin", "/")
    page.set_viewport_size({"width": 390, "height": 844})
    waits, pipeline = make_run(), make_run().pipeline_id
    for path in [*every_page(), f"/runs/{waits.pk}/", f"/pipelines/{pipeline}/", f"/pipelines/{pipeline}/run/"]:
        page.goto(path)
        assert (path, page.evaluate(OVERLAPS)) == (path, [])


def test_the_log_follows_until_one_scrolls_up_and_again_when_asked(open_as: Open) -> None:
    run = with_log(running(), [f"line {n}" for n in range(300)])
    page = open_as("viewer", f"/runs/{run.pk}/logs/")
    at_end = """() => {
        const box = document.querySelector("[data-logs-box]");
        return box.scrollHeight - box.scrollTop - box.clientHeight < 30;
    }"""
    page.wait_for_function(at_end)
    run = with_log(run, ["a new line"])
    page.get_by_text("a new line").wait_for()
    page.wait_for_function(at_end)

    page.locator("[data-logs-box]").hover()
    page.mouse.wheel(0, -2000)
    page.get_by_role("button", name="Follow", exact=True).wait_for()
    top = page.evaluate("document.querySelector('[data-logs-box]').scrollTop")
    with_log(run, ["the newest line"])
    page.locator("li", has_text="the newest line").wait_for(state="attached")
    assert page.evaluate("document.querySelector('[data-logs-box]').scrollTop") == top
    page.get_by_role("button", name="Follow", exact=True).click()
    page.wait_for_function(at_end)


def test_a_long_log_keeps_the_page_small_and_loads_older_lines_on_demand(open_as: Open) -> None:
    run = with_log(ended(), [f"line {n}" for n in range(8000)])
    page = open_as("viewer", f"/runs/{run.pk}/logs/")
    page.locator("#L8000").wait_for()
    assert page.locator("[data-logs-list] li").count() == 400
    page.locator("[data-logs-box]").hover()
    page.mouse.wheel(0, -20_000)
    page.locator("#L7300").wait_for(state="attached")
    page.goto(f"/runs/{run.pk}/logs/#L42")
    page.reload()
    page.locator("#L42.kc-chosen").wait_for()
    assert page.locator("[data-logs-list] li").count() <= 3000


def test_the_log_is_searched_and_its_first_error_found(open_as: Open) -> None:
    run = with_log(ended(), [f"line {n}" for n in range(900)])
    run = with_log(run, ["boom"], level="ERROR")
    page = open_as("viewer", f"/runs/{run.pk}/logs/")
    page.get_by_label("Find in the log").fill("line 77")
    page.locator("#L78").wait_for()
    page.wait_for_function("document.querySelectorAll('[data-logs-list] .is-hit').length === 11")
    page.get_by_role("link", name="First error").click()
    page.locator("#L901.kc-chosen").wait_for()
    assert page.url.endswith("#L901")


def test_cancel_asks_first_and_then_says_what_happened(open_as: Open) -> None:
    run = running()
    page = open_as("operator", f"/runs/{run.pk}/")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="No").click()
    run.refresh_from_db()
    assert run.cancel_requested_at is None
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_text(f"Run #{run.pk} was asked to stop.").wait_for()
    run.refresh_from_db()
    assert run.cancel_requested_by == "operator"


def test_the_page_of_a_live_run_shows_its_end_by_itself_and_then_rests(open_as: Open) -> None:
    run = running()
    page = open_as("operator", f"/runs/{run.pk}/")
    run.end(Status.FAILED, at=clock.now(), by="t", error="The disk is full.")
    page.get_by_text("The disk is full.").wait_for()
    page.get_by_role("button", name="Run again").wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(4500)
    assert asked == []


def test_refreshing_keeps_the_focus_and_what_was_opened(open_as: Open) -> None:
    run = running()
    Run.objects.filter(pk=run.pk).update(versions={"kedro": "1.7.0"})
    page = open_as("viewer", f"/runs/{run.pk}/?tab=parameters")
    page.get_by_text("1 package", exact=True).click()
    page.locator("#tab-logs").focus()
    Run.objects.filter(pk=run.pk).update(nodes_done=2)
    page.get_by_text("2 of 3 nodes").wait_for()
    assert page.get_by_text("1.7.0").last.is_visible()
    assert page.evaluate("document.activeElement.id") == "tab-logs"


def test_rows_of_live_runs_refresh_and_a_chosen_row_stays_chosen(open_as: Open) -> None:
    run, other = running(), running()
    page = open_as("operator", "/runs/")
    page.get_by_label(f"Choose run #{other.pk}").check()
    page.get_by_text("1 chosen").wait_for()
    run.end(Status.SUCCEEDED, at=clock.now(), by="t")
    page.locator(f"#run-{run.pk} .kc-is-succeeded").first.wait_for()
    assert page.get_by_label(f"Choose run #{other.pk}").is_checked()


def test_many_runs_are_cancelled_with_their_number_in_the_question(open_as: Open) -> None:
    runs = [running(), running()]
    page = open_as("operator", "/runs/")
    page.get_by_label("Choose all runs on this page").check()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_text("Cancel 2 runs?").wait_for()
    page.get_by_role("button", name="Cancel 2 runs").click()
    page.get_by_text("2 runs asked to stop.").wait_for()
    assert Run.objects.filter(pk__in=[run.pk for run in runs], cancel_requested_at__isnull=False).count() == 2


def test_keys_lead_through_the_console_without_a_mouse(open_as: Open) -> None:
    page = open_as("viewer", "/")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url(re.compile(r"/runs/$"))
    page.keyboard.press("/")
    page.keyboard.type("status:failed")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"q=status(%3A|:)failed"))
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("heading", name="Keys").wait_for(state="hidden")


def test_ctrl_k_leads_by_the_keyboard_alone_also_before_the_lines_have_come(open_as: Open) -> None:
    run = ended()
    page = open_as("operator", "/runs/")
    page.keyboard.press("Control+k")
    lines = page.get_by_role("option")
    lines.filter(has_text="Pipelines").wait_for()
    page.keyboard.type("report")
    lines.filter(has_text="Run report…").wait_for()
    page.keyboard.press("ArrowDown")
    assert page.locator("[role=option][aria-selected=true] .kc-palette-title").inner_text() == "report"
    page.keyboard.press("Enter")
    page.wait_for_url("**/pipelines/*/")
    page.keyboard.press("Control+k")
    page.keyboard.type(f"#{run.pk}")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{run.pk}/")
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")
    assert not page.locator("#palette").is_visible()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scene", [running, failed_in_a_node])
def test_the_log_opens_at_its_end(open_as: Open, width: int, scene: Callable[[], Run]) -> None:
    run = with_log(scene(), [f"{n} " + "word " * (n % 90) for n in range(1, 701)], level="WARNING", node="fetch")
    page = open_as("viewer", "/")
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"/runs/{run.pk}/logs/")
    is_in_sight = """() => {
        const last = [...document.querySelectorAll(".kc-log-line")].at(-1);
        const box = document.querySelector("[data-logs-box]").getBoundingClientRect();
        const line = last.getBoundingClientRect();
        return last.id === "L700" && line.bottom <= box.bottom && box.bottom <= window.innerHeight;
    }"""
    page.wait_for_function(is_in_sight, timeout=5_000)
    page.wait_for_timeout(500)  # heights that come late must not move the end away
    assert page.evaluate(is_in_sight)
