from __future__ import annotations

from typing import Any

import pytest

from jobs.models import Quota
from tests.api.conftest import get, post
from tests.factories import make_quota

pytestmark = pytest.mark.django_db


def patch(client: Any, path: str, body: object) -> Any:
    return client.patch(f"/api/v1{path}", body, content_type="application/json")


def test_a_quota_tells_its_windows_and_what_is_left(viewer) -> None:
    make_quota(windows="2 requests per minute\n100 rows per day in UTC")
    (listed,) = get(viewer, "/quotas").json()
    assert listed == get(viewer, "/quotas/chat").json()
    assert [window["words"] for window in listed["windows"]] == ["2 requests per minute", "100 rows per day in UTC"]
    assert (listed["windows"][0]["left"], listed["windows"][1]["seconds"], listed["closed"]) == (2, None, "")
    assert get(viewer, "/quotas/none").status_code == 404


def test_an_admin_makes_and_changes_one(caller) -> None:
    admin = caller("admin")
    made = post(admin, "/quotas", {"name": "mail", "windows": ["10 requests per minute"]})
    assert made.status_code == 201 and made.json()["windows"][0]["allowed"] == 10
    changed = patch(admin, "/quotas/mail", {"windows": ["1 request per 2 seconds"]}).json()
    assert [window["words"] for window in changed["windows"]] == ["1 request per 2 seconds"]
    assert patch(admin, "/quotas/mail", {"description": "x"}).json()["windows"] == changed["windows"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "mail", "windows": ["ten a minute"]}, "windows"),
        ({"name": "a b"}, "name"),
        ({"name": "chat"}, "name"),
        ({}, "name"),
        ({"name": "mail", "windows": "10 requests per minute"}, "windows"),
        ({"name": "mail", "windows": [5, {}]}, "windows"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence_on_its_field(caller, body: Any, field: str) -> None:
    make_quota()
    answer = post(caller("admin"), "/quotas", body)
    assert answer.status_code == 422 and any(name.startswith(field) for name in answer.json()["errors"])
    assert Quota.objects.count() == 1


def test_an_operator_pauses_and_opens_but_changes_no_limit(operator, viewer) -> None:
    make_quota()
    paused = post(operator, "/quotas/chat/pause", {"reason": "over budget"}).json()
    assert paused["is_paused"] and "over budget" in paused["closed"]
    assert post(operator, "/quotas/chat/open").json()["is_paused"] is False
    assert post(operator, "/quotas/chat/pause", {"until": "2020-01-01T00:00:00Z"}).status_code == 400
    for path in ("/quotas/chat/pause", "/quotas/chat/open"):
        assert post(viewer, path).status_code == 403
    assert post(operator, "/quotas", {"name": "x"}).status_code == 403
    assert patch(operator, "/quotas/chat", {"description": "x"}).status_code == 403


def test_a_forecast_names_the_time_or_none(viewer) -> None:
    make_quota()
    assert get(viewer, "/quotas/chat/forecast?items=30").json()["done_at"].endswith("Z")
    assert get(viewer, "/quotas/chat/forecast?items=1000000000").json() == {"done_at": None}
    for nonsense in ("", "?items=-1", "?items=1&requests_each=x", "?items=1&requests_each=nan"):
        assert get(viewer, f"/quotas/chat/forecast{nonsense}").status_code == 422
