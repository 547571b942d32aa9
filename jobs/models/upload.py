from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import models


class UploadQuerySet(models.QuerySet["Upload"]):
    def due(self, at: datetime, host: str) -> UploadQuerySet:
        """Those of files of this machine that may be tried now, the longest due first."""
        return self.filter(host=host, due_at__lte=at).order_by("due_at")

    def refused(self) -> UploadQuerySet:
        """Those that the store did not take when it was asked last."""
        return self.exclude(error="")

    def of(self, sums: Iterable[str]) -> UploadQuerySet:
        return self.filter(sha256__in=sums)


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
