"""Attacks on who somebody is: each is refused, with the right status, and nothing leaks."""

from __future__ import annotations

import json

import pytest
from django.test import Client

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
