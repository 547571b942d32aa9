from __future__ import annotations

from django.db import models

from jobs.models.run import Run
from jobs.models.step import Step


class Event(models.Model):
    """An immutable fact reported by a step's child."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="events")
    step = models.ForeignKey(Step, models.CASCADE, related_name="events")
    seq = models.BigIntegerField(help_text="Its place among the run's events and log lines.")
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    node = models.CharField(max_length=500, blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["run", "seq"]
        constraints = [models.UniqueConstraint(fields=["run", "seq"], name="event_once_in_run")]

    def __str__(self) -> str:
        return f"{self.kind} {self.node}".strip()
