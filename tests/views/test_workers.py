from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import clock
from jobs.insight.queues import Record, queues, records
from jobs.models import Step
from jobs.states import Status
from tests.factories import make_run
from tests.views.scenes import HTMX, a_worker, logged_in, running

pytestmark = pytest.mark.django_db


def test_workers_are_alive_silent_or_stopped() -> None:
    at = clock.now()
    a_worker(name="one")
    a_worker(at - timedelta(minutes=5), name="two")
    a_worker(at - timedelta(minutes=5), name="three", stopped_at=at)
    body = logged_in("viewer").get("/workers/").content.decode()
    assert all(f"</span> {word}</span>" in body for word in ("alive", "silent", "stopped"))


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


def test_a_worker_shows_what_it_did_in_the_last_hour() -> None:
    at = clock.now()
    a_worker(name="one")
    for number, status in enumerate([Status.SUCCEEDED, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED]):
        step = make_run(at=at).steps.get()
        step.claim(at=at - timedelta(seconds=10), worker_name="one", lease=timedelta(minutes=1))
        Step.objects.filter(pk=step.pk).update(attempt=number + 1)
        step.end(status, None, at=at - timedelta(seconds=6), by="one")
    assert records(["one", "two"], at) == {"one": Record(ended=3, succeeded=2, again=2, average_seconds=4.0)}
    body = logged_in("viewer").get("/workers/").content.decode()
    assert "3 steps" in body and "66 % succeeded" in body and "4.0s on average, 2 second attempts" in body


def test_the_fragment_is_the_part_that_the_page_includes() -> None:
    fragment = logged_in("viewer").get("/workers/", **HTMX).content.decode()
    assert fragment.lstrip().startswith('<div id="workers"') and "<html" not in fragment


def test_the_number_of_queries_does_not_grow_with_the_rows(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    client = logged_in("viewer")
    for number in range(30):
        a_worker(name=f"w{number}", queues=[f"q{number}"])
    client.get("/workers/")  # what never changes is asked for once in a process
    with django_assert_max_num_queries(14):
        client.get("/workers/")


def test_an_operator_pauses_resizes_and_drains_a_worker() -> None:
    worker = a_worker()
    client = logged_in("operator")
    for verb, word in (("pause", "pausing"), ("resume", "alive"), ("drain", "draining")):
        body = client.post(f"/workers/{worker.pk}/{verb}/", follow=True).content.decode()
        assert f"</span> {word}</span>" in body and f"{worker.name} was asked to" in body
    client.post(f"/workers/{worker.pk}/slots/", {"slots": "7"})
    worker.refresh_from_db()
    assert (worker.wanted_slots, worker.wanted_by) == (7, "operator")


@pytest.mark.parametrize("slots", ["", "none", "0", "999999999", "-3", "²"])
def test_a_number_of_slots_that_makes_no_sense_is_refused_with_a_sentence(slots: str) -> None:
    worker = a_worker()
    body = logged_in("operator").post(f"/workers/{worker.pk}/slots/", {"slots": slots}, follow=True).content.decode()
    assert "from 1 to 256 slots" in body


def test_a_silent_worker_is_not_asked_anything() -> None:
    worker = a_worker(clock.now() - timedelta(minutes=5))
    client = logged_in("operator")
    assert "Drain" not in client.get("/workers/").content.decode()
    assert "cannot be asked" in client.post(f"/workers/{worker.pk}/pause/", follow=True).content.decode()


@pytest.mark.parametrize("path", ["pause", "resume", "drain", "slots"])
def test_a_viewer_controls_nothing_and_sees_no_button(path: str) -> None:
    worker = a_worker()
    client = logged_in("viewer")
    assert client.post(f"/workers/{worker.pk}/{path}/", {"slots": "2"}).status_code == 403
    assert "Pause" not in client.get("/workers/").content.decode()


def test_a_worker_shows_the_run_and_the_node_that_it_is_at() -> None:
    run = running()
    run.node_runs.filter(position=0).update(step=run.steps.get())
    a_worker(busy=1)
    body = logged_in("viewer").get("/workers/").content.decode()
    assert f'href="/runs/{run.pk}/"' in body and "fetch" in body


def test_the_checks_say_what_mends_them() -> None:
    body = logged_in("viewer").get("/workers/").content.decode()
    assert "Checks" in body and "GB are free" in body
