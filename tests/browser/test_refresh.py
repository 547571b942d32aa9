"""Pages refresh in place: what somebody opened, typed, chose or marked stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from jobs import clock
from jobs.models import Run, Worker
from tests.browser.polls import polled
from tests.views.scenes import a_worker, ended, running

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
Open = Callable[..., Any]


def test_a_number_that_is_being_typed_stays_and_so_does_the_caret(open_as: Open) -> None:
    worker = a_worker()
    page = open_as("operator", "/workers/")
    page.get_by_label("Slots", exact=True).fill("17")
    Worker.objects.filter(pk=worker.pk).update(slots=9, wanted_slots=9)
    polled(page, 2)
    assert page.get_by_label("Slots", exact=True).input_value() == "17"
    assert page.evaluate("document.activeElement.name") == "slots"


def test_a_field_in_use_stays_until_it_is_left_when_its_worker_falls_silent(open_as: Open) -> None:
    worker = a_worker()
    page = open_as("operator", "/workers/")
    page.get_by_label("Slots", exact=True).fill("17")
    Worker.objects.filter(pk=worker.pk).update(heartbeat_at=clock.now() - timedelta(hours=1))
    page.locator(".kc-badge", has_text="silent").wait_for()
    assert page.evaluate("document.activeElement.value") == "17"
    page.get_by_label("Slots", exact=True).blur()
    page.get_by_label("Slots", exact=True).wait_for(state="detached")


def test_a_fold_that_was_closed_stays_closed(open_as: Open) -> None:
    page = open_as("operator", "/")
    fold = page.locator("#findings-bad")
    fold.locator("summary").click()
    polled(page, 2)
    assert not fold.evaluate("fold => fold.open")
    fold.locator("summary").click()
    polled(page, 2)
    assert fold.evaluate("fold => fold.open")


def test_marked_text_stays_marked_while_what_stands_beside_it_changes(open_as: Open) -> None:
    run = running()
    page = open_as("viewer", f"/runs/{run.pk}/")
    marked = page.evaluate("""() => {
        const range = document.createRange();
        range.selectNodeContents(document.querySelector(".kc-head"));
        document.getSelection().addRange(range);
        return document.getSelection().toString();
    }""")
    Run.objects.filter(pk=run.pk).update(nodes_done=2)
    polled(page, 3)
    assert page.evaluate("document.getSelection().toString()") == marked
    page.evaluate("document.getSelection().removeAllRanges()")
    page.get_by_text("2 of 3 nodes").wait_for()


def test_a_chosen_priority_waits_for_its_button(open_as: Open) -> None:
    from tests.factories import make_run

    run = make_run()
    page = open_as("operator", f"/runs/{run.pk}/")
    page.get_by_label("Priority").select_option("2")
    page.locator("#tab-logs").focus()
    polled(page, 3)
    assert page.get_by_label("Priority").input_value() == "2"


def test_home_keeps_the_focus_on_a_link_while_rows_come_before_it(open_as: Open) -> None:
    ended()
    page = open_as("viewer", "/")
    page.get_by_role("link", name="All", exact=True).nth(1).focus()
    running()
    polled(page, 2)
    assert page.evaluate("document.activeElement.textContent") == "All"


def test_a_number_that_was_typed_and_left_stays_and_one_that_nobody_touched_is_the_newest(open_as: Open) -> None:
    typed, other = a_worker(name="a@test"), a_worker(name="b@test")
    page = open_as("operator", "/workers/")
    fields = {each.pk: page.locator(f"#slots-{each.pk}") for each in (typed, other)}
    fields[typed.pk].fill("17")
    fields[typed.pk].blur()
    Worker.objects.update(slots=9, wanted_slots=9)
    polled(page, 2)
    assert [fields[each.pk].input_value() for each in (typed, other)] == ["17", "9"]


def test_a_form_that_does_something_else_is_another_form(open_as: Open) -> None:
    worker = a_worker()
    page = open_as("operator", "/workers/")
    page.evaluate("document.querySelectorAll('.kc-worker form').forEach((form) => { form.isOld = true; })")
    worker.pause(by="olga", at=clock.now())
    page.get_by_role("button", name="Resume", exact=True).wait_for()
    facts = "(all) => all.map((form) => [form.getAttribute('action').split('/')[3], form.isOld === true, form.id])"
    found = page.locator(".kc-worker form").evaluate_all(facts)
    assert found == [["slots", True, ""], ["resume", False, ""], ["drain", True, ""]]
