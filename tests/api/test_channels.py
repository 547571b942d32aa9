"""Channels, subscriptions and deliveries over the API: each for its owner, and never more than the token may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from console.models import ApiToken
from jobs.models import Act, Channel, Delivery, Subscription
from jobs.telling.deliver import deliver
from tests.api.conftest import get, post
from tests.factories import AT, make_pipeline, make_run, make_user
from tests.receivers import hook_server

pytestmark = pytest.mark.django_db

HOOK = {"name": "hook", "kind": "webhook", "address": "https://hooks.example.org/x?token=canary", "is_shared": True}


def patch(client: Client, path: str, body: object) -> Any:
    return client.patch(f"/api/v1{path}", body, content_type="application/json")


def delete(client: Client, path: str) -> Any:
    return client.delete(f"/api/v1{path}")


def token_of(name: str, role: str, of: str, **facts: Any) -> Client:
    user = make_user(name, of, **facts)
    _, secret = ApiToken.objects.create(user, timedelta(days=1), role=role)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def test_an_admin_makes_changes_and_deletes_one_whose_address_is_never_told(caller: Any) -> None:
    admin = caller("admin")
    made = post(admin, "/channels", HOOK).json()
    assert len(made["secret"]) > 30 and (made["state"], made["owner"]) == ("unused", None)
    path = f"/channels/{made['id']}"
    changed = patch(admin, path, {"name": "other", "is_enabled": False}).json()
    assert (changed["name"], changed["state"]) == ("other", "off")
    answers = [made | {"secret": ""}, changed, get(admin, "/channels").json(), get(admin, path).json()]
    assert "canary" not in str(answers) and changed["address"] == "https://hooks.example.org/…"
    assert Channel.objects.get().address == HOOK["address"], "an address that is left out stays"
    assert [act.verb for act in Act.objects.order_by("id")] == ["added", "changed"]
    assert "canary" not in str(list(Act.objects.values()))
    assert delete(admin, path).status_code == 204 and get(admin, path).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator"])
def test_who_is_no_admin_has_mail_to_the_own_address_alone(role: str) -> None:
    client = token_of("vera", role, role, email="vera@example.org")
    assert post(client, "/channels", HOOK).status_code == 403
    mail = {"name": "me", "kind": "mail", "address": "boss@example.org"}
    assert "vera@example.org" in post(client, "/channels", mail).json()["errors"]["address"]
    assert post(client, "/channels", mail | {"address": "vera@example.org"}).status_code == 201


def test_a_token_is_allowed_no_more_than_its_role(caller: Any) -> None:
    shared = post(caller("admin"), "/channels", HOOK).json()["id"]
    weak = token_of("boss", "viewer", "admin", email="boss@example.org")
    assert get(weak, "/channels").json() == [] and delete(weak, f"/channels/{shared}").status_code == 404
    mail = {"name": "x", "kind": "mail", "address": "other@example.org"}
    assert post(weak, "/channels", mail).status_code == 422
    asked = post(weak, "/subscriptions", {"kinds": ["failing"], "channels": [shared]})
    assert asked.status_code == 422 and "not yours" in asked.json()["errors"]["channels"]


def test_shared_channels_are_for_operators(caller: Any, operator: Client, viewer: Client) -> None:
    shared = post(caller("admin"), "/channels", HOOK).json()["id"]
    assert [row["id"] for row in get(operator, "/channels").json()] == [shared] and get(
        viewer, "/channels"
    ).json() == []
    assert post(operator, "/subscriptions", {"kinds": ["worker"], "channels": [shared]}).status_code == 201
    assert post(viewer, "/subscriptions", {"kinds": ["worker"], "channels": [shared]}).status_code == 422
    assert patch(operator, f"/channels/{shared}", {"name": "x"}).status_code == 403
    assert post(operator, f"/channels/{shared}/test").status_code == 403


def test_a_test_is_sent_and_its_delivery_says_what_came_of_it(caller: Any, viewer: Client, settings: Any) -> None:
    settings.CONSOLE_CHANNEL_NETWORKS = ["127.0.0.0/8"]
    admin = caller("admin")
    with hook_server() as hook:
        made = post(admin, "/channels", HOOK | {"address": hook.url}).json()
        asked = post(admin, f"/channels/{made['id']}/test")
        assert asked.status_code == 202 and asked.json()["status"] == "waiting"
        assert deliver(asked.json()["id"], Delivery.objects.get().due_at)
    (row,) = get(admin, f"/deliveries?channel={made['id']}").json()
    assert (row["status"], row["answer"], row["next_try_at"], row["attempts"]) == ("sent", "HTTP 200 ok", None, 1)
    assert get(admin, "/deliveries?status=failed").json() == [] and get(viewer, "/deliveries").json() == []


def test_everybody_has_their_own_subscriptions(viewer: Client, operator: Client) -> None:
    make_pipeline()
    body = {"pipeline": "shop/report", "kinds": ["late", "failing"], "expected_by": "06:30", "zone": "Europe/Berlin"}
    made = post(viewer, "/subscriptions", body).json()
    assert (made["pipeline"], made["project"], made["expected_by"]) == ("report", "shop", "06:30")
    path = f"/subscriptions/{made['id']}"
    assert get(operator, path).status_code == 404 and get(operator, "/subscriptions").json() == []
    assert delete(operator, path).status_code == 404
    muted = patch(viewer, path, {"muted_until": "2030-01-01T00:00:00Z", "pipeline": None, "project": "shop"})
    assert muted.status_code == 422 and "pipeline" in muted.json()["errors"]["expected_by"]
    muted = patch(viewer, path, {"muted_until": "2030-01-01T00:00:00Z", "kinds": ["failing"]}).json()
    assert muted["muted_until"].startswith("2030") and Subscription.objects.get().is_looked_for is False
    assert delete(viewer, path).status_code == 204 and not Subscription.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kinds"),
        ({"kinds": []}, "kinds"),
        ({"kinds": ["faling"]}, "kinds"),
        ({"kinds": ["channel"]}, "kinds"),
        ({"kinds": ["file"]}, "file_name"),
        ({"kinds": ["late"]}, "expected_by"),
        ({"kinds": ["late"], "expected_by": "6 o'clock"}, "expected_by"),
        ({"kinds": ["failing"], "zone": "Mars/Base"}, "zone"),
        ({"kinds": ["failing"], "zone": "../../etc/passwd"}, "zone"),
        ({"kinds": ["failing"], "quiet_from": "22:00"}, "quiet_until"),
        ({"kinds": ["failing"], "subject": "{pipelin}"}, "subject"),
        ({"kinds": ["failing"], "channels": [99]}, "channels"),
        ({"kinds": ["failing"], "expected_days": "8"}, "expected_days"),
        ({"kinds": ["failing"], "every": 1}, "every"),
        ({"kinds": ["failing"], "chanels": []}, "chanels"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence_on_its_field(viewer: Client, body: Any, field: str) -> None:
    answer = post(viewer, "/subscriptions", body)
    assert answer.status_code == 422 and any(name.startswith(field) for name in answer.json()["errors"])
    assert not Subscription.objects.exists()


def test_a_preview_says_what_a_real_run_would_bring(viewer: Client) -> None:
    run = make_run(make_pipeline(), at=AT)
    made = post(viewer, "/subscriptions", {"kinds": ["failing"], "subject": "{pipeline} #{run}"}).json()
    (words,) = get(viewer, f"/subscriptions/{made['id']}/preview?run={run.pk}").json()
    assert words["subject"] == f"report #{run.pk}" and f"/runs/{run.pk}/" in words["body"]
    assert get(viewer, f"/subscriptions/{made['id']}/preview?run=999").status_code == 404


def test_a_program_without_a_token_is_nobody(settings: Any) -> None:
    settings.CONSOLE_ANONYMOUS_API = "operator"
    client = Client()
    assert [get(client, path).json() for path in ("/subscriptions", "/deliveries", "/channels")] == [[], [], []]
    refused = post(client, "/subscriptions", {"kinds": ["failing"]})
    assert refused.status_code == 403 and "a token" in refused.json()["detail"]
