from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction

from jobs.errors import NotNow, RequestError
from jobs.models.act import recorded
from jobs.states import Wanted

SILENT_AFTER = timedelta(seconds=20)
MOST_SLOTS = 256


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self, at: datetime) -> WorkerQuerySet:
        return self.filter(heartbeat_at__gte=at - SILENT_AFTER, stopped_at__isnull=True)

    def slots_by_queue(self, at: datetime) -> dict[str, int]:
        """Of the workers that take steps now, by each queue that they listen to."""
        slots: dict[str, int] = {}
        for worker in self.alive(at).filter(is_taking=True).only("queues", "slots"):
            for queue in worker.queues:
                slots[queue] = slots.get(queue, 0) + worker.slots
        return slots


class Worker(models.Model):
    """A Celery worker as its heartbeats tell it."""

    name = models.CharField(max_length=200, unique=True)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    queues = models.JSONField(default=list)
    slots = models.PositiveIntegerField()
    busy = models.PositiveIntegerField(default=0)
    memory_bytes = models.BigIntegerField(default=0)
    version = models.CharField(max_length=40, blank=True)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True, blank=True, help_text="When it said goodbye.")

    wanted_state = models.CharField(max_length=20, choices=Wanted, default=Wanted.WORKING)
    wanted_slots = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Empty: as it was started.")
    wanted_by = models.CharField(max_length=150, blank=True, help_text="Who asked for that.")
    wanted_at = models.DateTimeField(null=True, blank=True)
    is_taking = models.BooleanField(default=True, help_text="Took new steps at its last heartbeat.")
    clock_ahead_seconds = models.FloatField(default=0, help_text="Its clock before the database's; negative: behind.")
    runs_mark = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Of the folder in which it keeps runs."
    )
    store_mark = models.CharField(
        max_length=600, blank=True, default="", db_default="", help_text="Of the place that CONSOLE_RUN_STORE names."
    )
    boundary = models.CharField(
        max_length=40, blank=True, default="", db_default="", help_text="What keeps its projects' code from our folder."
    )

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [("control_worker", "Can pause, drain and resize workers")]

    def __str__(self) -> str:
        return self.name

    def is_alive(self, at: datetime) -> bool:
        return self.stopped_at is None and self.heartbeat_at >= at - SILENT_AFTER

    def state(self, at: datetime) -> str:
        """One word: stopped, silent, paused, draining, working; pausing until its heartbeat says that it did."""
        if self.stopped_at:
            return "stopped"
        if not self.is_alive(at):
            return "silent"
        if self.wanted_state == Wanted.PAUSED:
            return "pausing" if self.is_taking else "paused"
        return self.wanted_state

    def pause(self, *, at: datetime, by: str) -> None:
        """Take no new steps; what runs goes on. NotNow when there is nobody to hear it."""
        self._want("paused", at=at, by=by, wanted_state=Wanted.PAUSED)

    def resume(self, *, at: datetime, by: str) -> None:
        """Take steps again."""
        self._want("resumed", at=at, by=by, wanted_state=Wanted.WORKING)

    def drain(self, *, at: datetime, by: str) -> None:
        """Take no new steps, and end when the last of its own has ended."""
        self._want("drained", at=at, by=by, wanted_state=Wanted.DRAINING)

    def resize(self, slots: int, *, at: datetime, by: str) -> None:
        """Run so many steps at once, from now on; more than that which run already go on."""
        if not 1 <= slots <= MOST_SLOTS:
            raise RequestError(f"A worker has from 1 to {MOST_SLOTS} slots: to stop it from taking steps, pause it.")
        self._want("resized", at=at, by=by, wanted_slots=slots)

    def _want(self, verb: str, *, at: datetime, by: str, **wish: Any) -> None:
        alive = Worker.objects.alive(at).filter(pk=self.pk)
        with transaction.atomic(), recorded(verb, self):
            if not alive.update(wanted_at=at, wanted_by=by, **wish):
                raise NotNow(f"The worker {self.name} is not alive, so it cannot be asked anything.")
        self.refresh_from_db()
