from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import clock
from jobs.queues import queues
from tests.factories import make_run
from tests.views.scenes import HTMX, a_worker, logged_in, running

pytestmark = pytest.mark.django_db


def test_workers_are_alive_silent_or_stopped() -> None:
    at = clock.now()
    a_worker(name="one")
    a_worker(at - timedelta(minutes=5), name="two")
    a_worker(at - timedelta(minutes=5), name="three", stopped_at=at)
    body = logged_in("viewer").get("/workers/").content.decode()
    assert all(f"</span>\n{word}</span>" in body for word in ("alive", "silent", "stopped"))


def test_without_a_worker_the_page_says_what_starts_one() -> None:
    body = logged_in("viewer").get("/workers/").content.decode()
    assert "runs stay queued" in body and "make up" in body


def test_a_queue_counts_what_waits_and_since_when_but_not_what_runs() -> None:
    at = clock.now()
    make_run(at=at - timedelta(minutes=3))
    make_run(at=at - timedelta(minutes=1))
    running()
    a_worker(slots=4, busy=1)
    (queue,) = queues(at)
    assert (queue.name, queue.waiting, queue.slots, queue.busy) == ("default", 2, 4, 1)
    assert queue.oldest_at == at - timedelta(minutes=3)


def test_the_fragment_is_the_part_that_the_page_includes() -> None:
    fragment = logged_in("viewer").get("/workers/", **HTMX).content.decode()
    assert fragment.lstrip().startswith('<div id="workers"') and "<html" not in fragment


def test_the_number_of_queries_does_not_grow_with_the_rows(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    client = logged_in("viewer")
    for number in range(30):
        a_worker(name=f"w{number}", queues=[f"q{number}"])
    with django_assert_max_num_queries(8):
        client.get("/workers/")
