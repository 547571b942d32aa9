"""The reconciler repairs what disagrees, and the end of a step is one transaction."""

import signal
import subprocess
import time
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from redis import Redis

from jobs.errors import IllegalMove, LeaseLost
from jobs.models import Artifact, Run, Step
from jobs.runs.cancel import cancel
from jobs.states import NodeStatus, Status
from jobs.steps.advance import Outcome, finish
from jobs.upkeep.reconcile import PATIENCE, reconcile
from tests.admin.rows import make_worker
from tests.factories import AT, make_pipeline, make_run
from tests.jobs.at_work import LEASE, running, succeed
from tests.jobs.upkeep.times import LATER

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sent(broker: Redis, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    messages: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: messages.extend(args))
    return messages


def refused_by_the_broker() -> Step:
    """A step that is ready and of which nobody was told."""
    step = make_run().steps.get()
    Step.objects.filter(pk=step.pk).update(sent_at=None)
    return step


def test_a_step_that_nobody_claims_is_sent_again(sent: list[int]) -> None:
    step = refused_by_the_broker()
    assert reconcile(AT) == 1
    assert sent == [step.pk]
    Step.objects.filter(pk=step.pk).update(sent_at=AT)
    assert reconcile(AT + PATIENCE / 2) == 0
    assert reconcile(AT + PATIENCE * 2) == 1


def test_only_as_many_steps_as_messages_are_missing_are_told_again(sent: list[int], broker: Redis) -> None:
    """While messages wait, every slot is busy: whose message was lost shows when there are fewer than steps."""
    steps = [make_run().steps.get().pk for _ in range(4)]
    Step.objects.update(sent_at=AT)
    broker.lpush("kc:default", *["a message"] * 3)
    assert reconcile(AT + PATIENCE * 2) == 1
    assert sent == steps[:1]
    broker.lpush("kc:default", "the one that was sent again")
    assert reconcile(AT + PATIENCE * 4) == 0
    broker.flushall()
    Step.objects.update(sent_at=AT)
    assert reconcile(AT + PATIENCE * 6) == 4


def test_of_a_wide_run_no_more_is_told_again_than_there_are_slots_to_hear_it(sent: list[int]) -> None:
    """Who ends a step of it passes the word on, or goes on by himself."""
    wide, other = make_run(), make_run()
    for position in range(1, 9):
        Step.objects.create(run=wide, position=position, queue="default", ready_at=AT)
    Step.objects.update(sent_at=AT)
    at = AT + PATIENCE * 2
    make_worker("w1", queues=["default"], slots=3, heartbeat_at=at)
    assert reconcile(at) == 4
    first = list(wide.steps.order_by("position").values_list("pk", flat=True)[:3])
    assert sorted(sent) == sorted([*first, other.steps.get().pk])


def test_a_broker_that_does_not_answer_holds_the_pulse_up_for_a_moment_only(
    sent: list[int], redis_process: subprocess.Popen[bytes]
) -> None:
    refused_by_the_broker()
    redis_process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert reconcile(AT) == 0
        assert time.monotonic() - began < 5
    finally:
        redis_process.send_signal(signal.SIGCONT)
    assert reconcile(AT) == 1


def test_a_step_that_the_broker_did_not_take_is_sent_as_soon_as_it_is_back(
    sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [refused_by_the_broker().pk for _ in range(2)]
    tried = []

    def refuse(name: str, args: list[int], **options: Any) -> None:
        tried.extend(args)
        raise ConnectionRefusedError("nobody listens")

    with monkeypatch.context() as away:
        away.setattr(current_app, "send_task", refuse)
        assert reconcile(AT) == 0
    assert tried == steps[:1], "a broker that is away is asked once"
    assert reconcile(AT + timedelta(seconds=1)) == 2
    assert sent == steps


def test_a_step_that_may_not_start_yet_is_not_sent(sent: list[int]) -> None:
    step = make_run().steps.get()
    Step.objects.filter(pk=step.pk).update(eligible_at=LATER)
    assert reconcile(AT) == 0
    assert reconcile(LATER) == 1


def test_a_message_from_before_a_step_was_put_off_does_not_keep_it_waiting(sent: list[int]) -> None:
    step = make_run().steps.get()
    Step.objects.filter(pk=step.pk).update(eligible_at=AT + timedelta(seconds=1), sent_at=AT)
    assert reconcile(AT + timedelta(seconds=1)) == 1
    assert reconcile(AT + timedelta(seconds=2)) == 0


def test_a_silent_step_crashes_and_starts_again_as_a_new_row() -> None:
    run = make_run(make_pipeline(crash_retries=1))
    step = running(run)
    assert reconcile(AT + LEASE / 2) == 0
    reconcile(LATER)
    step.refresh_from_db()
    assert (step.status, step.error) == (Status.CRASHED, "The worker w1 was lost.")
    again = run.steps.get(attempt=2)
    assert (again.status, again.nodes) == (Status.QUEUED, step.nodes)
    run.refresh_from_db()
    assert run.status == Status.RUNNING


@pytest.mark.parametrize("is_free", [False, True], ids=["crashed", "handed back"])
def test_a_process_that_is_gone_before_it_heard_the_wish_to_stop_is_cancelled(is_free: bool) -> None:
    run = make_run(make_pipeline(crash_retries=3))
    step = running(run)
    cancel(run, at=AT, by="olga")
    gone = Outcome(Status.CRASHED, "The process was ended by SIGKILL.", may_retry=True, is_free=is_free)
    finish(step, gone, token=step.lease_token, at=AT, by="w1")
    run.refresh_from_db()
    assert (run.status, run.error) == (Status.CANCELLED, "Cancelled by olga.")
    assert run.steps.get().error == "Cancelled; the process was ended by SIGKILL."


def test_a_step_that_was_handed_back_has_used_up_no_retry() -> None:
    run = make_run(make_pipeline(crash_retries=1))
    for _ in range(3):
        step = running(run)
        given_back = Outcome(Status.CRASHED, "The worker was stopped.", may_retry=True, is_free=True)
        finish(step, given_back, token=step.lease_token, at=AT, by="w1")
    running(run)
    reconcile(LATER)
    assert run.steps.get(attempt=5).status == Status.QUEUED, "the first crash is followed by the one retry"
    running(run)
    reconcile(LATER)
    run.refresh_from_db()
    assert run.status == Status.CRASHED


def test_a_step_that_keeps_crashing_ends_the_run() -> None:
    run = make_run(make_pipeline(crash_retries=1))
    for _ in range(2):
        running(run)
        reconcile(LATER)
    run.refresh_from_db()
    assert (run.status, run.error) == (Status.CRASHED, "The worker w1 was lost.")
    assert set(run.node_runs.values_list("status", flat=True)) == {NodeStatus.BLOCKED}


def test_a_late_supervisor_cannot_end_a_step_that_was_taken_from_it() -> None:
    run = make_run(make_pipeline(crash_retries=0))
    step = running(run)
    reconcile(LATER)
    with pytest.raises(LeaseLost):
        succeed(step, results={"x": {"value": 1}})
    run.refresh_from_db()
    assert (run.status, run.results) == (Status.CRASHED, {})


def test_the_end_of_a_run_and_what_follows_are_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the last statement of the story failing, nothing of it is left behind."""
    run = make_run()
    step = running(run)
    artifact = {
        "dataset": "zip_file", "node": "write", "name": "a.zip", "media_type": "application/zip", "size_bytes": 1,
        "sha256": "0" * 64, "rows": None, "columns": None,
    }  # fmt: skip

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "UPDATE" in sql and "jobs_run" in sql and "finished_at" in sql:
            raise RuntimeError("the power went out")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse), pytest.raises(RuntimeError):
        succeed(step, artifacts=[artifact], results={"zip_file": {"type": "text"}})
    run.refresh_from_db()
    step.refresh_from_db()
    assert (run.status, step.status, run.results) == (Status.RUNNING, Status.RUNNING, None)
    assert not Artifact.objects.exists()
    succeed(step, artifacts=[artifact], results={"zip_file": {"type": "text"}})
    run.refresh_from_db()
    assert run.status == Status.SUCCEEDED
    assert run.results["zip_file"]["artifact"] == str(Artifact.objects.get().uuid)


def test_a_queued_run_is_cancelled_at_once() -> None:
    run = cancel(make_run(), at=AT, by="olga")
    assert (run.status, run.error) == (Status.CANCELLED, "Cancelled by olga.")
    assert set(run.node_runs.values_list("status", flat=True)) == {NodeStatus.CANCELLED}
    with pytest.raises(IllegalMove, match="A cancelled run cannot become cancelled"):
        cancel(run, at=AT, by="olga")


def test_a_running_run_is_only_asked_until_its_process_is_gone() -> None:
    run = make_run()
    step = running(run)
    cancel(run, at=AT, by="olga")
    run.refresh_from_db()
    assert (run.status, run.cancel_requested_by) == (Status.RUNNING, "olga")
    finish(step, Outcome(Status.CANCELLED), token=step.lease_token, at=AT, by="w1")
    run.refresh_from_db()
    assert run.status == Status.CANCELLED


def test_a_cancelled_run_whose_worker_is_lost_ends_cancelled() -> None:
    run = make_run(make_pipeline(crash_retries=3))
    running(run)
    cancel(run, at=AT, by="olga")
    reconcile(LATER)
    run.refresh_from_db()
    assert run.status == Status.CANCELLED
    assert run.steps.count() == 1


def two_steps(run: Run) -> tuple[Step, Step]:
    """Split the run's one step in two, the second needing the first."""
    first = run.steps.get()
    Step.objects.filter(pk=first.pk).update(nodes=["fetch"])
    second = Step.objects.create(run=run, position=1, nodes=["process", "write"], needs=[0], queue="default")
    first.refresh_from_db()
    return first, second


def test_a_step_becomes_ready_when_what_it_needs_has_succeeded() -> None:
    run = make_run()
    first, second = two_steps(run)
    first.claim(at=AT, worker_name="w1", lease=LEASE)
    run.start(at=AT, by="w1")
    first.refresh_from_db()
    succeed(first)
    second.refresh_from_db()
    run.refresh_from_db()
    assert second.ready_at == AT
    assert run.status == Status.RUNNING


def test_what_needs_a_failed_step_is_blocked_and_the_run_fails() -> None:
    run = make_run()
    first, second = two_steps(run)
    first.claim(at=AT, worker_name="w1", lease=LEASE)
    run.start(at=AT, by="w1")
    first.refresh_from_db()
    finish(first, Outcome(Status.FAILED, "Node fetch: no"), token=first.lease_token, at=AT, by="w1")
    second.refresh_from_db()
    run.refresh_from_db()
    assert second.status == Status.CANCELLED
    assert (run.status, run.error) == (Status.FAILED, "Node fetch: no")
    assert set(run.node_runs.filter(name__in=second.nodes).values_list("status", flat=True)) == {NodeStatus.BLOCKED}
