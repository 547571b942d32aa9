"""A change over the API may name the version that it was made from, and is refused when somebody else was first."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app

from jobs import clock
from jobs.models import BatchQueue, Quota, Subscription
from tests.api.conftest import get, post
from tests.factories import make_pipeline, make_quota, make_schedule

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


@pytest.fixture
def admin(caller: Any) -> Any:
    return caller("admin")


def patch(client: Any, path: str, body: Any, version: str = "") -> Any:
    more = {"headers": {"If-Match": version}} if version else {}
    return client.patch(f"/api/v1{path}", body, content_type="application/json", **more)


def make(kind: str, admin: Any) -> str:
    """The address of one thing of this kind."""
    pipeline = make_pipeline()
    if kind == "schedules":
        return f"/schedules/{make_schedule(pipeline).pk}"
    if kind == "quotas":
        return f"/quotas/{make_quota().name}"
    if kind == "queues":
        return f"/queues/{BatchQueue.objects.create(name='mails').name}"
    bodies = {
        "rules": {"name": "Next", "sources": ["report"], "target": "report", "condition": "`false`"},
        "channels": {"name": "Ops", "kind": "mail", "address": "a@example.org"},
        "subscriptions": {"kinds": ["failing"]},
    }
    answer = post(admin, f"/{kind}", bodies[kind])
    assert answer.status_code == 201, answer.json()
    return f"/{kind}/{answer.json()['id']}"


CHANGES = {
    "schedules": ({"note": "Ask Anna"}, {"note": "Ask Olga"}, "note"),
    "quotas": ({"windows": ["9 rows per hour"]}, {"windows": ["8 rows per hour"]}, "windows"),
    "rules": ({"max_per_hour": 7}, {"max_per_hour": 8}, "max_per_hour"),
    "channels": ({"name": "Ours"}, {"name": "Theirs"}, "name"),
    "subscriptions": ({"kinds": ["recovered"]}, {"kinds": ["missed"]}, "kinds"),
    "queues": ({"max_attempts": 9}, {"max_attempts": 8}, "max_attempts"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_stale_change_is_refused_and_says_who_was_first(admin: Any, kind: str) -> None:
    address = make(kind, admin)
    first, second, name = CHANGES[kind]
    read = get(admin, address)["ETag"]
    changed = patch(admin, address, first, read)
    assert changed.status_code == 200 and changed["ETag"] == get(admin, address)["ETag"] != read
    refused = patch(admin, address, second, read)
    assert (refused.status_code, refused.json()["changed"]) == (412, [name])
    assert "changed" in refused.json()["detail"] and refused.json()["detail"].endswith(": nothing was saved.")
    assert patch(admin, address, second, changed["ETag"]).status_code == 200


@pytest.mark.parametrize("kind", CHANGES)
def test_without_a_version_what_is_sent_is_set(admin: Any, kind: str) -> None:
    address = make(kind, admin)
    first, second, _ = CHANGES[kind]
    assert patch(admin, address, first).status_code == patch(admin, address, second).status_code == 200


def test_any_version_fits_a_star_and_one_of_several_is_enough(admin: Any) -> None:
    address = make("quotas", admin)
    read = get(admin, address)["ETag"]
    for number, version in enumerate(("*", f'"other", {read}'), 1):
        Quota.objects.update(description="")
        assert patch(admin, address, {"description": f"take {number}"}, version).status_code == 200
    for version in ('"other"', '""', "W/"):
        answer = patch(admin, address, {"description": "no"}, version)
        assert answer.status_code == 412, version


def test_what_is_no_version_is_refused_as_a_stale_one(admin: Any) -> None:
    address = make("schedules", admin)
    refused = patch(admin, address, {"note": "x"}, '"0"')
    assert (refused.status_code, refused.json()["changed"]) == (412, [])


def test_a_mute_is_no_new_version_and_survives_a_change(admin: Any) -> None:
    address = make("subscriptions", admin)
    read = get(admin, address)["ETag"]
    until = clock.now().replace(microsecond=0)
    Subscription.objects.update(muted_until=until)
    assert patch(admin, address, {"subject": "Mine"}, read).status_code == 200
    assert Subscription.objects.get().muted_until == until
