"""What nodes asked of outside APIs becomes rows beside the run, and never harms it."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError

from jobs import requests
from jobs.errors import NotNow, RequestError
from jobs.models import Event, LogChunk, RequestCount, RequestRecord
from jobs.resends.replay import start_replay
from jobs.states import RequestStatus
from kedro_console import wire
from tests.factories import AT
from tests.jobs.requests_made import NOW, collected, made
from tests.jobs.steps.collecting import collecting, folder_of
from tests.records import a_request

pytestmark = pytest.mark.django_db


def test_counts_add_up_over_flushes_and_nodes() -> None:
    collector = collected(wire.RequestsCounted(NOW, [["fetch", "api", 200, 3, 0.5], ["fetch", "api", 429, 1, 0.1]]))
    collector.take(wire.RequestsCounted(NOW, [["fetch", "api", 200, 2, 0.25]]))
    collector.writer.flush()
    rows = requests.by_node(collector.writer.step.run)
    assert [(row["status_code"], row["count"], row["seconds"]) for row in rows] == [(200, 5, 0.75), (429, 1, 0.1)]
    assert requests.counts(collector.writer.step.run) == {"total": 6, "failed": 0}


def test_attempts_of_one_call_are_one_record_that_its_success_closes() -> None:
    call, other = uuid4().hex, uuid4().hex
    attempts = [{"at": NOW, "seconds": 0.1, "status": 503, "error": ""}] * 2
    collector = collected(made(call), made(other, host="else", status=0, exception="httpx.ConnectError"))
    collector.take(made(call, attempts=attempts))
    collector.take(wire.RequestRecovered(NOW, call, "fetch", attempts * 2))
    collector.writer.flush()
    first, second = RequestRecord.objects.order_by("pk")
    assert (first.status, len(first.attempts), first.reason) == (RequestStatus.RECOVERED, 4, "503")
    assert (second.status, second.reason) == (RequestStatus.OPEN, "ConnectError")
    assert requests.counts(collector.writer.step.run)["failed"] == 1
    assert [(row["host"], row["count"]) for row in requests.groups()] == [("else", 1)]
    assert not Event.objects.filter(kind__startswith="request").exists()


def test_records_that_cannot_be_written_are_said_beside_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        RequestCount.objects.create(run_id=-1, step_id=-1, status_code=1)
        raise IntegrityError

    collector = collecting()
    monkeypatch.setattr(requests.Taken, "_write_records", refuse)
    collector.take(made(uuid4().hex))
    collector.take(wire.NodeStarted(NOW, "fetch"))
    collector.writer.flush()
    collector.writer.flush()
    assert Event.objects.filter(kind="node_started").exists() and not RequestRecord.objects.exists()
    texts = [line[5] for chunk in LogChunk.objects.all() for line in chunk.content]
    assert any("are not recorded" in text and "not affected" in text for text in texts)


def test_dismissing_takes_a_record_out_of_the_inbox_once() -> None:
    collected(made(uuid4().hex), made(uuid4().hex))
    first, second = RequestRecord.objects.order_by("pk")
    first.dismiss(at=AT, by="olga", why="known outage")
    assert (first.status, first.settled_by, first.settled_why) == ("dismissed", "olga", "known outage")
    with pytest.raises(RequestError, match="somebody else has dealt with it"):
        first.dismiss(at=AT, by="pia", why="again")
    assert list(RequestRecord.objects.like(second)) == [second]


def test_old_records_are_pruned() -> None:
    collected(made(uuid4().hex))
    assert requests.prune_requests(AT + timedelta(days=89)) == 0
    assert requests.prune_requests(AT + timedelta(days=91)) == 1
    assert not RequestRecord.objects.exists()


def test_a_request_is_in_one_replay_at_a_time() -> None:
    record = a_request()
    first = start_replay([record], at=AT)
    with pytest.raises(NotNow, match="already being replayed"):
        start_replay([record], at=AT)
    first.cancel(at=AT)
    assert start_replay([record], at=AT).total == 1


def test_of_a_file_that_a_node_keeps_twice_under_one_name_the_last_counts() -> None:
    collector = collecting()
    for content in (b"1", b"2"):
        path = folder_of(collector) / content.decode()
        path.write_bytes(content)
        kept = wire.KeptFile(str(path), "found.json", 1, hashlib.sha256(content).hexdigest(), "application/json")
        collector.take(wire.FileKept(NOW, "fetch", kept))
    (row,) = collector.files.artifacts
    assert (row["name"], row["node"], row["sha256"]) == ("found.json", "fetch", hashlib.sha256(b"2").hexdigest())
