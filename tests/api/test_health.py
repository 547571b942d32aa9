from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client

from jobs import clock
from jobs.models import Worker
from tests import live
from tests.api.conftest import get


@pytest.fixture
def broker(tmp_path_factory, settings) -> Iterator[None]:
    """A real broker on a socket of its own."""
    settings.REDIS_URL = f"unix://{tmp_path_factory.mktemp('broker')}/s"
    with live.redis():
        yield


def make_worker() -> None:
    at = clock.now()
    Worker.objects.create(name="w", host="h", pid=1, slots=4, started_at=at, heartbeat_at=at - timedelta(seconds=1))


def test_all_is_well_with_a_database_a_broker_and_a_worker(broker) -> None:
    make_worker()
    answer = get(Client(), "/health")
    assert answer.status_code == 200
    assert {**answer.json(), "version": ""} == {
        "status": "ok",
        "version": "",
        "database": "ok",
        "broker": "ok",
        "workers": 1,
    }


def test_without_a_worker_it_is_degraded(broker) -> None:
    answer = get(Client(), "/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


def test_without_a_broker_it_is_down_and_says_so_at_once(settings, tmp_path) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/nobody"
    make_worker()
    answer = get(Client(), "/health")
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["broker"]) == ("down", "unreachable")
    assert str(tmp_path) not in answer.content.decode()


def test_a_broker_that_hears_but_does_not_answer_is_not_waited_for(settings, tmp_path) -> None:
    deaf = socket.socket(socket.AF_UNIX)
    deaf.bind(str(tmp_path / "deaf"))
    deaf.listen()
    settings.REDIS_URL = f"unix://{tmp_path}/deaf"
    assert get(Client(), "/health").json()["broker"] == "unreachable"
    deaf.close()


def test_health_needs_no_name_and_minds_no_wrong_one() -> None:
    assert get(Client(), "/health", headers={"Authorization": "Bearer wrong"}).status_code in (200, 503)
