"""Workers are paused, drained and resized through their rows; what they do not survive is parked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import clock
from jobs.errors import NotNow, RequestError
from jobs.insight.examine import Finding, examine_workers
from jobs.insight.queues import SLICES, at_work, queues
from jobs.models import Beat, Lead, Run, Snapshot, Worker
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.schedules.lead import Leader
from jobs.states import Cause, NodeStatus, Status
from jobs.upkeep.reconcile import close_lost, reconcile
from tests.factories import AT, content, make_pipeline, make_run, node
from tests.jobs.at_work import running, succeed
from tests.views.scenes import a_worker

pytestmark = pytest.mark.django_db


def test_a_wish_is_a_row_with_who_asked_and_when() -> None:
    worker = a_worker(AT)
    worker.pause(at=AT, by="olga")
    assert (worker.wanted_state, worker.wanted_by, worker.wanted_at) == ("paused", "olga", AT)
    assert worker.state(AT) == "pausing"
    Worker.objects.update(is_taking=False)
    worker.refresh_from_db()
    assert worker.state(AT) == "paused"
    worker.resume(at=AT, by="olga")
    assert worker.state(AT) == "working"
    worker.drain(at=AT, by="olga")
    assert worker.state(AT) == "draining"


def test_nobody_is_asked_who_cannot_hear() -> None:
    worker = a_worker(AT - timedelta(minutes=5))
    with pytest.raises(NotNow, match="worker@test is not alive, so it cannot be asked"):
        worker.drain(at=AT, by="olga")


@pytest.mark.parametrize("slots", [0, -1, 257])
def test_a_worker_has_a_sensible_number_of_slots(slots: int) -> None:
    with pytest.raises(RequestError, match="from 1 to 256 slots"):
        a_worker(AT).resize(slots, at=AT, by="olga")


def test_a_step_that_no_worker_survives_is_parked_as_poison() -> None:
    run = make_run(make_pipeline(crash_retries=9, poison_after=3))
    for number in (1, 2, 3):
        step = running(run)
        assert close_lost(Run.objects.get(pk=run.pk).steps.get(pk=step.pk), f"The worker w{number} was lost.", at=AT)
        run.steps.filter(status=Status.QUEUED).update(eligible_at=None)
    run.refresh_from_db()
    assert run.status == Status.CRASHED
    assert run.error == "The worker w3 was lost. 3 workers were lost while this step ran: it is poison and is parked."
    assert [step.has_lost_worker for step in run.steps.all()] == [True] * 3


def test_a_lost_worker_alone_does_not_poison_a_step() -> None:
    run = make_run(make_pipeline(crash_retries=9, poison_after=2))
    running(run)
    reconcile(AT + timedelta(minutes=1))
    run.steps.filter(attempt=2).update(eligible_at=None)
    succeed(running(Run.objects.get(pk=run.pk)))
    run.refresh_from_db()
    assert run.status == Status.SUCCEEDED


def test_a_node_is_sent_to_the_queue_of_its_tag() -> None:
    line = make_pipeline(runner="distributed")
    chain = [
        node("load", [], ["a"]),
        node("train", ["a"], ["b"], tags=["queue-gpu", "heavy"]),
        node("score", ["b"], ["c"], tags=["queue:gpu"]),
        node("report", ["c"], ["d"]),
    ]
    picture = content(pipelines=[{**content()["pipelines"][0], "nodes": chain, "parameters": []}])
    Snapshot.objects.create(project=line.project, revision="files-2", content=picture, taken_at=AT)
    run = launch(Order(line, Cause.MANUAL), at=AT)
    steps = [(step.nodes, step.queue) for step in run.steps.order_by("position")]
    assert steps == [(["load"], "default"), (["train", "score"], "gpu"), (["report"], "default")]


def test_a_queue_tells_what_ended_in_the_last_hour() -> None:
    for minutes in (1, 1, 50):
        run = make_run()
        succeed(running(run))
        run.steps.update(finished_at=AT - timedelta(minutes=minutes))
    (queue,) = queues(AT)
    assert (len(queue.throughput), queue.ended, queue.peak, queue.throughput[-1]) == (SLICES, 3, 2, 2)


def test_a_worker_is_shown_with_the_nodes_it_is_at() -> None:
    run = make_run()
    step = running(run)
    run.node_runs.filter(name="fetch").update(status=NodeStatus.RUNNING, step=step)
    (work,) = at_work(["w1", "other"])["w1"]
    assert (work.step.run_id, work.step.run.pipeline.name, work.nodes) == (run.pk, "report", ["fetch"])


def test_a_beat_that_decides_is_named_with_those_that_stand_by() -> None:
    at = clock.now()

    def found() -> Finding:
        return next(each for each in examine_workers(at) if each.subject == "beat")

    assert not found().is_ok and found().mend
    Leader("1@a").turn(at)
    for origin in ("1@a", "2@b"):
        Beat.objects.hear(origin, at)
    assert found().is_ok and found().sentence == "A beat decides due times: 1@a, 1 more would take over."
    Lead.objects.update(renewed_at=at - timedelta(minutes=5))
    assert found().sentence == "No beat decides due times, so no schedule fires."


def test_a_clock_that_differs_is_named_with_its_worker() -> None:
    at = clock.now()
    a_worker(at, name="late@test", clock_ahead_seconds=-7.25)
    a_worker(at, name="fine@test", clock_ahead_seconds=0.2)
    finding = next(found for found in examine_workers(at) if found.subject == "clocks")
    assert not finding.is_ok and "late@test is 7.2 s behind" in finding.sentence


def test_the_disk_is_looked_at() -> None:
    finding = next(found for found in examine_workers(clock.now()) if found.subject == "disk")
    assert "GB" in finding.sentence
