from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models

LATELY = timedelta(minutes=3)


class StoreCheckQuerySet(models.QuerySet["StoreCheck"]):
    def lately(self, at: datetime) -> StoreCheckQuerySet:
        """Those that still say something about now, the worst and then the newest first."""
        return self.filter(at__gte=at - LATELY).order_by(models.F("failing_since").desc(nulls_last=True), "-at")

    def note(self, host: str, error: str, at: datetime) -> bool:
        """What this machine was told just now; whether that is good news. Machines that are gone are forgotten."""
        known = self.filter(host=host).first()
        was_failing = known.failing_since if known else None
        facts = {"at": at, "error": error, "failing_since": (was_failing or at) if error else None}
        self.update_or_create(host=host, defaults=facts)
        self.filter(at__lt=at - timedelta(days=1)).delete()
        return bool(was_failing) and not error


class StoreCheck(models.Model):
    """How the artifact store answered a machine when it was asked last."""

    host = models.CharField(max_length=255, unique=True)
    at = models.DateTimeField()
    error = models.TextField(blank=True, help_text="Empty: it answered.")
    failing_since = models.DateTimeField(null=True, blank=True)

    objects = StoreCheckQuerySet.as_manager()

    class Meta:
        ordering = ["host"]

    def __str__(self) -> str:
        return self.host
