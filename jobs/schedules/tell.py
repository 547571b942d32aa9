"""Tell workers of due times that are to start something: a hint, after the commit; what nobody hears is told again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from jobs.models import Tick
from jobs.steps.dispatch import messages_in, publish

QUEUE: Final = "ticks"
"""Workers have a place of its own for it: however much work waits, a due time does not stand in its line."""
BEGIN: Final = "jobs.begin"
PATIENCE: Final = timedelta(seconds=5)
BATCH: Final = 200


def tell_workers(ticks: Collection[int]) -> None:
    """Of ticks noted as sent already; what the broker refused is unsent again."""
    untold = [number for number in ticks if not publish(BEGIN, [number], queue=QUEUE)]
    if untold:
        Tick.objects.waiting().filter(pk__in=untold).update(sent_at=None)


def tell_unheard(at: datetime) -> int:
    """Tell again of those that nobody has started, and whose messages are not there any more; how many."""
    late = Q(sent_at=None) | Q(sent_at__lt=at - PATIENCE) | Q(sent_at__gt=at + PATIENCE)
    unheard = list(Tick.objects.waiting().filter(late).order_by("due_at").values_list("pk", flat=True)[:BATCH])
    there = messages_in({QUEUE}) if unheard else None
    if there is None or there[QUEUE] >= len(unheard):
        return 0
    told = 0
    for number in unheard:
        if not Tick.objects.waiting().filter(late, pk=number).update(sent_at=at):
            continue  # of two that reconcile at once, one sends
        if not publish(BEGIN, [number], queue=QUEUE):
            Tick.objects.filter(pk=number).update(sent_at=None)
            break
        told += 1
    return told
