"""The threads of a process take turns at writing to an embedded database."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from console.sqlite.base import TURN

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no one writer"),
]


def test_the_turn_is_held_from_the_begin_of_a_transaction_to_its_end() -> None:
    with transaction.atomic():
        assert TURN.lock.locked()
        with transaction.atomic():
            assert TURN.lock.locked()
        assert TURN.lock.locked(), "a savepoint's end is no end"
    assert not TURN.lock.locked()


def test_a_failed_transaction_gives_its_turn_back() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        raise ZeroDivisionError
    assert not TURN.lock.locked()


def test_a_connection_that_is_closed_within_a_transaction_gives_its_turn_back() -> None:
    with transaction.atomic():
        connection.close()
    assert not TURN.lock.locked()


def test_of_two_threads_the_second_begins_when_the_first_has_ended() -> None:
    order: list[str] = []

    def write() -> None:
        asked.set()
        with transaction.atomic():
            order.append("second")
        connection.close()

    asked = threading.Event()
    second = threading.Thread(target=write)
    with transaction.atomic():
        second.start()
        assert asked.wait(10)
        second.join(0.2)
        order.append("first")
    second.join(10)
    assert order == ["first", "second"]
