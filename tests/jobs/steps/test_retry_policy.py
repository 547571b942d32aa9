"""Which failures are tried again, how often, and after how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from redis import Redis

from jobs.models import Run, Snapshot, Step
from jobs.runs.cancel import cancel
from jobs.states import NodeStatus, Status
from jobs.steps.advance import Outcome, finish
from jobs.steps.retry_policy import LONGEST_WAIT_SECONDS, allowed_retries, wait_seconds
from jobs.upkeep.reconcile import reconcile
from kedro_console import wire
from tests.factories import AT, content, make_pipeline, make_run

pytestmark = pytest.mark.django_db
POLICY = {"retries": 2, "retry_wait_seconds": 10, "retry_jitter": 0.0}


@pytest.fixture(autouse=True)
def sent(broker: Redis, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    messages: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: messages.extend(args))
    return messages


def running(run: Run) -> Step:
    step = run.steps.order_by("-attempt")[0]
    step.claim(at=AT, worker_name="w1", lease=timedelta(seconds=20))
    if run.status == Status.QUEUED:
        run.start(at=AT, by="w1")
    step.refresh_from_db()
    return step


def fail(run: Run, node: str = "fetch", exception: str = "app.ShelfError", reason: str = "", **facts: Any) -> None:
    failure = wire.Failure(exception, "the shelf is empty", classes=[exception, "OSError"])
    outcome = Outcome(
        Status.FAILED, "It failed.", failure=wire.RunFailed(1.0, 1.0, node, failure, reason), **facts
    )  # fmt: skip
    step = running(run)
    finish(step, outcome, token=step.lease_token, at=AT, by="w1")
    run.refresh_from_db()


def test_a_retry_is_a_new_row_that_may_start_when_its_wait_is_over(sent: list[int]) -> None:
    run = make_run(make_pipeline(**POLICY))
    fail(run)
    again = run.steps.get(attempt=2)
    reason = "Retry 1 of 2 at 08:00:10 UTC after ShelfError: the shelf is empty."
    assert (again.status, again.eligible_at, again.wait_reason) == (Status.QUEUED, AT + timedelta(seconds=10), reason)
    assert (run.status, run.wait_reason, run.eligible_at) == (Status.RUNNING, reason, again.eligible_at)
    assert again.transitions.get().reason == reason
    reconcile(AT + timedelta(seconds=9))
    assert again.pk not in sent
    reconcile(AT + timedelta(seconds=10))
    assert again.pk in sent


def test_the_waits_grow_and_the_last_failure_ends_the_run() -> None:
    run = make_run(make_pipeline(**POLICY))
    for wait in (10, 20):
        fail(run)
        newest = run.steps.order_by("-attempt")[0]
        assert newest.eligible_at == AT + timedelta(seconds=wait)
    fail(run)
    assert (run.status, run.steps.count(), run.wait_reason) == (Status.FAILED, 3, "")
    assert set(run.node_runs.values_list("status", flat=True)) == {NodeStatus.BLOCKED}


@pytest.mark.parametrize(
    ("names", "count"), [([], 2), (["ShelfError"], 2), (["app.ShelfError"], 2), (["OSError"], 2), (["KeyError"], 1)]
)
def test_the_policy_names_exceptions_by_class_or_base_class(names: list[str], count: int) -> None:
    run = make_run(make_pipeline(**POLICY, retry_exceptions=names))
    fail(run)
    assert run.steps.count() == count


@pytest.mark.parametrize(("names", "count"), [(["fetch"], 2), (["io"], 2), (["process"], 1)])
def test_the_policy_names_nodes_by_name_or_tag(names: list[str], count: int) -> None:
    run = make_run(make_pipeline(**POLICY, retry_nodes=names))
    fail(run)
    assert run.steps.count() == count


@pytest.mark.parametrize("reason", ["bad_parameters", "interrupted"])
def test_what_another_attempt_cannot_change_is_not_tried_again(reason: str) -> None:
    run = make_run(make_pipeline(**POLICY))
    fail(run, reason=reason)
    assert (run.status, run.steps.count()) == (Status.FAILED, 1)


@pytest.mark.parametrize(("tag", "allowed"), [("retry-5", 5), ("retry:5", 5), ("retry-0", 0), ("retry-many", 2)])
def test_a_tag_of_the_node_overrides_the_count(tag: str, allowed: int) -> None:
    run = make_run(make_pipeline(**POLICY))
    picture = content()
    picture["pipelines"][0]["nodes"][0]["tags"] = [tag]
    Snapshot.objects.filter(pk=run.snapshot_id).update(content=picture)
    run = Run.objects.get(pk=run.pk)
    assert (allowed_retries(run, "fetch"), allowed_retries(run, "process")) == (allowed, 2)


def test_a_waiting_retry_is_cancelled_at_once() -> None:
    run = make_run(make_pipeline(**POLICY))
    fail(run)
    run = cancel(run, at=AT, by="olga")
    assert (run.status, run.wait_reason, run.eligible_at) == (Status.CANCELLED, "", None)


def test_a_run_that_was_asked_to_stop_is_not_tried_again() -> None:
    run = make_run(make_pipeline(**POLICY))
    running(run)
    cancel(run, at=AT, by="olga")
    step = run.steps.get()
    failure = wire.RunFailed(1.0, 1.0, "fetch", wire.Failure("E", "m"))
    finish(step, Outcome(Status.FAILED, "E", failure=failure), token=step.lease_token, at=AT, by="w1")
    assert run.steps.count() == 1


def test_losses_and_failures_are_counted_apart() -> None:
    run = make_run(make_pipeline(**POLICY, crash_retries=1))
    fail(run)
    step = running(run)
    crash = Outcome(Status.CRASHED, "It was killed.", may_retry=True)
    finish(step, crash, token=step.lease_token, at=AT, by="w1")
    assert run.steps.filter(attempt=3, status=Status.QUEUED, eligible_at=None).exists()


def test_a_resumable_run_keeps_what_succeeded_before_the_failure() -> None:
    run = make_run(make_pipeline(**POLICY, is_resumable=True))
    run.node_runs.filter(name="fetch").update(status=NodeStatus.SUCCEEDED)
    Run.objects.filter(pk=run.pk).update(nodes_done=1)
    fail(run, node="process")
    assert run.steps.get(attempt=2).nodes == ["process", "write"]
    assert run.nodes_done == 1


def test_any_other_run_starts_over() -> None:
    run = make_run(make_pipeline(**POLICY))
    run.node_runs.filter(name="fetch").update(status=NodeStatus.SUCCEEDED)
    Run.objects.filter(pk=run.pk).update(nodes_done=1)
    fail(run, node="process")
    assert run.steps.get(attempt=2).nodes == ["fetch", "process", "write"]
    assert run.nodes_done == 0


def test_the_jitter_only_lengthens_and_no_wait_is_endless() -> None:
    pipeline = make_pipeline(retry_wait_seconds=10, retry_factor=3.0, retry_jitter=0.5)
    assert [wait_seconds(pipeline, number, chance=0) for number in (1, 2, 3)] == [10, 30, 90]
    assert wait_seconds(pipeline, 1, chance=1) == 15
    assert wait_seconds(pipeline, 5000, chance=1) == LONGEST_WAIT_SECONDS
