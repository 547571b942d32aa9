"""Why a run waits, in plain sentences with live values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from jobs.insight.examine_waits import listen
from jobs.models import Grant, Quota, Run, Step, Worker
from jobs.quotas.quotas import turn_of
from jobs.quotas.turns import Amount
from jobs.states import Status
from jobs.steps.overlap import blocker


@dataclass(frozen=True)
class Reason:
    """One thing that holds a run back; `at` is the moment the sentence ends with, `mend` a command."""

    sentence: str
    is_bad: bool = False
    at: datetime | None = None
    mend: str = ""
    run: Run | None = None
    """The run that it waits for."""
    quota: Quota | None = None
    """The quota whose turn it waits for."""


MOST_GRANTS = 5


def why_waiting(run: Run, at: datetime) -> list[Reason]:
    """The reasons, the worst first; empty when the run does not wait."""
    if run.is_final:
        return []
    return sorted(_reasons(run, at), key=lambda reason: not reason.is_bad)


def _reasons(run: Run, at: datetime) -> Iterator[Reason]:
    if run.cancel_requested_at:
        return  # what is left of it is being stopped: `stopping` tells how far that is
    if run.waits_for_id and (found := blocker(run)):
        other, why = found
        yield Reason(f"{why[0].upper()}{why[1:]}.", run=other)
    elif grants := list(Grant.objects.waiting().filter(run=run).select_related("quota")[:MOST_GRANTS]):
        yield from (_turn(grant, at) for grant in grants)
    elif run.wait_reason:
        yield Reason(f"{run.wait_reason} It starts" if run.eligible_at else run.wait_reason, at=run.eligible_at)
    if run.status != Status.QUEUED:
        return
    step = run.steps.filter(status=Status.QUEUED, ready_at__isnull=False).order_by("position", "-attempt").first()
    if step is not None and step.eligible_at and step.eligible_at > at:
        yield from (reason for reason in _queue(step, at) if reason.is_bad)
    elif step is not None:
        yield from _queue(step, at)
        yield from _message(step)


def _turn(grant: Grant, at: datetime) -> Reason:
    """What holds a grant back now, and when its turn should come."""
    quota = grant.quota
    due = turn_of(quota, Amount(grant.requests, grant.rows), at, grant.pk)
    who = f"Node {grant.node} waits. " if grant.node else ""
    why = due.reason.removeprefix(f"The quota {quota} is ").rstrip(".").replace(": it allows", ", it allows")
    if due.at is None:
        return Reason(f"{who}Quota {quota}: {why}. It waits until somebody opens it.", due.is_never, quota=quota)
    ahead = quota.grants.expected(at).filter(pk__lt=grant.pk).count()
    line = f", {ahead} before it in the line" if ahead else ""
    told = f"{why}{line}. It opens" if why else "its turn is now, since"
    return Reason(f"{who}Quota {quota}: {told}", at=max(due.at, grant.due_at or due.at), quota=quota)


def _queue(step: Step, at: datetime) -> Iterator[Reason]:
    alive = list(Worker.objects.alive(at))
    listeners = [worker for worker in alive if step.queue in worker.queues]
    if not alive:
        yield Reason("No worker is alive.", is_bad=True, mend=settings.CONSOLE_START)
    elif not listeners:
        yield Reason(f"No worker listens to the queue {step.queue}.", is_bad=True, mend=listen(step.queue))
    elif taking := [worker for worker in listeners if worker.is_taking]:
        yield from _slots(step, taking, at)
    else:
        yield Reason(f"Every worker of the queue {step.queue} is paused or draining.", is_bad=True)


def _slots(step: Step, listeners: list[Worker], at: datetime) -> Iterator[Reason]:
    busy, slots = sum(worker.busy for worker in listeners), sum(worker.slots for worker in listeners)
    if busy < slots:
        yield Reason(f"{slots - busy} of {slots} slots of the queue {step.queue} are free; it starts in a moment.")
        return
    ahead = Step.objects.ready(at).filter(queue=step.queue, pk__lt=step.pk, priority__lte=step.priority).count()
    before = {0: "this run is next", 1: "one step is before it"}.get(ahead, f"{ahead} steps are before it")
    yield Reason(f"All {slots} slots of the queue {step.queue} are busy; {before}.")


def _message(step: Step) -> Iterator[Reason]:
    if step.sent_at is None:
        yield Reason("Its message has not been sent yet; it will be sent until a worker takes the step.")
    else:
        yield Reason("Its message was sent", at=step.sent_at)
