"""A PostgreSQL that hangs is noticed by who asks, and its locks are not held by who sleeps."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from jobs.reconnect import for_seconds, patiently, wait_at_most

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="an embedded database has no server that could hang"),
]


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    before = connection.patience_seconds  # type: ignore[attr-defined]
    yield
    wait_at_most(before)


def answer(question: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return int(cursor.fetchone()[0])


def test_a_session_that_hangs_is_given_up_and_the_next_one_answers() -> None:
    wait_at_most(1)
    hung = answer("SELECT pg_backend_pid()")
    os.kill(hung, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(OperationalError, match="did not answer within 3 s"):
            answer("SELECT 1")
        assert time.monotonic() - began < 10
        assert patiently(lambda: answer("SELECT pg_backend_pid()"), is_over=for_seconds(10)) != hung
    finally:
        os.kill(hung, signal.SIGCONT)


def test_in_a_transaction_too_and_its_next_try_is_whole() -> None:
    wait_at_most(1)
    tries: list[int] = []

    def write() -> int:
        with transaction.atomic():
            tries.append(answer("SELECT pg_backend_pid()"))
            if len(tries) == 1:
                os.kill(tries[0], signal.SIGSTOP)
            return answer("SELECT 42")

    try:
        assert patiently(write, is_over=for_seconds(20)) == 42 and len(set(tries)) == 2
    finally:
        os.kill(tries[0], signal.SIGCONT)


def test_a_statement_that_takes_too_long_is_ended_by_the_server_and_its_session_lives() -> None:
    wait_at_most(1)
    session = answer("SELECT pg_backend_pid()")
    with pytest.raises(OperationalError, match="statement timeout"):
        answer("SELECT 1 FROM pg_sleep(30)")
    assert answer("SELECT pg_backend_pid()") == session


def test_without_a_limit_it_takes_as_long_as_it_takes() -> None:
    wait_at_most(0)
    assert answer("SELECT 1 FROM pg_sleep(1.5)") == 1
    assert answer("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'") == 0


def test_who_sleeps_in_a_transaction_loses_its_locks() -> None:
    limit = "SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'"
    assert answer(limit) == 15_000
    with pytest.raises(OperationalError), transaction.atomic():
        answer("SELECT 1 FROM pg_backend_pid()")
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 200")
        session: psycopg.Connection[object] = connection.connection
        assert _is_readable(session.fileno(), seconds=20), "the server says that it ended the session"
        answer("SELECT 1")
    assert answer("SELECT 1") == 1


def _is_readable(descriptor: int, *, seconds: float) -> bool:
    import select

    return bool(select.select([descriptor], [], [], seconds)[0])
