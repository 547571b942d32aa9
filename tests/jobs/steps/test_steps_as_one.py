"""A value that no other process can be given: its step goes on with what reads it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app

from jobs.models import Pipeline, Run, Step
from jobs.states import NodeStatus, Status
from jobs.steps.advance import Outcome, finish
from kedro_console.wire import Failure, RunFailed
from tests.factories import AT, make_run, node
from tests.jobs.runs.forks import NODES, fork

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: None)


def end(run: Run, position: int, status: Status = Status.SUCCEEDED, dataset: str = "") -> None:
    """The newest attempt of this step runs and ends like this."""
    step = run.steps.filter(position=position).latest("attempt")
    token = step.claim(at=AT, worker_name="w1", lease=timedelta(seconds=60))
    if Run.objects.get(pk=run.pk).status == Status.QUEUED:
        Run.objects.get(pk=run.pk).start(at=AT, by="w1")
    run.node_runs.filter(name__in=step.nodes).update(status=NodeStatus(status), step=step)
    error = f"{dataset} cannot be handed over" if dataset else ""
    failure = RunFailed(
        0.0, 1.0, step.nodes[-1], Failure("StoreError", error), "unshareable" if dataset else "", dataset
    )
    outcome = Outcome(status, error, may_retry=True, failure=failure if status == Status.FAILED else None)
    finish(step, outcome, token=token, at=AT, by="w1")


def plan_now(run: Run) -> list[tuple[int, list[str], list[int], bool]]:
    rows = run.steps.newest_attempts().filter(status=Status.QUEUED)
    return [(row.position, row.nodes, row.needs, row.ready_at is not None) for row in rows]


def test_the_step_goes_on_with_what_reads_the_value(django_capture_on_commit_callbacks: Any) -> None:
    run = make_run(fork())
    with django_capture_on_commit_callbacks(execute=True):
        end(run, 0, Status.FAILED, "two")
    assert plan_now(run) == [(0, ["split", "right"], [], True), (1, ["left"], [0], False), (3, ["join"], [0, 1], False)]
    run.refresh_from_db()
    assert (run.status, run.unshared) == (Status.RUNNING, ["two"])
    assert run.plan_reason == "two cannot be handed to another process: step 0 goes on with what reads it."
    assert Pipeline.objects.get().unshareable == ["two"]
    for position in (0, 1, 3):
        end(run, position)
    run.refresh_from_db()
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    assert set(run.node_runs.values_list("status", flat=True)) == {NodeStatus.SUCCEEDED}


def test_what_else_the_reader_needs_is_waited_for_and_what_lies_between_is_taken_too() -> None:
    run = make_run(fork([*NODES[:3], node("join", ["l", "r", "one"], ["out"]), node("last", ["out", "l"], ["z"])]))
    end(run, 0)
    end(run, 1, Status.FAILED, "l")
    assert plan_now(run) == [(1, ["left", "join", "last"], [0, 2], False), (2, ["right"], [0], True)]
    end(run, 2)
    assert [row[3] for row in plan_now(run)] == [True]


def test_the_second_time_it_is_an_ordinary_failure() -> None:
    run = make_run(fork())
    end(run, 0, Status.FAILED, "two")
    end(run, 0, Status.FAILED, "two")
    run.refresh_from_db()
    assert run.status == Status.FAILED


def test_it_does_not_count_as_a_retry() -> None:
    run = make_run(fork(retries=1))
    end(run, 0, Status.FAILED, "two")
    end(run, 0, Status.FAILED)
    again = run.steps.filter(position=0).latest("attempt")
    assert (again.status, again.attempt) == (Status.QUEUED, 3)
    assert again.wait_reason.startswith("Retry 1 of 1")


def test_a_retry_makes_the_value_again_for_what_reads_it() -> None:
    run = make_run(fork(unshareable=["two"], retries=1))
    step: Step = run.steps.get(position=0)
    token = step.claim(at=AT, worker_name="w1", lease=timedelta(seconds=60))
    run.start(at=AT, by="w1")
    run.node_runs.filter(name="split").update(status=NodeStatus.SUCCEEDED, step=step)
    failure = RunFailed(0.0, 1.0, "right", Failure("ValueError", "no"))
    finish(step, Outcome(Status.FAILED, "no", may_retry=True, failure=failure), token=token, at=AT, by="w1")
    assert run.steps.get(position=0, attempt=2).nodes == ["split", "right"]


def test_a_run_that_was_asked_to_stop_does_not_go_on() -> None:
    run = make_run(fork())
    Run.objects.filter(pk=run.pk).update(status=Status.RUNNING, started_at=AT)
    step = run.steps.get(position=0)
    token = step.claim(at=AT, worker_name="w1", lease=timedelta(seconds=60))
    Run.objects.filter(pk=run.pk).update(cancel_requested_at=AT)
    failure = RunFailed(0.0, 1.0, "split", Failure("StoreError", "no"), "unshareable", "two")
    finish(step, Outcome(Status.FAILED, "no", may_retry=True, failure=failure), token=token, at=AT, by="w1")
    assert not run.steps.filter(merged_into__isnull=False).exists()
