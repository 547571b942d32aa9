"""Only one at a time prepares a database, wherever it was started, and none stands in the way of a running system."""

from __future__ import annotations

import fcntl
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from django.db import connection
from django.db.backends.utils import CursorWrapper

from jobs.errors import PlatformError
from jobs.reconnect import AWAY, for_seconds, reconnect

T = TypeVar("T")

NUMBER: Final = 0x6B6564726F
"""Of the advisory lock on PostgreSQL; anything that no other program would take."""
TURN_SECONDS: Final = 1800.0
TRY_SECONDS: Final = 300.0
LOOK_SECONDS: Final = 0.3
WAITS: Final = "Another process is preparing this database: waiting for it."


def in_turn(work: Callable[[], T], say: Callable[[str], None]) -> T:
    """What `work` brings, done while nobody else prepares; again while the database is away or its tables are in use.

    PlatformError when that does not end.
    """
    is_over, said = for_seconds(TURN_SECONDS), ""
    while True:
        try:
            with taken(say):
                is_over = for_seconds(TRY_SECONDS) if not said else is_over
                return work()
        except AWAY as error:
            reconnect()
            why = " ".join(str(error).split())
            if is_over():
                raise PlatformError(f"The database could not be prepared within {TRY_SECONDS:.0f} s: {why}") from error
            if why != said:
                say(f"The database is in use or unavailable, trying again: {why}")
                said = why
            time.sleep(random.uniform(0.2, 1.0))  # noqa: S311 - no secret


@contextmanager
def taken(say: Callable[[str], None]) -> Iterator[None]:
    """The turn is ours within the block, and free again with our process, however it ends."""
    with (_advisory if connection.vendor == "postgresql" else _beside_the_file)(say):
        yield


@contextmanager
def _advisory(say: Callable[[str], None]) -> Iterator[None]:
    """A session of its own: a lock of the one that migrates would be lost with each new try."""
    session = connection.copy()
    try:
        with session.cursor() as cursor:
            _wait(lambda: _is_given(cursor), say)
            yield
    finally:
        session.close()


def _is_given(cursor: CursorWrapper) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [NUMBER])
    return bool(cursor.fetchone()[0])


@contextmanager
def _beside_the_file(say: Callable[[str], None]) -> Iterator[None]:
    name = str(connection.settings_dict["NAME"])
    with Path(f"{name}.prepare").open("ab") as file:

        def is_given() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        _wait(is_given, say)
        yield


def _wait(is_given: Callable[[], bool], say: Callable[[str], None]) -> None:
    is_over, is_said = for_seconds(TURN_SECONDS), False
    while not is_given():
        if not is_said:
            say(WAITS)
            is_said = True
        if is_over():
            raise PlatformError(
                f"Another process has been preparing this database for {TURN_SECONDS / 60:.0f} minutes."
            )
        time.sleep(LOOK_SECONDS)
