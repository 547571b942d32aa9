from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q

from jobs.models.batch_queue import BatchQueue
from jobs.models.run import Run


class Taking(models.Model):
    """What one run put into and took from one batch queue, and what became of it; it outlives the pruned items."""

    run = models.ForeignKey(Run, models.DO_NOTHING, related_name="takings", db_constraint=False, db_index=False)
    queue = models.ForeignKey(BatchQueue, models.CASCADE, related_name="takings")
    put = models.BigIntegerField(default=0, help_text="New items that it put in.")
    known = models.BigIntegerField(default=0, help_text="Items that it put in and that were there.")
    taken = models.BigIntegerField(default=0)
    done = models.BigIntegerField(default=0)
    parked = models.BigIntegerField(default=0)
    given_back = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0, help_text="Taken, and neither done nor parked nor given back yet.")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["run", "queue"], name="taking_once_for_run_and_queue")]
        indexes = [models.Index(fields=["run"], condition=Q(held__gt=0), name="taking_held")]

    def __str__(self) -> str:
        return f"run #{self.run_id} and {self.queue.name}"

    @classmethod
    def note(cls, run: int, queue: BatchQueue, **changes: int) -> None:
        """Add to what the run has done with the queue; in the queue's turn."""
        cls.objects.get_or_create(run_id=run, queue=queue)
        rows: models.QuerySet[Taking] = cls.objects.filter(run_id=run, queue=queue)
        facts: dict[str, Any] = {name: F(name) + change for name, change in changes.items()}
        rows.update(**facts)
