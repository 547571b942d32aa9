"""The one clock: the database's, so that processes on several hosts agree on what has expired."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection

KEPT_SECONDS: Final = 10.0
"""For so long who only reads goes on from what the database said last; the two clocks drift far less than a
millisecond meanwhile."""
_TICKS: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""It goes on while the machine sleeps."""
_reads: ContextVar[bool] = ContextVar("reads", default=False)
_said: list[tuple[datetime, float]] = []


def now() -> datetime:
    """The present time, aware UTC. Doors call it once and pass it on."""
    if connection.vendor != "postgresql":
        return datetime.now(UTC)  # an embedded database has one host, whose clock is ours
    if _reads.get() and (known := _since_said()):
        return known
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (at,) = cursor.fetchone()
    found: datetime = at.astimezone(UTC)
    _said[:] = [(found, time.clock_gettime(_TICKS))]
    return found


@contextmanager
def for_reading() -> Iterator[None]:
    """Within it the database is asked for the time now and then only: what one reads about moves nothing."""
    token = _reads.set(True)
    try:
        yield
    finally:
        _reads.reset(token)


def _since_said() -> datetime | None:
    at, ticks = _said[0] if _said else (None, 0.0)
    passed = time.clock_gettime(_TICKS) - ticks
    return at + timedelta(seconds=passed) if at and 0 <= passed < KEPT_SECONDS else None
