"""The pages of backfills, without a browser."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from celery import current_app
from django.urls import reverse

from jobs.models import Backfill
from jobs.states import Again
from tests.jobs.backfills.made import backfill, daily
from tests.views.scenes import HTMX, logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def test_the_list_costs_the_same_for_one_and_for_many(django_assert_max_num_queries: Any) -> None:
    line = daily()
    for month in range(1, 13):
        days = {"first_day": date(2025, month, 1), "last_day": date(2025, month, 7)}
        backfill(line, again=Again.ALL, **days)
    client = logged_in("viewer")
    client.get(reverse("backfills"))
    with django_assert_max_num_queries(15):
        page = client.get(reverse("backfills")).content.decode()
    assert page.count("0 of 7") == 12
    with django_assert_max_num_queries(15):
        assert len(client.get("/api/v1/backfills").json()) == 12


def test_a_page_of_dates_is_narrowed_by_status_and_ends_its_polling() -> None:
    row = backfill()
    client = logged_in("viewer")
    page = client.get(row.get_absolute_url()).content.decode()
    assert page.count('id="date-') == 7 and "Stop" not in page and 'hx-trigger="every 2s"' in page
    assert client.get(row.get_absolute_url(), {"status": "waiting"}, **HTMX).content.decode().count('id="date-') == 6
    for odd in ({"status": "x"}, {"start": "-1"}, {"start": "9" * 30}):
        assert client.get(row.get_absolute_url(), odd).status_code == 200
    row.dates.update(status="succeeded")
    Backfill.objects.update(status="finished", finished_at=row.created_at)
    assert 'hx-trigger="every 2s"' not in client.get(row.get_absolute_url()).content.decode()


def test_what_is_typed_wrong_lands_on_its_field() -> None:
    line = daily()
    form = {"pipeline": line.pk, "due": "day", "first_day": "2026-03-01", "last_day": "2026-03-02", "again": "new"}
    more = {"direction": "oldest", "at_once": "1", "date_parameter": "params:options.top", "parameters": "options: ["}
    client = logged_in("operator")
    answer = client.post(reverse("backfill_new"), {**form, **more})
    assert answer.status_code == 422 and "This is not YAML" in answer.content.decode()
    answer = client.post(reverse("backfill_new"), {**form, **more, "parameters": "", "zone": "Mars/Base"})
    assert "There is no time zone “Mars/Base”" in answer.content.decode()
    for odd in ({}, {"pipeline": "x"}, {**form, "pipeline": "99"}, {**form, "first_day": "0001-01-01", "zone": "\x00"}):
        assert client.post(reverse("backfill_preview"), odd).status_code in (200, 400, 404, 422)
        assert client.get(reverse("backfill_new"), odd).status_code in (200, 400, 404, 422)
    assert not Backfill.objects.exists()
