from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import models
from django.db.models import Q

from jobs.models.run import Run
from jobs.models.schedule import Schedule
from jobs.states import TickDecision

REASON_LENGTH = 500


class TickQuerySet(models.QuerySet["Tick"]):
    def newest(self) -> TickQuerySet:
        return self.select_related("schedule__periodic_task", "run").order_by("-due_at", "-id")

    def waiting(self) -> TickQuerySet:
        """Those that a worker is to start, or that a worker which is gone was about to start."""
        return self.filter(decision=TickDecision.DUE)

    def troubled(self) -> TickQuerySet:
        """Those that started nothing although they should have, until somebody says that this is known."""
        return self.filter(decision__in=[TickDecision.REFUSED, TickDecision.MISSED], dismissed_at=None)


class Tick(models.Model):
    """One due time of a schedule and what was decided of it: there is one for each, whatever became of it."""

    schedule = models.ForeignKey(Schedule, models.CASCADE, related_name="ticks", db_index=False)
    due_at = models.DateTimeField()
    decision = models.CharField(max_length=20, choices=TickDecision)
    reason = models.CharField(max_length=REASON_LENGTH, blank=True)
    run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="ticks")
    decided_at = models.DateTimeField()
    token = models.BigIntegerField(default=0, help_text="Of the beat that led then; 0: a person or a worker decided.")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When a worker was told of it.")
    lateness_seconds = models.FloatField(
        null=True, blank=True, help_text="From its due time until its run's first node began."
    )
    dismissed_at = models.DateTimeField(null=True, blank=True)
    dismissed_by = models.CharField(max_length=150, blank=True)

    WITHOUT_RUN: Final = (TickDecision.SKIPPED, TickDecision.PAUSED, TickDecision.MISSED, TickDecision.REFUSED)
    """What may be made up for."""

    objects = TickQuerySet.as_manager()

    class Meta:
        ordering = ["-due_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["schedule", "due_at"], name="tick_once_for_due_time")]
        indexes = [
            models.Index(fields=["due_at"], name="tick_by_due"),
            models.Index(fields=["id"], condition=Q(decision=TickDecision.DUE), name="tick_waiting"),
            models.Index(
                fields=["-due_at"],
                condition=Q(decision__in=[TickDecision.REFUSED, TickDecision.MISSED], dismissed_at=None),
                name="tick_troubled",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule}, due {self.due_at:%Y-%m-%d %H:%M:%S}"

    def settle(self, decision: TickDecision, *, at: datetime, reason: str = "", run: Run | None = None) -> bool:
        """Write down what came of it; False when another was faster: then nothing of what it decided counts."""
        waiting, reason = Tick.objects.waiting().filter(pk=self.pk), reason[:REASON_LENGTH]
        if not waiting.update(decision=decision, reason=reason, run=run, decided_at=at):
            return False
        self.decision, self.reason, self.run, self.decided_at = decision, reason, run, at
        return True

    def become_made_up(self, run: Run, *, at: datetime) -> bool:
        """A run starts for it after all; False when another was faster."""
        open_ones = Tick.objects.filter(pk=self.pk, decision__in=self.WITHOUT_RUN)
        made = open_ones.update(decision=TickDecision.MADE_UP, run=run, decided_at=at)
        self.refresh_from_db()
        return bool(made)
