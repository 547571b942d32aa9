"""What people do with items that no run holds: put parked ones back, drop, purge; and the pruning of old done ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Value
from django.db.models.functions import Least

from jobs.errors import RequestError
from jobs.models import BatchQueue, Item, Run, Taking
from jobs.models.act import record
from jobs.models.item import ItemQuerySet
from jobs.states import ItemStatus

Change = Callable[[BatchQueue, ItemQuerySet], int]
CHUNK: Final = 5_000
"""Rows of one transaction: others of the queue wait no longer than that takes."""


def put_back(queue: BatchQueue, *, key: str = "", like: str = "") -> int:
    """Let parked items wait again with all their attempts: one, all with the same error, or all. How many."""
    count = _in_chunks(queue, _chosen(key, like), _wait_again)
    record("put back", queue, after=_counted(count, key=key, error=like))
    return count


def drop_parked(queue: BatchQueue, *, key: str = "", like: str = "") -> int:
    """Delete parked items for good; their keys can be put in again. How many."""
    count = _in_chunks(queue, _chosen(key, like), _delete)
    record("dropped", queue, after=_counted(count, key=key, error=like))
    return count


def _counted(count: int, **chosen: str) -> dict[str, int | str]:
    return {"items": count, **{name: value for name, value in chosen.items() if value}}


def purge(queue: BatchQueue, status: str) -> int:
    """Delete all items of this status; RequestError for those that runs hold. How many."""
    if status not in (ItemStatus.WAITING, ItemStatus.DONE, ItemStatus.PARKED):
        raise RequestError(f"Items that are {status} cannot be purged: waiting, done or parked ones can.")
    count = _in_chunks(queue, {"status": status}, _delete)
    record("purged", queue, after={"items": count, "status": status})
    return count


def prune_items(at: datetime) -> int:
    """Delete done items that are older than their queue keeps them, and notes about deleted runs. How many items."""
    queues = BatchQueue.objects.filter(keep_days__gt=0, done__gt=0)
    pruned = sum(_prune(queue, at - timedelta(days=queue.keep_days)) for queue in queues)
    gone = Taking.objects.filter(~Exists(Run.objects.filter(pk=OuterRef("run"))), held=0)
    gone.filter(pk__in=list(gone.values_list("pk", flat=True)[:CHUNK])).delete()
    return pruned


def _prune(queue: BatchQueue, before: datetime) -> int:
    """In the order of their numbers; a whole chunk without an old one ends it: done items are nearly in that order."""
    pruned, number = 0, 0
    while True:
        rows = Item.objects.filter(queue=queue, status=ItemStatus.DONE, pk__gt=number).order_by("pk")
        seen = list(rows.values_list("pk", "finished_at")[:CHUNK])
        old = [pk for pk, finished_at in seen if finished_at and finished_at < before]
        if not old:
            return pruned
        with transaction.atomic():
            pruned += _delete(
                BatchQueue.objects.in_turn().get(pk=queue.pk), Item.objects.filter(pk__in=old, status=ItemStatus.DONE)
            )
        number = seen[-1][0]


def _chosen(key: str, like: str) -> dict[str, str]:
    chosen = {"status": ItemStatus.PARKED.value}
    return chosen | ({"key": key} if key else {}) | ({"error": like} if like else {})


def _in_chunks(queue: BatchQueue, chosen: dict[str, str], change: Change) -> int:
    """Change these items, each chunk in a transaction of its own; those that come meanwhile are left."""
    rows = Item.objects.filter(queue=queue, **chosen).order_by("pk")
    last = rows.order_by("-pk").values_list("pk", flat=True).first() or 0
    changed = 0
    while True:
        with transaction.atomic():
            mine = BatchQueue.objects.in_turn().get(pk=queue.pk)
            ids = list(rows.filter(pk__lte=last).values_list("pk", flat=True)[:CHUNK])
            changed += change(mine, Item.objects.filter(pk__in=ids)) if ids else 0
        if len(ids) < CHUNK:
            return changed


def _wait_again(queue: BatchQueue, rows: ItemQuerySet) -> int:
    first = min(rows.values_list("pk", flat=True))
    number = rows.update(status=ItemStatus.WAITING, attempts=0, finished_at=None)
    queue.count(parked=-number, waiting=number, first_id=Least(F("first_id"), Value(first)))
    return number


def _delete(queue: BatchQueue, rows: ItemQuerySet) -> int:
    """In the queue's turn; all of one status."""
    status = rows.values_list("status", flat=True).first()
    if status is None:
        return 0
    number, _ = rows.delete()
    queue.count(**{status: -number})
    return number
