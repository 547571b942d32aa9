"""Compare batch queues with their items and with the runs that hold them, and mend."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Count, Exists, OuterRef

from jobs.batches.batches import give_up, settle
from jobs.models import BatchQueue, Run, Taking
from jobs.states import LIVE, ItemStatus

BATCH: Final = 50


def mend_items(at: datetime) -> int:
    """Settle what is held by runs that have ended, or are not there any more; the number of such runs."""
    live = Run.objects.filter(pk=OuterRef("run"), status__in=sorted(LIVE))
    held = Taking.objects.filter(~Exists(live), held__gt=0)
    runs = list(held.order_by("run_id").values_list("run_id", flat=True).distinct()[:BATCH])
    for number in runs:
        with transaction.atomic():
            run = Run.objects.filter(pk=number).first()
            if run is None:
                give_up(number, at, f"Run #{number}, which had taken it, was deleted.")
            elif run.is_final:
                settle(run, at)
    return len(runs)


def disagreements() -> Iterator[str]:
    """A sentence for each counter that is not what the rows say, each item that nobody can reach. Counts every row."""
    for queue in BatchQueue.objects.all():
        with transaction.atomic():
            yield from _of_queue(BatchQueue.objects.in_turn().get(pk=queue.pk))
    live = Run.objects.filter(pk=OuterRef("run"), status__in=sorted(LIVE))
    for taking in Taking.objects.filter(~Exists(live), held__gt=0).select_related("queue"):
        yield f"Run #{taking.run_id} has ended and holds {taking.held} items of {taking.queue}."


def _of_queue(queue: BatchQueue) -> Iterator[str]:
    rows = dict(queue.items.order_by().values_list("status").annotate(Count("pk")))
    for name in ItemStatus.values:
        if rows.get(name, 0) != getattr(queue, name):
            yield f"{queue} says {getattr(queue, name)} {name}, its rows {rows.get(name, 0)}."
    if behind := queue.items.waiting().filter(pk__lt=queue.first_id).count():
        yield f"{behind} items of {queue} wait before its first one and would never be taken."
    held = queue.items.filter(status=ItemStatus.TAKEN).order_by().values_list("run").annotate(Count("pk"))
    noted = dict(queue.takings.filter(held__gt=0).values_list("run", "held"))
    if dict(held) != noted:
        yield f"The items of {queue} that runs hold are not those recorded."


@transaction.atomic
def recount(queue: BatchQueue) -> BatchQueue:
    """The queue with its counters set to what its rows say."""
    mine = BatchQueue.objects.in_turn().get(pk=queue.pk)
    mine.recount()
    mine.refresh_from_db()
    return mine
