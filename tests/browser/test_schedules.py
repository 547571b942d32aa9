"""Somebody who knows no cron makes a schedule, pauses it, and looks at what came of a due time."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from celery import current_app
from django.urls import reverse

from jobs import clock
from jobs.models import Schedule
from jobs.states import TickDecision
from tests.factories import make_pipeline, make_schedule, make_tick

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


@pytest.fixture(autouse=True)
def unsent(monkeypatch):
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def test_every_working_day_at_six_in_berlin(open_as) -> None:
    make_pipeline()
    page = open_as("admin", reverse("schedules"), timezone_id="America/New_York")
    page.get_by_role("link", name="Make the first schedule").click()
    page.get_by_role("link", name="report", exact=False).first.click()
    page.locator("#proof table").wait_for()
    page.get_by_label("Working days, Monday to Friday").check()
    page.get_by_label("At", exact=True).fill("06:00")
    page.get_by_label("Time zone").select_option("Europe/Berlin")
    page.get_by_text("Monday to Friday at 06:00, Europe/Berlin").wait_for()
    times = page.locator("#proof tbody td:first-child.kc-strong").all_inner_texts()
    assert len(times) == 10
    assert all(re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri) \d+ \w+ \d{4}, 06:00", each) for each in times)
    page.get_by_text("Cron", exact=True).click()
    page.get_by_label("Minute, hour, day of the month").fill("0 6 * * mon, wed")
    page.get_by_text("with no space beside a comma").wait_for()
    page.get_by_text("Days and times", exact=True).click()
    page.get_by_text("Monday to Friday at 06:00, Europe/Berlin").wait_for()
    page.locator("#outcome-missed-newest", has_text="1 run instead of 1").wait_for()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("is saved: due times from now on count").wait_for()
    assert Schedule.objects.get().rule == {"kind": "days", "times": ["06:00"], "weekdays": [1, 2, 3, 4, 5]}


def test_a_schedule_is_paused_and_its_tick_explained(open_as) -> None:
    row, at = make_schedule(at=clock.now()), clock.now()
    make_tick(row, at - timedelta(days=1), TickDecision.MISSED, reason="The scheduler was down from 5 to 7.")
    page = open_as("operator", reverse("schedules"))
    page.get_by_role("link", name="Mornings").click()
    page.locator(".kc-tick-rows a", has_text="The scheduler was down").click()
    page.get_by_role("heading", name=re.compile("^Due ")).wait_for()
    page.get_by_role("button", name="Dismiss").click()
    page.get_by_text("Dismissed: it is no trouble any more.").wait_for()
    page.get_by_text("Pause…").click()
    page.get_by_placeholder("Why?").fill("Holidays")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_text("Mornings is paused.").wait_for()
    row.refresh_from_db()
    assert (row.paused_by, row.paused_reason) == ("operator", "Holidays")
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("Mornings goes on").wait_for()


@pytest.mark.parametrize(("viewers", "is_said_twice"), [("Europe/Berlin", False), ("Asia/Tokyo", True)])
def test_the_viewers_own_time_stands_beside_a_zones_where_they_differ(
    open_as, viewers: str, is_said_twice: bool
) -> None:
    row = make_schedule(at=clock.now(), zone="Europe/Berlin")
    page = open_as("viewer", reverse("schedules"), timezone_id=viewers)
    page.locator(".kc-schedule-next time").first.wait_for()
    page.wait_for_function("document.querySelector('.kc-schedule-next time').textContent.startsWith('in ')")
    assert page.get_by_text("your time").is_visible() is is_said_twice
    page.goto(page.url.rstrip("/") + f"/{row.pk}/")
    page.locator(".kc-next td").first.wait_for()
    assert page.get_by_role("columnheader", name="Your time").count() == (1 if is_said_twice else 0)
