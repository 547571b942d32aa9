"""Attacks on who somebody is: each is refused, with the right status, and nothing leaks."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from knox.crypto import hash_token

from console.models import ApiToken
from jobs.models import Run
from tests.factories import make_run, make_user
from tests.views.scenes import logged_in

pytestmark = pytest.mark.django_db


def test_a_session_that_was_planted_is_not_the_one_that_is_logged_in() -> None:
    client = Client()
    client.get("/login/")
    client.cookies["sessionid"] = "planted" * 4
    user = make_user("mia", "viewer")
    user.set_password("a-long-password-1")
    user.save()
    answer = client.post("/login/", {"username": "mia", "password": "a-long-password-1"})
    assert answer.status_code == 302
    assert client.cookies["sessionid"].value != "planted" * 4
    thief = Client()
    thief.cookies["sessionid"] = "planted" * 4
    assert thief.get("/runs/").status_code == 302


def test_a_session_ends_for_good_when_its_owner_leaves() -> None:
    client = logged_in("viewer")
    stolen = client.cookies["sessionid"].value
    client.post("/logout/")
    thief = Client()
    thief.cookies["sessionid"] = stolen
    assert thief.get("/runs/")["Location"].startswith("/login/")


@pytest.mark.parametrize(
    "field", ["status", "cause", "requested_by", "owner", "user_id", "created_at", "uuid", "id", "root", "result"]
)
def test_no_field_of_a_run_can_be_given_from_outside(field: str) -> None:
    make_run()
    body = json.dumps({"pipeline_name": "report", field: "1"})
    answer = logged_in("operator").post("/api/v1/jobs", body, content_type="application/json")
    assert answer.status_code == 422 and field in answer.json()["errors"]
    assert Run.objects.count() == 1


@pytest.mark.parametrize("address", ["/", "/runs/", "/admin/", "/login/", "/api/v1/health", "/share/none/"])
def test_no_page_can_be_framed_or_guessed_to_be_another_type(address: str) -> None:
    answer = logged_in("admin").get(address)
    assert answer["X-Frame-Options"] == "DENY" and answer["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "169.254.169.254"])
def test_a_name_that_was_rebound_to_this_machine_gets_no_page(host: str, settings: Any) -> None:
    """A page of that name would read ours, with the session of whoever is logged in here."""
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
    client = logged_in("operator")
    for path in ("/", "/runs/", "/login/", "/admin/", "/api/v1/jobs"):
        answer = client.get(path, HTTP_HOST=host, REMOTE_ADDR="127.0.0.1")
        assert answer.status_code == 400, path
        assert "sidebar" not in answer.content.decode() and not answer.cookies


def test_no_part_of_a_token_is_compared() -> None:
    """It is found by its digest: one question, the same for a guess that is nearly right and for any other."""
    _, secret = ApiToken.objects.create(make_user(), timedelta(days=1), role="viewer")
    asked = []
    for guess in (secret[:-1] + ("0" if secret[-1] != "0" else "1"), "0" * len(secret)):
        with CaptureQueriesContext(connection) as queries:
            answer = Client(headers={"Authorization": f"Bearer {guess}"}).get("/api/v1/jobs")
        assert answer.status_code == 401
        found = [each["sql"] for each in queries if "apitoken" in each["sql"].lower()]
        assert not any(guess[:8] in sql for sql in found)
        asked.append([sql.replace(hash_token(guess), "DIGEST") for sql in found])
    assert asked[0] == asked[1] and len(asked[0]) == 1 and "DIGEST" in asked[0][0]
