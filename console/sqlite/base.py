"""SQLite lets one connection write at a time, and who finds it taken sleeps up to 100 ms before it looks again.

Within a process a lock is fairer and wakes the next thread at once: with eight of them writing, a distributed step took
ten times as long without it. Other processes still meet at SQLite's own lock.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from django.db.backends.sqlite3 import base

PATIENCE_SECONDS: Final = 20.0
"""Then the transaction begins without its turn, and SQLite itself says that the database is locked."""


class Turn:
    """Who of this process's threads may be in a transaction."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.lock = threading.Lock()


TURN: Final = Turn()
os.register_at_fork(after_in_child=TURN.renew)


if TYPE_CHECKING:  # Django has these, its stubs do not

    class _Django(base.DatabaseWrapper):
        def _start_transaction_under_autocommit(self) -> None: ...
        def _commit(self) -> None: ...
        def _rollback(self) -> None: ...

else:
    _Django = base.DatabaseWrapper


class DatabaseWrapper(_Django):
    """A connection that holds the turn from the beginning of a transaction to its end."""

    _held: threading.Lock | None = None

    def _start_transaction_under_autocommit(self) -> None:
        self._take()
        try:
            super()._start_transaction_under_autocommit()
        except BaseException:
            self._give()
            raise

    def _commit(self) -> None:
        try:
            super()._commit()
        finally:
            self._give()

    def _rollback(self) -> None:
        try:
            super()._rollback()
        finally:
            self._give()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._give()  # also within a transaction: SQLite itself has ended it now

    def _take(self) -> None:
        lock = TURN.lock
        if self._held is None and lock.acquire(timeout=PATIENCE_SECONDS):
            self._held = lock

    def _give(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            held.release()
