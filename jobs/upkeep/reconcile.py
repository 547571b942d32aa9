"""Compare rows with reality and repair, writing why."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Final

from django.db import transaction
from django.db.models import Count, Exists, OuterRef

from jobs.backfills.start_next import start_due
from jobs.batches.mend import mend_items
from jobs.errors import IllegalMove, LeaseLost
from jobs.models import Run, Step, Worker
from jobs.models.step import StepQuerySet
from jobs.resends.replay import send_unheard_replays
from jobs.rules.decide import ask_unheard
from jobs.runs.cancel import cancel
from jobs.schedules.tell import tell_unheard
from jobs.states import FINAL, Status
from jobs.steps import on_end
from jobs.steps.advance import Outcome, end_if_done, finish
from jobs.steps.dispatch import messages_in, send
from jobs.steps.overlap import go_on
from jobs.telling.sweep import sweep

logger = logging.getLogger(__name__)

PATIENCE: Final = timedelta(seconds=2)
"""A ready step that nobody claimed for this long is sent to Celery again when its message cannot be there any more."""
DECISION_PATIENCE: Final = timedelta(seconds=10)
BATCH: Final = 200
BY: Final = "reconciler"


def reconcile(at: datetime) -> int:
    """Repair every disagreement found; the number of rows repaired. Any number of processes may do it at once."""
    steps = close_silent(at) + _cancel_asked(at) + _release_held(at) + send_unheard(at) + _end_finished(at)
    others = ask_unheard(at, DECISION_PATIENCE) + mend_items(at) + send_unheard_replays(at)
    return steps + others + tell_unheard(at) + start_due(at) + sweep(at)


def close_silent(at: datetime) -> int:
    """Steps whose worker is gone end as crashed, and start again if their pipeline allows it."""
    steps = list(Step.objects.silent(at).select_related("run__pipeline")[:BATCH])
    return sum(close_lost(step, f"The worker {step.worker_name} was lost.", at=at) for step in steps)


def close_lost(step: Step, why: str, *, at: datetime) -> bool:
    """End a step whose worker is gone; False when its supervisor was faster."""
    outcome = _loss(step, why)
    try:
        finish(step, outcome, token=step.lease_token, at=at, by=BY)
    except LeaseLost:
        return False
    logger.warning("%s: %s", step, why)
    return True


def _loss(step: Step, why: str) -> Outcome:
    """The step's end without a worker; poison when it is the one that workers do not survive."""
    facts = {"has_lost_worker": True}
    lost = Step.objects.filter(run_id=step.run_id, position=step.position, has_lost_worker=True).count() + 1
    if lost < step.run.pipeline.poison_after:
        return Outcome(Status.CRASHED, why, may_retry=True, facts=facts)
    times = "A worker was" if lost == 1 else f"{lost} workers were"
    return Outcome(Status.CRASHED, f"{why} {times} lost while this step ran: it is poison and is parked.", facts=facts)


def _cancel_asked(at: datetime) -> int:
    """Runs that were asked to stop while no worker could hear it."""
    waiting = Run.objects.wanting_to_stop().filter(steps__status=Status.QUEUED).distinct()
    mended = 0
    for run in waiting[:BATCH]:
        try:
            cancel(run, at=at, by=run.cancel_requested_by or BY)
            mended += 1
        except IllegalMove:
            continue  # it ended in this moment
    return mended


def _release_held(at: datetime) -> int:
    """Runs whose blocker has ended, or was deleted, in a moment in which it could not see that they wait."""
    held = Run.objects.filter(status=Status.QUEUED).select_related("pipeline")
    late = held.filter(waits_for__isnull=False, waits_for__status__in=sorted(FINAL))
    ready = Step.objects.filter(run=OuterRef("pk"), ready_at__isnull=False)
    lost = held.filter(waits_for=None, eligible_at=None).exclude(wait_reason="").exclude(Exists(ready))
    return sum(go_on(run, at) for run in [*late[:BATCH], *lost[:BATCH]])


def send_unheard(at: datetime) -> int:
    """Tell Celery of ready steps that it was never told of, and of those whose messages were lost; how many."""
    unheard = Step.objects.unheard(at, patience=PATIENCE)
    queues = set(unheard.order_by().values_list("queue", flat=True).distinct())
    there = messages_in(queues) if queues else None
    if there is None:  # the broker is away: to try it with each row could outlast the leases
        return 0
    slots = Worker.objects.slots_by_queue(at)
    found = [_lost(unheard.filter(queue=name), there[name], slots.get(name, 1)) for name in sorted(queues)]
    sent = 0
    for step_id in chain.from_iterable(found):
        mine = Step.objects.unheard(at, patience=PATIENCE).filter(pk=step_id).update(sent_at=at)
        if not mine:  # of two that reconcile at once, one sends
            continue
        if not send(step_id):
            Step.objects.filter(pk=step_id, sent_at=at).update(sent_at=None)
            break
        sent += 1
    return sent


def _lost(unheard: StepQuerySet, there: int, slots: int) -> list[int]:
    """Of these steps of a queue those to tell (again), when so many messages wait in it for so many slots.

    Nobody asks whose messages they are: a run needs one for each of its steps, up to the number of slots, which then
    hear of its others. With fewer, the first to go are told again; at worst a message too many is refused.
    """
    inorder = unheard.order_by("priority", "id")
    told = inorder.exclude(sent_at=None)
    by_run = told.order_by().values_list("run_id").annotate(count=Count("pk"))
    missing = max(0, sum(min(count, slots) for _, count in by_run) - there)
    untold = list(inorder.filter(sent_at=None).values_list("pk", flat=True)[:BATCH])
    return [*untold, *islice(_first_of_each_run(told, slots), min(missing, BATCH))]


def _first_of_each_run(told: StepQuerySet, slots: int) -> Iterator[int]:
    """These steps in their order, of no run more than there are slots."""
    taken: Counter[int] = Counter()
    for step_id, run_id in told.values_list("pk", "run_id").iterator():
        if taken[run_id] < slots:
            taken[run_id] += 1
            yield step_id


def _end_finished(at: datetime) -> int:
    """Running runs all of whose steps have ended."""
    live = Step.objects.live().filter(run__status=Status.RUNNING)
    runs = Run.objects.filter(status=Status.RUNNING).exclude(pk__in=live.values("run_id"))
    mended = 0
    for run in runs[:BATCH]:
        with transaction.atomic():
            on_end.lock(run.pipeline_id)
            locked = Run.objects.select_for_update(of=("self",)).select_related("pipeline").get(pk=run.pk)
            end_if_done(locked, at=at, by=BY)
        mended += 1
    return mended
