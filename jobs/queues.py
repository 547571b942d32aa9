"""What waits in each queue, and who listens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min

from jobs.models import Pipeline, Step, Worker


@dataclass(frozen=True)
class Queue:
    """A queue: ready steps that wait, since when the oldest does, and the slots of the workers that listen."""

    name: str
    waiting: int
    oldest_at: datetime | None
    workers: int
    slots: int
    busy: int


def queues(at: datetime) -> list[Queue]:
    """Each queue that a pipeline uses, a worker hears or a step waits in, by name."""
    alive = list(Worker.objects.alive(at))
    waiting = {row["queue"]: row for row in _waiting(at)}
    used = set(Pipeline.objects.filter(is_registered=True).values_list("queue", flat=True).distinct())
    names = used | set(waiting) | {name for worker in alive for name in worker.queues}
    return [_queue(name, waiting.get(name, {}), alive) for name in sorted(names)]


def _waiting(at: datetime) -> list[Any]:
    rows = Step.objects.ready(at).filter(run__cancel_requested_at__isnull=True)
    return list(rows.order_by().values("queue").annotate(count=Count("pk"), oldest=Min("ready_at")))


def _queue(name: str, waiting: dict[str, Any], alive: list[Worker]) -> Queue:
    listeners = [worker for worker in alive if name in worker.queues]
    return Queue(
        name=name,
        waiting=waiting.get("count", 0),
        oldest_at=waiting.get("oldest"),
        workers=len(listeners),
        slots=sum(worker.slots for worker in listeners),
        busy=sum(worker.busy for worker in listeners),
    )
