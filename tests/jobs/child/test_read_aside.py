"""A question that needs a stored file does not hold up who answers, and waits for the store."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from jobs import clock
from jobs.child.read_aside import ReadAside
from jobs.models import Replay, Resend, Step, Upload
from jobs.states import ResendStatus, Status
from kedro_console import wire
from tests import live
from tests.factories import make_run
from tests.records import a_request

pytestmark = pytest.mark.django_db(transaction=True)

SHA256 = "a" * 64


@pytest.fixture
def step() -> Step:
    """Of a run that goes on from an answer which is kept on a machine whose store does not have it."""
    run, at = make_run(), clock.now()
    record = a_request(run)
    replay = Replay.objects.create(created_at=at, total=1)
    facts = {"record": record, "replay": replay, "position": 0, "followed_by": run, "sha256": SHA256}
    Resend.objects.create(status=ResendStatus.SUCCEEDED, status_code=200, **facts)
    lease = {"lease_token": uuid.uuid4(), "lease_expires_at": at + timedelta(minutes=1)}
    Step.objects.filter(run=run).update(status=Status.RUNNING, started_at=at, **lease)
    return Step.objects.get(run=run)


def kept_at(path: Path) -> None:
    facts = {"sha256": SHA256, "name": "answer", "size_bytes": 4, "path": str(path), "host": "other"}
    Upload.objects.create(due_at=clock.now(), created_at=clock.now(), **facts)


def asking(step: Step, heard: list[str]) -> ReadAside:
    assert step.lease_token
    asked = wire.Asked(at=0.0, number=7, what=wire.ReadAnswer.what, node="fetch", data={"place": 0, "start": 0})
    aside = ReadAside(step, step.lease_token, asked, lambda: heard.append("wake"))
    aside.start()
    return aside


def test_it_waits_for_the_file_and_then_wakes_who_waits(step: Step, tmp_path: Path) -> None:
    kept_at(tmp_path / "answer")
    heard: list[str] = []
    aside = asking(step, heard)
    aside.join(0.5)
    assert aside.is_alive() and aside.result() is None and not heard
    (tmp_path / "answer").write_bytes(b"late")
    live.until(lambda: heard, what="the reply")
    reply = aside.result()
    assert reply and reply.number == 7 and "late" in str(reply.data)
    aside.join()


def test_who_is_given_up_ends(step: Step, tmp_path: Path) -> None:
    kept_at(tmp_path / "answer")
    aside = asking(step, [])
    aside.give_up()
    aside.join(20)
    assert not aside.is_alive() and aside.result() is None
