"""Backfills over the API."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app

from jobs.models import Act, Backfill, Run
from tests.api.conftest import get, post
from tests.jobs.backfills.made import daily

pytestmark = pytest.mark.django_db
LAST_WEEK = {"pipeline_name": "report", "from": "2026-03-01", "to": "2026-03-07", "zone": "UTC"}
ASKED = {**LAST_WEEK, "date_parameter": "params:day"}


@pytest.fixture(autouse=True)
def unsent(monkeypatch: Any) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def patch(client: Any, path: str, body: object) -> Any:
    return client.patch(f"/api/v1{path}", body, content_type="application/json")


def test_one_is_looked_at_begun_controlled_and_listed(operator: Any, viewer: Any) -> None:
    daily()
    plan = post(operator, "/backfills/preview", ASKED).json()
    assert (plan["runs"], plan["dates"][0]["verb"], plan["dates"][0]["value"]) == (7, "create", "2026-03-01")
    assert not Backfill.objects.exists()
    made = post(operator, "/backfills", {**ASKED, "at_once": 2}).json()
    assert (made["from"], made["to"], made["counts"]["running"], made["counts"]["waiting"]) == (
        *("2026-03-01", "2026-03-07"),
        *(2, 5),
    )
    assert made["dates"][0]["due_at"] == "2026-03-01T00:00:00Z" and made["url"].endswith(f"/backfills/{made['id']}/")
    assert str(Run.objects.order_by("pk")[0].uuid) == made["dates"][0]["job"]
    address = f"/backfills/{made['id']}"
    assert post(operator, f"{address}/pause").json()["status"] == "paused"
    assert post(operator, f"{address}/pause").status_code == 409
    assert post(operator, f"{address}/resume").json()["status"] == "running"
    assert patch(operator, address, {"at_once": 3}).json()["counts"]["running"] == 3
    stopped = post(operator, f"{address}/stop", {"cancel_jobs": True}).json()
    assert (stopped["status"], stopped["counts"]["cancelled"]) == ("stopped", 7)
    assert post(operator, f"{address}/retry").json()["counts"]["running"] == 3
    (listed,) = get(viewer, "/backfills?pipeline=report&status=running").json()
    assert listed["id"] == made["id"] and "dates" not in listed
    assert get(viewer, "/backfills?status=paused").json() == []
    assert len(get(viewer, address).json()["dates"]) == 7
    acts = list(Act.objects.filter(kind="backfill").order_by("id").values_list("verb", flat=True))
    assert acts == ["started", "paused", "resumed", "changed", "stopped", "retried"]
    assert not Act.objects.filter(kind="run", verb="started").exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-01"}, "to"),
        ({"evry": "day"}, "evry"),
        ({"schedule": "nightly"}, "schedule"),
        ({"at_once": 1000}, "at_once"),
        ({"parameters": {"nowhere": 1}}, "nowhere"),
        ({"tags": ["nowhere"]}, "tags"),
    ],
)
def test_what_cannot_be_is_a_422_with_its_field(operator: Any, changes: dict[str, Any], field: str) -> None:
    daily()
    for path in ("/backfills", "/backfills/preview"):
        answer = post(operator, path, {**ASKED, **changes})
        assert answer.status_code == 422 and field in answer.json()["errors"], answer.json()
    assert not Run.objects.exists()


def test_what_is_not_there_is_a_404(operator: Any) -> None:
    assert post(operator, "/backfills", {**ASKED, "pipeline_name": "nowhere"}).status_code == 404
    assert get(operator, "/backfills/99").status_code == 404
