"""The dialog that asks first, over pages that refresh behind it: no press without an answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from jobs import clock
from jobs.models import Run, Worker
from jobs.states import Status
from jobs.steps.advance import Outcome, finish
from tests.browser.polls import polled
from tests.factories import make_run
from tests.records import a_request
from tests.views.scenes import a_worker, running

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
Open = Callable[..., Any]


def ask(page: Any, name: str = "Cancel") -> None:
    page.get_by_role("button", name=name, exact=True).click()
    page.locator("#confirm[open]").wait_for()


@pytest.mark.parametrize("seconds", [0.3, 1.5, 3, 6])
def test_a_press_stops_the_run_however_long_the_question_stood_there(open_as: Open, seconds: float) -> None:
    run = running()
    page = open_as("operator", f"/runs/{run.pk}/")
    ask(page)
    page.wait_for_timeout(seconds * 1000)
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_text(f"Run #{run.pk} was asked to stop.").wait_for()
    run.refresh_from_db()
    assert run.cancel_requested_by == "operator"


def test_a_press_after_three_refreshes_sends_to_the_address_of_the_form(open_as: Open) -> None:
    run = running()
    page = open_as("operator", f"/runs/{run.pk}/?tab=events")
    ask(page)
    polled(page, 3)
    with page.expect_request(lambda request: request.method == "POST") as posted:
        page.get_by_role("button", name="Cancel the run").click()
    assert posted.value.url.endswith(f"/runs/{run.pk}/cancel/")
    page.get_by_text(f"Run #{run.pk} was asked to stop.").wait_for()


def test_the_button_that_was_pressed_stands_through_refreshes(open_as: Open) -> None:
    page = open_as("operator", f"/runs/{running().pk}/")
    button = page.get_by_role("button", name="Cancel", exact=True).element_handle()
    polled(page, 3)
    assert button.evaluate("button => button.isConnected")


def test_a_refresh_between_press_and_release_does_not_swallow_the_click(open_as: Open) -> None:
    run = running()
    page = open_as("operator", f"/runs/{run.pk}/")
    page.get_by_role("button", name="Cancel", exact=True).hover()
    page.mouse.down()
    run.end(Status.FAILED, at=clock.now(), by="t")
    polled(page, 2)
    page.mouse.up()
    page.locator("#confirm[open]").wait_for()


def test_enter_says_yes_and_escape_goes_back_to_the_button(open_as: Open) -> None:
    run = running()
    page = open_as("operator", f"/runs/{run.pk}/")
    page.get_by_role("button", name="Cancel", exact=True).focus()
    page.keyboard.press("Enter")
    page.locator("#confirm[open]").wait_for()
    polled(page, 2)
    assert page.evaluate("document.activeElement.id") == "confirm-yes"
    page.keyboard.press("Escape")
    page.locator("#confirm[open]").wait_for(state="detached")
    assert page.evaluate("document.activeElement.textContent.trim()") == "Cancel"
    run.refresh_from_db()
    assert run.cancel_requested_at is None
    page.keyboard.press("Enter")
    page.locator("#confirm[open]").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text(f"Run #{run.pk} was asked to stop.").wait_for()


def test_a_question_asked_again_before_the_browser_told_of_its_closing_is_still_answered(open_as: Open) -> None:
    run = running()
    page = open_as("operator", f"/runs/{run.pk}/")
    page.evaluate("""() => {
        const asking = [...document.querySelectorAll("button[data-confirm]")];
        const button = asking.find(one => one.textContent.trim() === "Cancel");
        button.click();
        document.getElementById("confirm").close();
        button.click();
    }""")
    page.evaluate("new Promise(done => setTimeout(done))")
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_text(f"Run #{run.pk} was asked to stop.").wait_for()


def test_a_cancel_answers_stage_by_stage_until_the_process_is_gone(open_as: Open) -> None:
    """As somebody sees it who asks, reads, waits, asks for force and reads on, at the pace of the page itself."""
    a_worker()
    run = running()
    run.node_runs.filter(position=0).update(progress={"done": 9, "total": 60})
    page = open_as("operator", f"/runs/{run.pk}/")
    ask(page)
    page.get_by_text("fetch is at 9 of 60;").wait_for()
    run.node_runs.filter(position=0).update(progress={"done": 10, "total": 60})
    page.locator("#confirm-question", has_text="fetch is at 10 of 60;").wait_for()
    assert page.locator("#confirm.kc-dialog-danger").is_visible()
    page.get_by_role("button", name="Cancel the run").click()
    stopping = page.locator("#stopping")
    stopping.get_by_text("its worker hears of it within a second").wait_for()
    sent(run, "interrupt", due=60)
    stopping.get_by_text("interrupt sent").wait_for()
    left = stopping.locator("[data-until]")
    before = left.inner_text()
    page.wait_for_function("(before) => document.querySelector('[data-until]').textContent !== before", arg=before)
    page.get_by_role("button", name="Force now").click()
    page.get_by_text("A file being written may stay half-written").wait_for()
    polled(page, 2)
    page.get_by_role("button", name="Kill it now").click()
    page.get_by_text(f"What is left of run #{run.pk} is being killed.").wait_for()
    run.refresh_from_db()
    assert run.force_requested_by == "operator"
    sent(run, "kill", due=5)
    stopping.get_by_text("kill sent").wait_for()
    step = run.steps.get()
    finish(step, Outcome(Status.CANCELLED), token=step.lease_token, at=clock.now(), by="worker@test")
    page.get_by_text("gone: cancelled").wait_for()
    stopping.wait_for(state="detached")
    page.get_by_text("forced", exact=True).wait_for()


def sent(run: Run, stage: str, *, due: float) -> None:
    at, step = clock.now(), run.steps.get()
    stop = {"stage": stage, "at": at.isoformat(), "next_at": (at + timedelta(seconds=due)).isoformat()}
    step.stops = [*(step.stops or []), stop]
    step.save(update_fields=["stops"])


def test_the_dialog_says_that_the_run_ended_meanwhile(open_as: Open) -> None:
    run = running()
    page = open_as("operator", f"/runs/{run.pk}/")
    ask(page)
    run.end(Status.SUCCEEDED, at=clock.now(), by="t")
    page.get_by_text(f"Run #{run.pk} has ended meanwhile: nothing is left to cancel.").wait_for()
    assert page.get_by_role("button", name="Cancel the run").is_disabled()
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_role("button", name="Run again").wait_for()
    assert Run.objects.count() == 1


def test_a_press_that_is_faster_than_the_refresh_is_refused_in_words(open_as: Open) -> None:
    run = running()
    page = open_as("operator", f"/runs/{run.pk}/")
    page.route(lambda url: url.endswith("?tab=nodes"), lambda route: route.abort())
    page.evaluate("htmx.config.timeout = 1")
    ask(page)
    run.end(Status.SUCCEEDED, at=clock.now(), by="t")
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_text(re.compile("A succeeded run cannot")).wait_for()


def test_a_console_that_is_away_is_said_and_one_may_try_again(open_as: Open, complaints: list[str]) -> None:
    run = running()
    page = open_as("operator", f"/runs/{run.pk}/")
    page.route("**/cancel/", lambda route: route.abort())
    ask(page)
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_text("The console could not be reached.").wait_for()
    complaints.clear()
    page.unroute("**/cancel/")
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_text(f"Run #{run.pk} was asked to stop.").wait_for()


@pytest.mark.parametrize("status, words", [(403, "This was refused"), (404, "no longer there"), (500, "error (500)")])
def test_an_answer_that_is_an_error_is_said(open_as: Open, complaints: list[str], status: int, words: str) -> None:
    page = open_as("operator", f"/runs/{running().pk}/")
    page.route("**/cancel/", lambda route: route.fulfill(status=status, body="<h1>no</h1>"))
    ask(page)
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_text(words).wait_for()
    complaints.clear()


def test_a_page_from_before_another_login_sends_a_token_that_holds_now(open_as: Open) -> None:
    run = running()
    page = open_as("operator", f"/runs/{run.pk}/")
    page.evaluate(
        "document.querySelectorAll('[name=csrfmiddlewaretoken]').forEach((field) => { field.value = 'x'.repeat(64); })"
    )
    ask(page)
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_text(f"Run #{run.pk} was asked to stop.").wait_for()


def test_after_the_session_has_ended_the_login_leads_back_to_the_page(open_as: Open) -> None:
    run = running()
    page = open_as("operator", f"/runs/{run.pk}/")
    ask(page)
    token = page.context.cookies()
    page.context.clear_cookies()
    page.context.add_cookies([cookie for cookie in token if cookie["name"] == "csrftoken"])
    page.get_by_role("button", name="Cancel the run").click()
    page.wait_for_url(re.compile(rf"/login/\?next=%2Fruns%2F{run.pk}%2F$"))


def test_a_worker_is_drained_from_a_page_that_refreshes(open_as: Open) -> None:
    worker = a_worker()
    page = open_as("operator", "/workers/")
    ask(page, "Drain")
    polled(page, 2)
    page.get_by_role("button", name="Drain it").click()
    page.get_by_text("was asked to finish its steps and to end.").wait_for()
    assert Worker.objects.get(pk=worker.pk).wanted_by == "operator"


def test_what_was_chosen_is_cancelled_from_a_list_that_refreshes(open_as: Open) -> None:
    runs = [running(), running()]
    page = open_as("operator", "/runs/")
    page.get_by_label("Choose all runs on this page").check()
    ask(page)
    Run.objects.filter(pk=runs[0].pk).update(nodes_done=2)
    polled(page, 3)
    page.get_by_role("button", name="Cancel 2 runs").click()
    page.get_by_text("2 runs asked to stop.").wait_for()


def test_the_dialog_asks_for_what_the_form_needs_first(open_as: Open) -> None:
    for _ in range(2):
        a_request(make_run())
    page = open_as("operator", "/requests/")
    page.locator("summary", has_text="Dismiss").first.click()
    page.get_by_role("button", name=re.compile("^Dismiss")).first.click()
    assert not page.locator("#confirm").is_visible()
    assert page.evaluate("document.activeElement.name") == "why"
