"""The page of the week ahead."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.urls import reverse

from jobs import clock
from jobs.models import Pipeline
from jobs.schedules.dues import Cron, Every
from jobs.schedules.edit import Wanted, create
from tests.admin.rows import make_worker
from tests.factories import make_pipeline, make_quota
from tests.views.scenes import ended, logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def daily(pipeline: Pipeline, **facts: Any) -> None:
    how = {"name": "mornings", "rule": Cron("0 6 * * *"), "zone": "UTC"} | facts
    create(Wanted(pipeline=pipeline, **how), at=clock.now())


def test_it_shows_each_run_and_what_is_in_its_way(django_assert_max_num_queries: Any) -> None:
    line = make_pipeline(takes={"vendor": 30})
    make_quota("vendor", "20 requests per day in UTC")
    make_worker(slots=1, queues=["default"], heartbeat_at=clock.now())
    daily(line)
    with django_assert_max_num_queries(45):
        page = logged_in("viewer").get(reverse("week")).content.decode()
    assert page.count('class="kc-plan-flagged"') >= 6 and "vendor needs 30 requests of the 20 that it allows." in page
    assert "1 thing to look at" in page and "How long report take is not known yet" in page


def test_a_day_of_it_and_a_day_that_is_none() -> None:
    ended(pipeline=(line := make_pipeline()), seconds=1500)
    daily(line)
    client, tomorrow = logged_in("viewer"), clock.now().date() + timedelta(days=1)
    page = client.get(reverse("week"), {"day": str(tomorrow)}).content.decode()
    assert page.count('class="kc-plan-planned"') == 2 and "25m 00s each" in page and ">06:00</b>" in page
    for odd in ("2020-01-01", "x", "9999-99-99"):
        assert client.get(reverse("week"), {"day": odd}).status_code == 200


def test_many_runs_are_few_bars() -> None:
    daily(make_pipeline(), rule=Every(seconds=300, anchor=clock.now()), name="often")
    page = logged_in("viewer").get(reverse("week")).content.decode()
    assert page.count('class="kc-plan-planned"') < 300 and " runs, the first: " in page


def test_without_a_schedule_it_says_so() -> None:
    page = logged_in("viewer").get(reverse("week")).content.decode()
    assert "Nothing is due this week: no schedule starts a pipeline." in page
