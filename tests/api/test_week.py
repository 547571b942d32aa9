"""The week ahead over the API."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app

from jobs import clock
from jobs.schedules.dues import Cron
from jobs.schedules.edit import Wanted, create
from tests.api.conftest import get
from tests.factories import make_pipeline, make_quota

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def test_it_tells_what_is_due_and_what_falls_short(viewer: Any) -> None:
    line = make_pipeline(takes={"vendor": 30})
    make_quota("vendor", "20 requests per day in UTC")
    create(Wanted(name="mornings", pipeline=line, rule=Cron("0 6 * * *"), zone="UTC"), at=clock.now())
    found = get(viewer, "/week").json()
    (lane,) = found["lanes"]
    assert (lane["pipeline_name"], lane["runs"], lane["flagged"], found["slots"]) == ("report", 7, 7, 0)
    assert lane["first_at"].endswith("06:00:00Z")
    (problem,) = found["problems"]
    assert (problem["kind"], problem["count"]) == ("quota", 7)
    assert found["shortfalls"][0]["needed"] == 30 and found["shortfalls"][0]["window"] == "20 requests per day in UTC"
    assert get(viewer, "/week?hours=24").json()["runs"] == 1
    assert get(viewer, "/week?hours=0").status_code == 422
