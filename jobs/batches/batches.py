"""Batch queues: work is put in once, taken in batches in a run's name, done with the run's good end or given back.

Whoever moves items waits for the turn of their queue, whose row is locked: so counters, items and the place of the
first waiting one agree at every commit, and a take costs the same in front of ten items and of ten millions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Case, F, Min, OuterRef, QuerySet, Subquery, TextField, Value, When
from django.db.models.functions import Least

from jobs.errors import RequestError, UnknownQueue, nearest_of
from jobs.models import BatchQueue, Item, Run, Step, Taking
from jobs.models.act import record
from jobs.models.batch_queue import check_name
from jobs.models.item import MAX_KEY, ItemQuerySet
from jobs.states import ItemStatus, Status
from kedro_console import wire

CHUNK: Final = 1_000
MAX_BODY_BYTES: Final = 100_000
ANSWER_BYTES: Final = 120_000
"""What the items of one answer may take of a packet."""
MOST_HELD: Final = 20_000
"""Of a queue by a run: they are settled in the transaction that ends it."""

Row = tuple[Any, wire.Json]


@dataclass(frozen=True)
class Put:
    """How many items were new, and how many were there already."""

    added: int
    known: int


@dataclass(frozen=True)
class Taken:
    """A batch; `has_more` when what was asked for did not fit into it, `left` is what waits after it."""

    items: list[wire.TakenItem]
    left: int
    has_more: bool


def find_queue(name: str) -> BatchQueue:
    """The queue of that name; UnknownQueue with the nearest names."""
    return _known(BatchQueue.objects.all(), name)


def _known(rows: QuerySet[BatchQueue], name: str) -> BatchQueue:
    found = rows.filter(name=name).first()
    if found is None:
        names = BatchQueue.objects.values_list("name", flat=True)
        raise UnknownQueue(name, nearest_of(name, names))
    return found


# ---- put


def put(name: str, rows: Iterable[Row], *, at: datetime, run: Run | None = None) -> Put:
    """Put items in; a key that is in the queue, in whatever status, is not put again. RequestError for a bad item."""
    each = iter(checked(name, rows).items())
    added = known = 0
    while chunk := dict(islice(each, CHUNK)):
        new = _put_chunk(name, chunk, at, run)
        added, known = added + new, known + len(chunk) - new
    if run is None:
        record("put in", BatchQueue.objects.filter(name=name).first() or name, after={"items": added, "known": known})
    return Put(added, known)


@transaction.atomic
def _put_chunk(name: str, chunk: dict[str, wire.Json], at: datetime, run: Run | None) -> int:
    made, _ = BatchQueue.objects.get_or_create(name=name)
    queue = BatchQueue.objects.in_turn().get(pk=made.pk)
    known = set(queue.items.filter(key__in=list(chunk)).values_list("key", flat=True))
    new = [
        Item(queue=queue, key=key, body=body, put_by_run=run, created_at=at)
        for key, body in chunk.items()
        if key not in known
    ]
    Item.objects.bulk_create(new)
    queue.count(waiting=len(new))
    if run:
        Taking.note(run.pk, queue, put=len(new), known=len(known))
    return len(new)


def checked(name: str, rows: Iterable[Row]) -> dict[str, wire.Json]:
    """The items by key, the first of doubles; RequestError that names the item that cannot be stored."""
    try:
        check_name(name)
    except ValidationError as error:
        raise RequestError(error.message) from error
    found: dict[str, wire.Json] = {}
    for key, body in rows:
        if key not in found:
            found[_key(key)] = _body(key, body)
    return found


def _key(key: object) -> str:
    if not isinstance(key, str) or not key or len(key) > MAX_KEY or wire.clean(key) != key:
        raise RequestError(f"The key {str(key)[:60]!r} cannot be used: a key is text of 1 to {MAX_KEY} characters.")
    return key


def _body(key: str, body: wire.Json) -> wire.Json:
    text = json.dumps(body)
    if len(text) > MAX_BODY_BYTES:
        raise RequestError(
            f"The item {key[:60]!r} has {len(text):,} bytes and may have {MAX_BODY_BYTES:,}: "
            "put large data into a dataset and queue its name."
        )
    is_hostile = any(mark.decode() in text for mark in wire.HOSTILE)
    return wire.clean(body) if is_hostile else body


# ---- take


@transaction.atomic
def take(step: Step, name: str, count: int, *, at: datetime, node: str = "") -> Taken:
    """Up to `count` items for this node of the run: first what an earlier attempt of the node was handed and left.

    So a node that is tried again gets the batch that it had; only when there is nothing of it, items that wait.
    """
    if count < 1:
        raise RequestError(f"{count} items cannot be taken: ask for at least one.")
    queue = _known(BatchQueue.objects.in_turn(), name)
    if again := _again(step, queue, count, node):
        return again
    limit = _room(step, queue, count)
    found = queue.items.waiting().filter(id__gte=queue.first_id).order_by("id")
    chosen, has_more = _fitting(found, limit)
    if chosen:
        rows = found.order_by().filter(id__lte=chosen[-1]["id"])
        rows.update(status=ItemStatus.TAKEN, attempts=F("attempts") + 1, taken_at=at, **_holder(step, node))
        queue.count(waiting=-len(chosen), taken=len(chosen), first_id=chosen[-1]["id"] + 1)
        Taking.note(step.run_id, queue, taken=len(chosen), held=len(chosen))
    return Taken([_shape(row, 1) for row in chosen], queue.waiting, has_more and len(chosen) < count)


def _holder(step: Step, node: str) -> dict[str, Any]:
    return {"run_id": step.run_id, "step": step, "node": node[:500], "is_failed": False}


def _again(step: Step, queue: BatchQueue, count: int, node: str) -> Taken | None:
    """What this node of the run holds and this attempt was not handed yet."""
    held = queue.items.held_by(step.run_id).filter(node=node[:500], is_failed=False).exclude(step=step)
    chosen, has_more = _fitting(held.order_by("id"), count)
    if not chosen:
        return None
    held.filter(pk__in=[row["id"] for row in chosen]).update(step=step)
    return Taken([_shape(row, 0) for row in chosen], queue.waiting, has_more and len(chosen) < count)


def _room(step: Step, queue: BatchQueue, count: int) -> int:
    holds = Taking.objects.filter(run=step.run_id, queue=queue).values_list("held", flat=True).first() or 0
    if holds >= MOST_HELD:
        raise RequestError(
            f"Run #{step.run_id} holds {holds:,} items of {queue.name}: "
            "call .done() on those that are finished, or take them by batches.drain()."
        )
    return min(count, MOST_HELD - holds)


def _fitting(rows: ItemQuerySet, count: int) -> tuple[list[dict[str, Any]], bool]:
    """The first rows that one answer can carry, and whether there are others."""
    limit = min(count, CHUNK)
    found: list[dict[str, Any]] = [dict(row) for row in rows.values("id", "key", "body", "attempts")[: limit + 1]]
    chosen: list[dict[str, Any]] = []
    room = ANSWER_BYTES
    for row in found[:limit]:
        room -= len(json.dumps(row))
        if room < 0 and chosen:
            break
        chosen.append(row)
    return chosen, len(chosen) < len(found)


def _shape(row: dict[str, Any], more: int) -> wire.TakenItem:
    return wire.TakenItem(row["id"], row["key"], row["body"], row["attempts"] + more)


# ---- what becomes of them


@transaction.atomic
def finish_items(run: Run, ids: list[int], at: datetime) -> int:
    """These items are done, whatever becomes of the run; those that failed or are not the run's stay as they are."""
    mine = Item.objects.held_by(run.pk).filter(pk__in=ids, is_failed=False)
    finished = 0
    for queue in BatchQueue.objects.in_turn().filter(pk__in=set(mine.values_list("queue", flat=True))):
        finished += _finish(run.pk, queue, mine.filter(queue=queue), at)
    return finished


def _finish(run: int, queue: BatchQueue, items: ItemQuerySet, at: datetime) -> int:
    number = items.update(status=ItemStatus.DONE, finished_at=at, error="")
    if number:
        queue.count(taken=-number, done=number)
        queue.note_done(number, at)
        Taking.note(run, queue, done=number, held=-number)
    return number


def fail_item(run: Run, number: int, error: str) -> None:
    """The item goes back, or is parked, when the run ends; until then the run keeps it, so as not to take it again."""
    held = Item.objects.held_by(run.pk).filter(pk=number)
    if not held.update(is_failed=True, error=error or "It failed."):
        raise RequestError(f"Item {number} is not held by {run}: it is done, or was given back.")


def settle(run: Run, at: datetime) -> None:
    """In the transaction that ends the run: its items are done when it succeeded, and go back otherwise."""
    is_good = run.status == Status.SUCCEEDED
    error = run.error or f"Run #{run.pk} ended as {run.status}."
    give_up(run.pk, at, error, is_good=is_good, counts=run.status != Status.CANCELLED)


def give_up(run: int, at: datetime, error: str, *, is_good: bool = False, counts: bool = True) -> int:
    """Settle all that a run holds; what goes back without `counts` has not used up an attempt. How many items."""
    queues = list(Taking.objects.filter(run=run, held__gt=0).values_list("queue", flat=True))
    settled = 0
    if not queues:
        return settled
    with transaction.atomic():
        for queue in BatchQueue.objects.in_turn().filter(pk__in=queues):
            held = queue.items.held_by(run)
            done = _finish(run, queue, held.filter(is_failed=False), at) if is_good else 0
            settled += done + _give_back(run, queue, held, at, error=error, counts=counts)
    return settled


def _give_back(run: int, queue: BatchQueue, held: ItemQuerySet, at: datetime, *, error: str, counts: bool) -> int:
    reason = Case(When(is_failed=True, then=F("error")), default=Value(error), output_field=TextField())
    if not counts:
        held.filter(is_failed=False).update(attempts=F("attempts") - 1)
    worn = held.filter(attempts__gte=queue.max_attempts)
    parked = worn.update(status=ItemStatus.PARKED, finished_at=at, error=reason, is_failed=False)
    first = held.aggregate(first=Min("id"))["first"]
    back = held.update(status=ItemStatus.WAITING, error=reason, is_failed=False) if first else 0
    if parked or back:
        first_id = Least(F("first_id"), Value(first)) if first else None
        queue.count(taken=-(parked + back), waiting=back, parked=parked, first_id=first_id)
        Taking.note(run, queue, parked=parked, given_back=back, held=-(parked + back))
    return parked + back


# ---- what others ask


def with_oldest() -> QuerySet[BatchQueue]:
    """All queues, each with `oldest_at`: since when its first item waits."""
    first = Item.objects.waiting().filter(queue=OuterRef("pk"), id__gte=OuterRef("first_id")).order_by("id")
    return BatchQueue.objects.annotate(oldest_at=Subquery(first.values("created_at")[:1]))


def counts(run: Run) -> dict[str, dict[str, int]]:
    """Each queue's counters with what this run took and finished of it: for the expressions of rules."""
    mine = {row.queue_id: row for row in Taking.objects.filter(run=run)}
    return {queue.name: {**described(queue), **_by_run(mine.get(queue.pk))} for queue in BatchQueue.objects.all()}


def _by_run(row: Taking | None) -> dict[str, int]:
    names = ("put", "taken", "done", "parked", "given_back")
    return {f"{name}_by_run": getattr(row, name) if row else 0 for name in names}


def described(queue: BatchQueue) -> dict[str, int]:
    return {name: getattr(queue, name) for name in ItemStatus.values}
