"""Going on after a database was away, on a connection that works."""

from __future__ import annotations

import logging

import pytest
from django.db import InterfaceError, OperationalError, connection, transaction

from jobs.reconnect import attempt, for_seconds, patiently, reconnect

pytestmark = pytest.mark.django_db(transaction=True)
log = logging.getLogger(__name__)


def ask() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 42")
        return int(cursor.fetchone()[0])


def broken() -> None:
    """A connection that is dead without Django's knowing, as after a restart of the server."""
    connection.ensure_connection()
    connection.connection.close()


with_server = pytest.mark.skipif(connection.vendor == "sqlite", reason="an embedded database has no sessions to lose")


@with_server
def test_who_asks_patiently_gets_an_answer_after_the_connection_broke() -> None:
    broken()
    assert patiently(ask, is_over=for_seconds(30)) == 42


@with_server
def test_within_a_transaction_too_the_next_try_begins_anew() -> None:
    tries: list[int] = []

    def write() -> int:
        with transaction.atomic():
            tries.append(1)
            if len(tries) == 1:
                connection.connection.close()
            return ask()

    assert patiently(write, is_over=for_seconds(30)) == 42 and len(tries) == 2


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
def test_patience_has_an_end(kind: type[Exception]) -> None:
    def refuse() -> None:
        raise kind("away")

    with pytest.raises(kind, match="away"):
        patiently(refuse, is_over=lambda: True)


def test_a_loop_goes_on_after_any_error_and_says_which(caplog: pytest.LogCaptureFixture) -> None:
    broken()
    assert not attempt(ask, what="The pulse", log=log)
    assert attempt(ask, what="The pulse", log=log)
    assert not attempt(lambda: 1 / 0, what="The pulse", log=log)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "The pulse could not reach the database",
        "The pulse met an error and goes on.",
    ]


def test_a_transaction_that_is_open_is_left_alone() -> None:
    with transaction.atomic():
        before = ask(), connection.connection
        reconnect()
        assert before == (42, connection.connection)
