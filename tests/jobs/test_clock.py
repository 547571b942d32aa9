"""The database's clock: asked by whoever moves something, and now and then by whoever reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import clock

pytestmark = pytest.mark.django_db
NEAR = timedelta(seconds=2)


def questions(times: int) -> int:
    with CaptureQueriesContext(connection) as asked:
        moments = [clock.now() for _ in range(times)]
    assert moments == sorted(moments) and abs(moments[-1] - datetime.now(UTC)) < NEAR
    return len(asked.captured_queries)


def test_who_moves_something_asks_each_time_who_reads_now_and_then() -> None:
    is_server = connection.vendor == "postgresql"
    assert questions(3) == 3 * is_server
    with clock.for_reading():
        assert questions(5) == 0
        clock._said.clear()
        assert questions(5) == is_server
    assert questions(1) == is_server


def test_what_was_said_long_ago_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock.now()
    monkeypatch.setattr(clock, "KEPT_SECONDS", 0.0)
    with clock.for_reading():
        assert questions(2) == 2 * (connection.vendor == "postgresql")
