from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client

from console.tree import starting
from jobs import clock
from jobs.models import StoreCheck, Worker
from tests import live
from tests.api.conftest import get, post
from tests.factories import make_project


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
        "artifact_store": "unchecked",
        "workers": 1,
    }


def test_a_store_that_is_away_is_told_as_a_worker_heard_it_and_only_while_that_is_news(broker) -> None:
    make_worker()
    at = clock.now()
    StoreCheck.objects.note("h", "Nobody listens at /secret.", at)
    answer = get(Client(), "/health").json()
    assert (answer["status"], answer["artifact_store"]) == ("degraded", "unreachable")
    assert "runs go on" in answer["missing"][0] and "secret" not in str(answer)
    StoreCheck.objects.note("h", "", at)
    answer = get(Client(), "/health").json()
    assert (answer["status"], answer["artifact_store"]) == ("ok", "ok")
    StoreCheck.objects.update(at=at - timedelta(minutes=10))
    assert get(Client(), "/health").json()["artifact_store"] == "unchecked"


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


def test_a_project_that_cannot_be_read_is_named_and_blocks_nobody(broker) -> None:
    make_worker()
    problem = {"severity": "error", "subject": "project", "sentence": "/srv/secret is gone."}
    make_project(trouble=[problem], unread=["*"])
    answer = get(Client(), "/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["missing"] == ["The project shop cannot be read: `project check shop` says why."]


def test_what_is_still_being_started_is_named_with_a_time_to_ask_again(broker, settings, tmp_path) -> None:
    settings.VAR = tmp_path
    make_worker()
    begun = starting.begin(tmp_path, ["The projects are being read.", "No worker is alive."])
    answer = get(Client(), "/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "starting")
    assert answer.headers["Retry-After"]
    assert answer.json()["missing"] == ["The projects are being read.", "No worker is alive."]
    starting.tell(begun, ["No worker is alive."])
    assert get(Client(), "/health").json()["missing"] == ["No worker is alive."]
    os.close(begun)
    assert get(Client(), "/health").json()["status"] == "ok"


def test_a_pipeline_that_is_unknown_while_the_projects_are_read_is_not_refused_for_good(
    operator, settings, tmp_path
) -> None:
    settings.VAR = tmp_path
    begun = starting.begin(tmp_path, ["The projects are being read."])
    answer = post(operator, "/jobs", {"pipeline_name": "report"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    os.close(begun)
    assert post(operator, "/jobs", {"pipeline_name": "report"}).status_code == 404


def test_whoever_starts_the_console_and_dies_leaves_nothing_that_says_so(tmp_path) -> None:
    code = "import sys, time; from pathlib import Path; from console.tree import starting;"
    code += "starting.begin(Path(sys.argv[1]), ['x']); print('begun', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=live.ROOT) as other:
        assert other.stdout and other.stdout.readline() == b"begun\n"
        assert starting.left(tmp_path) == ["x"]
        other.kill()
    assert starting.left(tmp_path) == []
