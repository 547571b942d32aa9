"""How a worker takes a step."""

from __future__ import annotations

import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from jobs.child.link import Link
from jobs.child.supervise import supervise
from jobs.child.supervision import Supervision
from jobs.states import Status
from jobs.steps.hand_on import Claim
from jobs.steps.leases import LEASES
from jobs.steps.node_facts import StopReason
from jobs.steps.verdict import Stage, Stop
from tests.factories import AT, make_run

pytestmark = pytest.mark.django_db


def test_while_the_database_is_away_a_step_is_left_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    step = make_run().steps.get()

    def is_away(*_: Any) -> Any:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(is_away):
        assert supervise(step.pk, worker_name="w1") is False
    step.refresh_from_db()
    assert step.status == Status.QUEUED
    assert "waits for the reconciler, the database is away: server closed the connection" in caplog.text


def test_a_stop_waits_for_no_database() -> None:
    step = make_run().steps.get()
    token = step.claim(at=AT, worker_name="w1", lease=timedelta(minutes=1))

    def is_away(*_: Any) -> Any:
        raise OperationalError("server closed the connection unexpectedly")

    ours, theirs = socket.socketpair()
    with ours, theirs, LEASES.hold(step, token, since=0.0) as hold:
        link = Link()
        link._connection = ours
        supervision = Supervision(Claim(step, token), hold, link, "w1")
        with connection.execute_wrapper(is_away):
            supervision._press(Stop(StopReason.CANCEL, stage=Stage.INTERRUPT, next_at=time.monotonic() + 10))
        assert b'"stop_asked"' in theirs.recv(10_000)
    (stage,) = supervision.collector.writer.facts["stops"]
    assert stage["stage"] == "interrupt" and stage["at"] < stage["next_at"]


def test_a_run_whose_folder_cannot_be_made_says_so(settings: Any, tmp_path: Path) -> None:
    step = make_run().steps.get()
    settings.VAR = tmp_path
    (tmp_path / "runs").write_text("a file in the place of the folder")
    assert supervise(step.pk, worker_name="w1")
    step.refresh_from_db()
    assert step.status == Status.FAILED
    assert "The folder of the run cannot be made: " in step.error and str(tmp_path / "runs") in step.error
