"""PostgreSQL whose answers are not waited for without end: a server that hangs, or a link that was cut, is an error.

Only the client can notice that: to the kernel the connection looks sound as long as nobody closes it.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from psycopg.errors import OperationalError

GRACE_SECONDS: Final = 2.0
"""How much longer than the server's own limit, which ends a statement without ending the session."""
IDLE_SECONDS: Final = 15
"""A process that sleeps within a transaction holds its locks no longer than this."""


class Session(psycopg.Connection[Any]):
    """A session that is given up when an answer takes longer than `patience_seconds`; 0: never."""

    patience_seconds: float = 0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, timeout or self.patience_seconds or None)
        except psycopg.errors.IdleInTransactionSessionTimeout as error:
            raise OperationalError(str(error)) from error  # a lost session like any other
        except psycopg.errors._WaitTimeout as error:
            if timeout is not None:
                raise
            self.pgconn.finish()  # its state is not known, and another question would get this one's answer
            raise OperationalError(f"the server did not answer within {self.patience_seconds:g} s") from error


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose `patience_seconds` count from the next time that it is opened."""

    Database = SimpleNamespace(**{**vars(psycopg), "connect": Session.connect})  # type: ignore[assignment]
    patience_seconds: float = settings.CONSOLE_DATABASE_SECONDS

    def init_connection_state(self) -> None:
        super().init_connection_state()
        limits = {"statement_timeout": self.patience_seconds, "idle_in_transaction_session_timeout": 0.0}
        if self.patience_seconds:
            limits["idle_in_transaction_session_timeout"] = IDLE_SECONDS
        with self.connection.cursor() as cursor:
            cursor.execute("".join(f"SET {name} = {int(1000 * seconds)};" for name, seconds in limits.items()))
        if self.patience_seconds:
            self.connection.patience_seconds = self.patience_seconds + GRACE_SECONDS

    def copy(self, alias: str | None = None) -> DatabaseWrapper:
        copied: DatabaseWrapper = super().copy(alias)
        copied.patience_seconds = self.patience_seconds
        return copied
