"""Batch queues over the API."""

from __future__ import annotations

import pytest
from django.test import Client

from jobs.batches.batches import fail_item, put, take
from jobs.models import BatchQueue, Item
from tests.api.conftest import Caller, get, post
from tests.factories import AT
from tests.jobs.batches.working import end, rows, working

pytestmark = pytest.mark.django_db


def parked(number: int = 3) -> None:
    """Parked items: `k00000` because of a 422, the others because of a 500."""
    put("words", rows(number), at=AT)
    BatchQueue.objects.update(max_attempts=1)
    step = working()
    for item in take(step, "words", number, at=AT).items:
        fail_item(step.run, item.id, "422" if item.key == "k00000" else "500")
    end(step)


def test_items_are_put_once_and_a_queue_is_made_by_the_first(operator: Client) -> None:
    items = [{"key": f"k{number}", "body": {"n": number}} for number in range(3)] + [{"key": " padded "}]
    assert post(operator, "/queues/words/items", {"items": items}).json() == {"added": 4, "known": 0}
    assert post(operator, "/queues/words/items", {"items": items}).json() == {"added": 0, "known": 4}
    shown = get(operator, "/queues/words").json()
    assert (shown["waiting"], shown["taken"], shown["done"], shown["parked"]) == (4, 0, 0, 0)
    assert shown["oldest_at"] and shown["done_last_hour"] == 0
    assert Item.objects.get(key=" padded ").body is None


@pytest.mark.parametrize("items", [[], [{"body": 1}], [{"key": ""}], [{"key": "x" * 201}], "all", [5]])
def test_items_that_are_none_are_refused_and_nothing_is_put(operator: Client, items: object) -> None:
    assert post(operator, "/queues/words/items", {"items": items}).status_code == 422
    assert not Item.objects.exists()


def test_a_name_that_is_none_is_refused(operator: Client, caller: Caller) -> None:
    assert post(operator, "/queues/a b/items", {"items": [{"key": "x"}]}).status_code == 400
    assert post(caller("admin"), "/queues", {"name": "../x"}).status_code == 422
    assert not BatchQueue.objects.exists()


def test_a_queue_that_is_not_there_is_named_with_the_nearest(viewer: Client) -> None:
    put("keywords", rows(1), at=AT)
    answer = get(viewer, "/queues/keyword/items")
    assert (answer.status_code, "did you mean keywords" in answer.json()["detail"]) == (404, True)


def test_an_admin_makes_a_queue_with_its_settings_and_changes_them(caller: Caller) -> None:
    admin = caller("admin")
    made = post(admin, "/queues", {"name": "words", "max_attempts": 5})
    assert (made.status_code, made.json()["max_attempts"], made.json()["waiting"]) == (201, 5, 0)
    assert post(admin, "/queues", {"name": "words"}).status_code == 409
    changed = admin.patch("/api/v1/queues/words", '{"description": "to ask"}', "application/json")
    assert (changed.json()["description"], changed.json()["max_attempts"]) == ("to ask", 5)
    assert admin.patch("/api/v1/queues/words", '{"max_attempts": 0}', "application/json").status_code == 422


def test_items_are_listed_by_status_page_by_page(viewer: Client) -> None:
    parked()
    put("words", rows(5, start=10), at=AT)
    first = get(viewer, "/queues/words/items?limit=3").json()
    assert [item["key"] for item in first] == ["k00010", "k00011", "k00012"]
    rest = get(viewer, f"/queues/words/items?limit=3&after={first[-1]['id']}").json()
    assert [item["key"] for item in rest] == ["k00013", "k00014"]
    failed = get(viewer, "/queues/words/items?status=parked").json()
    assert (failed[0]["key"], failed[0]["error"], failed[0]["attempts"]) == ("k00000", "422", 1)
    assert len(get(viewer, f"/queues/words/items?run={failed[0]['run']}").json()) == 3
    assert get(viewer, "/queues/words/items?key=k00001").json()[0]["status"] == "parked"
    assert get(viewer, "/queues/words/items?status=lost").status_code == 422


def test_parked_items_are_put_back_or_dropped_and_done_ones_purged(operator: Client, caller: Caller) -> None:
    parked(5)
    assert post(operator, "/queues/words/put-back", {"key": "k00001"}).json() == {"items": 1}
    assert post(operator, "/queues/words/put-back", {"like": "422"}).json() == {"items": 1}
    admin = caller("admin")
    assert post(admin, "/queues/words/drop", {}).json() == {"items": 3}
    assert admin.delete("/api/v1/queues/words/items?status=waiting").json() == {"items": 2}
    assert admin.delete("/api/v1/queues/words/items?status=taken").status_code == 422
    assert not Item.objects.exists()
