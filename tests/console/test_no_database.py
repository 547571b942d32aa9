"""What is answered while the database is not ready, or does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from console import no_database
from tests.views.scenes import logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def unready(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As a start of the pages leaves it that found the database not migrated."""
    monkeypatch.setattr(no_database, "LOOK_SECONDS", 0.0)
    MigrationRecorder(connection).record_unapplied("jobs", "0001_initial")
    no_database.READY.clear()
    yield
    no_database.READY.set()


def test_a_page_says_that_it_is_not_ready_and_when_to_ask_again(unready: None) -> None:
    answer = Client().get("/login/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert b"The console is not ready" in answer.content


def test_the_api_says_it_as_json_and_health_speaks_for_itself(unready: None) -> None:
    answer = Client().get("/api/v1/jobs")
    assert (answer.status_code, answer.json()) == (503, {"detail": no_database.NOT_YET})
    assert "database" in Client().get("/api/v1/health").json()


def test_once_it_is_ready_nobody_looks_any_more(unready: None) -> None:
    assert Client().get("/login/").status_code == 503
    MigrationRecorder(connection).record_applied("jobs", "0001_initial")
    assert Client().get("/login/").status_code == 200
    with patch("jobs.schema.obstacle", side_effect=AssertionError):
        assert Client().get("/login/").status_code == 200


def test_a_page_that_the_database_does_not_answer_is_503() -> None:
    client = logged_in("viewer")
    with patch("console.views.home._shown", side_effect=OperationalError("the connection is closed")):
        answer = client.get("/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
