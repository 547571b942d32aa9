"""Last week is backfilled in the browser: chosen, looked at date by date, started, paused, seen to its end."""

from __future__ import annotations

import re
from typing import Any

import pytest
from celery import current_app
from django.urls import reverse

from jobs import clock
from jobs.backfills.start_next import start_due
from jobs.models import Backfill, Run
from jobs.states import Cause, Status
from tests.factories import make_run
from tests.jobs.at_work import running, succeed
from tests.jobs.backfills.made import backfill, daily, end_one

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def days(page: Any, first: str, last: str) -> None:
    page.get_by_label("First day").fill(first)
    page.get_by_label("Last day").fill(last)


def test_last_week_is_backfilled(open_as: Any) -> None:
    line = daily()
    done = make_run(line, cause=Cause.SCHEDULE, due_at=clock.now().replace(2026, 3, 2, 0, 0, 0, 0))
    succeed(running(done))
    page = open_as("operator", reverse("pipeline", args=[line.pk]))
    page.get_by_role("link", name="Backfill…").click()
    days(page, "2026-03-01", "2026-03-07")
    page.get_by_label("Time zone").fill("UTC")
    assert page.get_by_label("The date goes into").input_value() == "day"
    plan = page.locator("#plan")
    plan.get_by_text("6 runs, 1 skipped").wait_for()
    plan.locator("tr", has_text=re.compile(rf"#{done.pk}\s+succeeded\s+skip")).wait_for()
    plan.get_by_text("2026-03-01", exact=True).wait_for()
    page.get_by_label("all dates, also those that succeeded").check()
    plan.get_by_text("7 runs, 1 of them again").wait_for()
    page.get_by_label("also dates that failed").check()
    page.get_by_label("At once").fill("2")
    page.get_by_role("button", name="Start 6 runs").click()
    page.get_by_text("is under way.").wait_for()
    row = Backfill.objects.get()
    assert page.url.endswith(row.get_absolute_url()) and row.dates.under_way().count() == 2
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("the next date waits until it is resumed").wait_for()
    assert Run.objects.get(pk=end_one(row, Status.FAILED).pk).status == Status.FAILED
    page.get_by_role("link", name="1 failed").wait_for()
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("It goes on.").wait_for()
    while row.dates.under_way().exists():
        end_one(row)
        start_due(clock.now())
    page.locator("#backfill .kc-badge", has_text="finished").wait_for()
    page.get_by_text("7 of 7 dates").wait_for()
    page.get_by_role("button", name=re.compile("Run 1 date again")).click()
    page.get_by_text("1 date runs again.").wait_for()
    end_one(row)
    start_due(clock.now())
    page.get_by_text("Nothing is left to do.").wait_for()
    assert sorted(set(row.dates.values_list("status", flat=True))) == ["skipped", "succeeded"]


def test_what_cannot_be_is_said_while_it_is_typed_and_starts_nothing(open_as: Any) -> None:
    page = open_as("operator", f"{reverse('backfill_new')}?pipeline={daily().pk}")
    days(page, "2026-03-07", "2026-03-01")
    page.locator("#plan").get_by_text("Lies before the first day").wait_for()
    assert page.locator("#plan button").is_disabled()
    days(page, "2026-03-01", "2026-03-02")
    page.get_by_label("The date goes into").fill("params:options.top")
    page.locator("#plan").get_by_text("can hold no date").wait_for()
    page.get_by_label("The date goes into").fill("")
    page.locator("#plan").get_by_text("so every run does the same").wait_for()
    assert not Backfill.objects.exists()


def test_a_stop_asks_first(open_as: Any) -> None:
    row = backfill()
    page = open_as("operator", row.get_absolute_url())
    page.get_by_role("button", name="Stop", exact=True).click()
    page.locator("#confirm-question").get_by_text("6 dates will not run").wait_for()
    page.locator("#confirm-yes").click()
    page.get_by_text("It is stopped and starts no further date.").wait_for()
    page.get_by_text("Stopped by operator").first.wait_for()
