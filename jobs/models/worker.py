from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models

SILENT_AFTER = timedelta(seconds=20)


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self, at: datetime) -> WorkerQuerySet:
        return self.filter(heartbeat_at__gte=at - SILENT_AFTER, stopped_at__isnull=True)


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

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def is_alive(self, at: datetime) -> bool:
        return self.stopped_at is None and self.heartbeat_at >= at - SILENT_AFTER
