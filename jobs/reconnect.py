"""A database that is away, restarts or hangs: what it says then, and how whoever needs it goes on.

A connection that broke is not used again: on it each further try would fail, forever.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from django.db import DEFAULT_DB_ALIAS, Error, InterfaceError, OperationalError, connection, connections

T = TypeVar("T")

AWAY: Final = (OperationalError, InterfaceError)
"""What a database says that is away, restarted, locked or too slow; never the fault of what was asked."""
PAUSE_SECONDS: Final = 0.2
PATIENCE: Final = "patience_seconds"
"""What our own PostgreSQL connections have; others do not look at it."""


def reconnect() -> None:
    """This thread's next question gets a new connection; within a transaction nothing changes, its end sees to it."""
    if not connection.in_atomic_block:
        connection.close()


def patiently(ask: Callable[[], T], *, is_over: Callable[[], bool]) -> T:
    """The answer, asked for again on a new connection while the database is away; its error when that is over."""
    while True:
        try:
            return ask()
        except AWAY:
            reconnect()
            if is_over():
                raise
            time.sleep(PAUSE_SECONDS)


def attempt(do: Callable[[], object], *, what: str, log: logging.Logger) -> bool:
    """One turn of a loop that must not end: an error is told in the log as `what` failing, and answered with False."""
    try:
        do()
    except Error as error:
        log.warning("%s could not reach the database: %s", what, " ".join(str(error).split()))
        reconnect()
        return False
    except Exception:
        log.exception("%s met an error and goes on.", what)
        return False
    return True


def wait_at_most(seconds: float, alias: str = DEFAULT_DB_ALIAS) -> None:
    """From now on this thread waits no longer for an answer of PostgreSQL; 0: as long as it takes."""
    setattr(connections[alias], PATIENCE, seconds)
    if not connections[alias].in_atomic_block:
        connections[alias].close()


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have passed since this call."""
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline
