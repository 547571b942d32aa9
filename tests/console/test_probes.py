"""What watches over the pages is answered by them: for any Host, without a login, truly."""

from __future__ import annotations

import os
import threading
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from console import probes
from console.tree import starting

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "ASK_AGAIN_SECONDS", 0.0)


@pytest.mark.parametrize("path", ["/live", "/ready"])
@pytest.mark.parametrize("host", ["10.42.0.17:8000", "web.kedro-console.svc", "not_a_name", "", "user:pw@x", "[::1]:1"])
def test_any_host_is_answered(path: str, host: str) -> None:
    answer = Client(headers={"host": host}).get(path)
    assert answer.status_code == 200
    assert not answer.cookies


def test_other_pages_still_want_a_host_of_ours() -> None:
    assert Client(headers={"host": "10.42.0.17"}).get("/login/").status_code == 400


def test_a_database_that_is_not_migrated_is_not_ready_and_yet_alive() -> None:
    MigrationRecorder(connection).record_unapplied("jobs", "0001_initial")
    answer = Client().get("/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "missing": [probes.NOT_MIGRATED]})
    assert Client().get("/live").status_code == 200
    MigrationRecorder(connection).record_applied("jobs", "0001_initial")
    assert Client().get("/ready").status_code == 200


def test_a_database_that_is_away_is_not_ready_and_yet_alive() -> None:
    with patch("jobs.schema.missing", side_effect=OperationalError("password authentication failed for console")):
        answer = Client().get("/ready")
        assert Client().get("/live").status_code == 200
    assert (answer.status_code, answer.json()["missing"]) == (503, [probes.NO_ANSWER])


def test_what_up_still_has_to_do_is_missing(settings, tmp_path) -> None:
    settings.VAR = tmp_path
    held = starting.begin(tmp_path, ["The projects are being read."])
    assert Client().get("/ready").json()["missing"] == ["The projects are being read."]
    starting.tell(held, [])
    os.close(held)
    assert Client().get("/ready").status_code == 200


def test_many_who_probe_ask_the_database_once(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(probes, "ASK_AGAIN_SECONDS", 60.0)
    client = Client()
    assert client.get("/ready").status_code == 200
    with django_assert_num_queries(0):
        assert {client.get(path).status_code for path in ("/ready", "/live") * 20} == {200}


def test_a_database_that_hangs_holds_one_who_probes_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "PATIENCE_SECONDS", 0.05)
    entered, leave = threading.Event(), threading.Event()

    def hangs() -> bool:
        entered.set()
        leave.wait(30)
        return True

    client = Client()
    assert client.get("/live").status_code == 200
    with patch("jobs.schema.schema_is_current", hangs):
        first = threading.Thread(target=client.get, args=("/ready",))
        first.start()
        assert entered.wait(30)
        assert client.get("/ready").json()["missing"] == [probes.NO_ANSWER]
        assert client.get("/live").status_code == 200
        leave.set()
        first.join(30)
