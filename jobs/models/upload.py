from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import models

from jobs.models.worker import Worker

ON_THE_WAY = timedelta(seconds=15)
"""A file that waits for longer is no longer simply on its way."""


OVERDUE = timedelta(seconds=30)


class UploadQuerySet(models.QuerySet["Upload"]):
    def due(self, at: datetime, host: str) -> UploadQuerySet:
        """Those of files of this machine that may be tried now, the longest due first."""
        return self.filter(host=host, due_at__lte=at).order_by("due_at")

    def refused(self) -> UploadQuerySet:
        """Those that the store did not take when it was asked last."""
        return self.exclude(error="")

    def late(self, at: datetime) -> UploadQuerySet:
        """Those that people should hear of: refused, or waiting for longer than a sending takes to begin."""
        return self.filter(~models.Q(error="") | models.Q(created_at__lt=at - ON_THE_WAY))

    def overdue(self, at: datetime, host: str) -> UploadQuerySet:
        """Those of other machines that nobody there sends, though it is time."""
        return self.exclude(host=host).filter(due_at__lt=at - OVERDUE).order_by("due_at")

    def of(self, sums: Iterable[str]) -> UploadQuerySet:
        return self.filter(sha256__in=sums)

    def stranded(self, at: datetime) -> dict[str, bool]:
        """Of each machine that has one of these, whether no worker is alive there: two questions for any number."""
        hosts = set(self.order_by().values_list("host", flat=True).distinct())
        alive = set(Worker.objects.alive(at).filter(host__in=hosts).values_list("host", flat=True)) if hosts else set()
        return {host: host not in alive for host in hosts}

    def sentences(self, at: datetime) -> dict[str, str]:
        """Why the store does not have them, by checksum."""
        stranded = self.stranded(at)
        return {each.sha256: each.sentence(at, is_stranded=stranded.get(each.host)) for each in self if stranded}


class Upload(models.Model):
    """A kept file that waits on a worker's machine until the artifact store has it; then its row goes."""

    sha256 = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=255)
    path = models.TextField(help_text="Where it lies until then.")
    host = models.CharField(max_length=255, help_text="The machine on which it lies.")
    size_bytes = models.BigIntegerField()
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True, help_text="Why the store did not take it; empty: it was not asked yet.")
    due_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField()

    objects = UploadQuerySet.as_manager()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name

    def is_late(self, at: datetime) -> bool:
        return bool(self.error) or self.created_at < at - ON_THE_WAY

    def is_stranded(self, at: datetime) -> bool:
        """Whether no worker is alive on the machine that has the file."""
        return not Worker.objects.alive(at).filter(host=self.host).exists()

    def sentence(self, at: datetime, *, is_stranded: bool | None = None) -> str:
        """Why the store does not have it, for people; of many, somebody has asked already which are stranded."""
        times = "once" if self.attempts == 1 else f"{self.attempts:,} times"
        said = f"The store did not take it, {times}: {self.error.rstrip('.')}. " if self.error else ""
        if self.is_stranded(at) if is_stranded is None else is_stranded:
            return f"{said}No worker is alive on {self.host}, where it is kept: start one there, and it is sent."
        if not said and not self.is_late(at):
            return "It is on its way."
        return f"{said}It is kept on {self.host} and sent again until the store has it."
