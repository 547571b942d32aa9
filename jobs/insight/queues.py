"""What waits in each queue, who listens, and what each worker is at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import Avg, Count, F, FloatField, Func, Min, Q, TextField

from jobs.models import NodeRun, Pipeline, Step, Worker
from jobs.states import NodeStatus, Status

HOUR: Final = timedelta(hours=1)
SLICES: Final = 30


@dataclass(frozen=True)
class Queue:
    """A queue: ready steps that wait, since when the oldest does, and the slots of the workers that listen."""

    name: str
    waiting: int
    oldest_at: datetime | None
    workers: int
    slots: int
    busy: int
    throughput: list[int] = field(default_factory=list)
    """Steps that ended, in each slice of the last hour, the newest last."""

    @property
    def peak(self) -> int:
        return max(self.throughput, default=0)

    @property
    def ended(self) -> int:
        return sum(self.throughput)


@dataclass(frozen=True)
class Work:
    """A step that a worker runs, and those of its nodes that are at it."""

    step: Step
    nodes: list[str]


@dataclass(frozen=True)
class Record:
    """What a worker did in the last hour: steps that ended, how, and how long they took on average."""

    ended: int
    succeeded: int
    again: int
    """Second and later attempts among them."""
    average_seconds: float

    @property
    def success_percent(self) -> int:
        """Rounded down, so that 100 means all of them."""
        return 100 * self.succeeded // self.ended


def records(names: Iterable[str], at: datetime) -> dict[str, Record]:
    """By name of the worker; none for one that ended nothing, and what was cancelled counts for nobody."""
    rows = Step.objects.filter(finished_at__gt=at - HOUR, finished_at__lte=at, worker_name__in=list(names))
    counted = rows.exclude(status=Status.CANCELLED).order_by().values("worker_name")
    good, again = Count("pk", filter=Q(status=Status.SUCCEEDED)), Count("pk", filter=Q(attempt__gt=1))
    found = counted.annotate(ended=Count("pk"), good=good, again=again, took=Avg(_seconds("started_at", "finished_at")))
    return {row["worker_name"]: Record(row["ended"], row["good"], row["again"], round(row["took"], 3)) for row in found}


def queues(at: datetime) -> list[Queue]:
    """Each queue that a pipeline uses, a worker hears or a step waits in, by name."""
    alive = list(Worker.objects.alive(at))
    waiting = {row["queue"]: row for row in _waiting(at)}
    used = set(Pipeline.objects.filter(is_registered=True).values_list("queue", flat=True).distinct())
    ended = _throughput(at)
    names = used | set(waiting) | {name for worker in alive for name in worker.queues}
    idle = [0] * SLICES
    return [_queue(name, waiting.get(name, {}), alive, ended.get(name, idle)) for name in sorted(names)]


def at_work(names: Iterable[str]) -> dict[str, list[Work]]:
    """What each of these workers runs now, by its name."""
    steps = Step.objects.running().filter(worker_name__in=list(names)).order_by("started_at")
    rows = list(steps.select_related("run__pipeline").only("worker_name", "started_at", "run__pipeline__name"))
    nodes: dict[int | None, list[str]] = {}
    running = NodeRun.objects.filter(step__in=rows, status=NodeStatus.RUNNING).order_by("position")
    for step_id, name in running.values_list("step_id", "name"):
        nodes.setdefault(step_id, []).append(name)
    work: dict[str, list[Work]] = {}
    for step in rows:
        work.setdefault(step.worker_name, []).append(Work(step, nodes.get(step.pk, [])))
    return work


def _minute(name: str) -> Func:
    """A time as `2026-03-01 08:05`, UTC: in the database's own words, as Python's are slow for thousands of rows."""
    on_postgres = "to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"
    template = on_postgres if connection.vendor == "postgresql" else "SUBSTR(%(expressions)s, 1, 16)"
    return Func(F(name), template=template, output_field=TextField())


def _seconds(begin: str, end: str) -> Func:
    is_postgres = connection.vendor == "postgresql"
    template = "EXTRACT(EPOCH FROM %(expressions)s)" if is_postgres else "86400.0 * (julianday(%(expressions)s))"
    joiner = " - " if is_postgres else ") - julianday("
    return Func(F(end), F(begin), template=template, arg_joiner=joiner, output_field=FloatField())


def _throughput(at: datetime) -> dict[str, list[int]]:
    """By queue, the steps that ran and ended in each slice of the hour."""
    begin = at - HOUR
    rows = Step.objects.filter(finished_at__gt=begin, finished_at__lte=at, started_at__isnull=False).order_by()
    minutes = rows.annotate(minute=_minute("finished_at")).values_list("queue", "minute")
    counts: dict[str, list[int]] = {}
    for queue, text, count in minutes.annotate(count=Count("pk")):
        minute = datetime.fromisoformat(f"{text}+00:00")
        place = min(SLICES - 1, max(0, (minute - begin) * SLICES // HOUR))
        counts.setdefault(queue, [0] * SLICES)[place] += count
    return counts


def _waiting(at: datetime) -> list[Any]:
    rows = Step.objects.ready(at).filter(run__cancel_requested_at__isnull=True)
    return list(rows.order_by().values("queue").annotate(count=Count("pk"), oldest=Min("ready_at")))


def _queue(name: str, waiting: dict[str, Any], alive: list[Worker], throughput: list[int]) -> Queue:
    listeners = [worker for worker in alive if name in worker.queues]
    taking = [worker for worker in listeners if worker.is_taking]
    return Queue(
        name=name,
        waiting=waiting.get("count", 0),
        oldest_at=waiting.get("oldest"),
        workers=len(listeners),
        slots=sum(worker.slots for worker in taking),
        busy=sum(worker.busy for worker in taking),
        throughput=throughput,
    )
