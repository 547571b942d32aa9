"""A child goes on: the transaction that ends its step, before the process does, claims the next one of the same run.

What it takes is what its slot would take from the queue next, so nobody waits longer for it: a step of another run that
is more important, or has waited longer, comes first.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from jobs.models import Run, Step
from jobs.models.step import StepQuerySet
from jobs.reconnect import AWAY, for_seconds, patiently, reconnect
from jobs.states import Status
from jobs.steps.admit import admit
from jobs.steps.advance import Outcome, end_step, make_ready
from jobs.steps.leases import LEASE
from jobs.steps.retry_policy import tell_wait
from jobs.steps.writer import TO_WRITE, Writer

OF_THE_RUN = (*TO_WRITE, "status", "cancel_requested_at", "results", "peak_memory_bytes")
TO_RUN = ("status", "run_id", "position", "attempt", "nodes", "needs", "queue", "priority", "task_id", "eligible_at")
"""What a step and its run have to tell: the rest of these rows is not read for each of many steps."""


@dataclass(frozen=True)
class Claim:
    """A step and the lease under which it is ours."""

    step: Step
    token: uuid.UUID
    since: float = field(default_factory=time.monotonic)
    """When it was asked for, in seconds of the monotonic clock."""
    others: Sequence[int] = ()
    """Steps that became ready with it, of which Celery is still to be told."""


@dataclass(frozen=True)
class HandedOn:
    """A step that ended while its child lives."""

    following: Claim | None = None
    """What the child goes on with; without it the child is let go."""
    ready: Sequence[int] = ()
    """Steps for others that became ready, of which Celery is still to be told."""


def claim(step: Step, *, at: datetime, worker_name: str) -> Claim | None:
    """Take this step; the run starts with its first one; None while its run waits for a quota.

    IllegalMove when another has it, or nothing is to be done.
    """
    token, since = uuid.uuid4(), time.monotonic()
    try:
        is_ours = _claim(step, token, at=at, worker_name=worker_name)
    except AWAY:
        is_ours = _was_written(Step.objects.filter(pk=step.pk, status=Status.RUNNING, lease_token=token))
        if not is_ours:
            raise
    return Claim(step, token, since) if is_ours else None


def _claim(step: Step, token: uuid.UUID, *, at: datetime, worker_name: str) -> bool:
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=step.run_id)
        if not admit(run, step, at):
            return False
        step.claim(at=at, worker_name=worker_name, lease=LEASE, token=token)
        if run.status == Status.QUEUED:
            run.start(at=at, by=worker_name)
        elif step.eligible_at:
            tell_wait(run.pk)
    return True


def _was_written(rows: StepQuerySet) -> bool:
    """Whether a transaction that ended in an error was committed all the same, and only the answer was lost."""
    reconnect()
    return patiently(rows.exists, is_over=for_seconds(LEASE.total_seconds()))


def go_on(mine: Claim, outcome: Outcome, writer: Writer, *, at: datetime, worker_name: str) -> HandedOn | None:
    """End a step that succeeded, and claim the next when that is the run's turn.

    None, and nothing is written, when the run is to stop or has no other step left: it ends with its process.
    """
    ended: list[HandedOn] = []
    try:
        _end_and_claim(mine, outcome, writer, ended, at=at, worker_name=worker_name)
    except AWAY:
        done = Step.objects.filter(pk=mine.step.pk, lease_token=mine.token).exclude(status=Status.RUNNING)
        if not ended or not _was_written(done):
            raise
    if not ended:
        return None
    writer.forget()
    return ended[0]


def _end_and_claim(
    mine: Claim, outcome: Outcome, writer: Writer, ended: list[HandedOn], *, at: datetime, worker_name: str
) -> None:
    """What will be so once this is committed is put into `ended` before that."""
    since = time.monotonic()
    step = mine.step
    with transaction.atomic():
        writer.lock_followers()
        run = Run.objects.select_for_update().only(*OF_THE_RUN).get(pk=step.run_id)
        if run.cancel_requested_at:
            return
        ready = make_ready(step, at)
        following = in_turn_after(step, at)
        if following is None and not _has_others(step):
            return
        end_step(run, step, outcome, token=mine.token, at=at, by=worker_name, writer=writer)
        if following and following.attempt == 1:  # another attempt gets a process of its own
            token = following.claim(at=at, worker_name=worker_name, lease=LEASE)
            if following.eligible_at:
                tell_wait(run.pk)
            others = [pk for pk in ready if pk != following.pk]
            ended.append(HandedOn(following=Claim(following, token, since, others)))
        else:
            ended.append(HandedOn(ready=ready))


def _has_others(step: Step) -> bool:
    return Step.objects.filter(run_id=step.run_id, finished_at=None).exclude(pk=step.pk).exists()


def in_turn_after(step: Step, at: datetime) -> Step | None:
    """What the step's slot would take from the queue next, if that is of the same run."""
    following = Step.objects.in_turn(step.queue, at).only(*TO_RUN).first()
    if following is None or following.run_id != step.run_id:
        return None
    following.run = step.run
    return following


def another(step_id: int, at: datetime) -> Step | None:
    """For a message that came too late, because a child went on with its step: the run's next one, if one waits."""
    late = Step.objects.only("run_id", "queue").get(pk=step_id)
    rows = Step.objects.in_turn(late.queue, at).filter(run_id=late.run_id)
    return rows.select_related("run__pipeline__project").first()
