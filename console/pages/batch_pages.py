"""What the pages of batch queues show: counters as shares of a bar, items by key, reasons why some are parked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from jobs.batches.batches import with_oldest
from jobs.models import BatchQueue, Item, Run
from jobs.models.item import ItemQuerySet
from jobs.states import ItemStatus

SCREEN: Final = 50
QUEUES: Final = 500
REASONS_OF: Final = 1_000
"""How many parked items, the newest, the reasons are taken from."""
MOST_REASONS: Final = 8


@dataclass(frozen=True)
class Card:
    """A queue with its pace."""

    queue: BatchQueue
    pace: list[int]
    forecast: str

    @property
    def peak(self) -> int:
        return max(self.pace)

    @property
    def last_hour(self) -> int:
        return sum(self.pace)

    @property
    def shares(self) -> list[tuple[str, int]]:
        """In the order of an item's life, the finished first, as a bar fills."""
        order = (ItemStatus.DONE, ItemStatus.TAKEN, ItemStatus.PARKED, ItemStatus.WAITING)
        return [(status.value, getattr(self.queue, status)) for status in order]


@dataclass(frozen=True)
class Reason:
    """An error that parked items share; `is_least` when there may be more of them than were looked at."""

    error: str
    number: int
    is_least: bool


@dataclass(frozen=True)
class Screen:
    """Some items, and after which id the next ones come (None: there are none)."""

    items: list[Item] = field(default_factory=list)
    next_id: int | None = None


def cards(at: datetime) -> list[Card]:
    return [card(queue, at) for queue in with_oldest()[:QUEUES]]


def card(queue: BatchQueue, at: datetime) -> Card:
    return Card(queue, queue.paces(at), forecast(queue, at))


def forecast(queue: BatchQueue, at: datetime) -> str:
    """When the waiting items will be done, in words, at the pace of the last hour; "" when there is none."""
    done = sum(queue.paces(at))
    if not (queue.waiting and done):
        return ""
    minutes = 60 * queue.waiting / done
    if minutes < 90:
        return f"about {max(1, round(minutes))} min"
    return f"about {round(minutes / 60)} h" if minutes < 48 * 60 else f"about {round(minutes / 1440)} days"


def by_status(queue: BatchQueue, status: str, beyond: int | None) -> Screen:
    """Those that wait in the order in which they will be taken, all others from the newest on."""
    rows = Item.objects.filter(queue=queue, status=status)
    if status == ItemStatus.WAITING:
        return _screen(rows.filter(id__gt=max(beyond or 0, queue.first_id - 1)).order_by("id"))
    return _downwards(rows, beyond)


def by_run(queue: BatchQueue, run: int, beyond: int | None) -> Screen:
    """What this run took, as far as no other took it after it."""
    return _downwards(Item.objects.filter(queue=queue, run=run), beyond)


def by_key(queue: BatchQueue, text: str) -> Screen:
    """The item of this key, and others that begin like it; by the index of the keys."""
    near = Item.objects.filter(queue=queue, key__gte=text).order_by("key")[:SCREEN]
    return Screen([item for item in near if item.key.startswith(text)])


def _downwards(rows: ItemQuerySet, beyond: int | None) -> Screen:
    return _screen((rows.filter(id__lt=beyond) if beyond else rows).order_by("-id"))


def _screen(rows: ItemQuerySet) -> Screen:
    found = list(rows[: SCREEN + 1])
    return Screen(found[:SCREEN], found[SCREEN - 1].pk if len(found) > SCREEN else None)


def reasons(queue: BatchQueue) -> list[Reason]:
    """Why items are parked, the most frequent first."""
    if not queue.parked:
        return []
    newest = Item.objects.filter(queue=queue).parked().order_by("-id").values_list("error", flat=True)[:REASONS_OF]
    is_least = queue.parked > REASONS_OF
    return [Reason(error, number, is_least) for error, number in Counter(newest).most_common(MOST_REASONS)]


def of_run(run: Run) -> dict[str, Any]:
    """The tab of a run: what it put into and took from each queue."""
    takings = list(run.takings.select_related("queue").order_by("queue__name"))
    return {"takings": takings, "taken_items": list(run.items.select_related("queue").order_by("-id")[:SCREEN])}
