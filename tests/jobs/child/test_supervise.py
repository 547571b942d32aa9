"""How a worker takes a step."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection

from jobs.child.supervise import supervise
from jobs.states import Status
from tests.factories import make_run

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
