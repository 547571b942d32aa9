"""Only one at a time prepares a database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection

from console.tree import prepare, turn
from jobs.errors import PlatformError

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def somebody_prepares() -> Iterator[threading.Event]:
    """Another process would hold the turn just so: on a connection, or a file, of its own."""
    holds, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with turn.taken(lambda _: None):
            holds.set()
            leave.wait(60)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    assert holds.wait(60)
    try:
        yield leave
    finally:
        leave.set()
        other.join()


def test_the_second_waits_for_the_first_and_says_so() -> None:
    said: list[str] = []
    with somebody_prepares() as leave:

        def say(sentence: str) -> None:
            said.append(sentence)
            leave.set()

        assert turn.in_turn(lambda: "done", say) == "done"
    assert said == [turn.WAITS]


def test_a_turn_that_never_comes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "TURN_SECONDS", 0.0)
    with somebody_prepares(), pytest.raises(PlatformError, match="Another process"):
        turn.in_turn(lambda: "done", lambda _: None)


def test_tables_in_use_are_tried_again() -> None:
    tries: list[int] = []

    def work() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("canceling statement due to lock timeout\n")
        return "done"

    said: list[str] = []
    assert turn.in_turn(work, said.append) == "done"
    assert said == ["The database is in use or unavailable, trying again: canceling statement due to lock timeout"]


def test_of_several_that_prepare_at_once_one_makes_the_administrator() -> None:
    passwords: list[str] = []

    def make() -> None:
        passwords.append(prepare.make_administrator(lambda _: None))
        connection.close()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(bool, passwords)) == [False, False, False, True]
    assert User.objects.filter(is_superuser=True).count() == 1
