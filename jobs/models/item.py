from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import Q

from jobs.models.batch_queue import BatchQueue
from jobs.models.run import Run
from jobs.models.step import Step
from jobs.states import ItemStatus

MAX_KEY: Final = 200


class ItemQuerySet(models.QuerySet["Item"]):
    def waiting(self) -> ItemQuerySet:
        return self.filter(status=ItemStatus.WAITING)

    def parked(self) -> ItemQuerySet:
        return self.filter(status=ItemStatus.PARKED)

    def held_by(self, run: int) -> ItemQuerySet:
        """What the run took and has neither finished nor given back."""
        return self.filter(run=run, status=ItemStatus.TAKEN)


class Item(models.Model):
    """One piece of stored work; its key is there once in its queue, however often it is put."""

    queue = models.ForeignKey(BatchQueue, models.PROTECT, related_name="items", db_index=False)
    key = models.CharField(max_length=MAX_KEY)
    body = models.JSONField(null=True)
    status = models.CharField(max_length=10, choices=ItemStatus, default=ItemStatus.WAITING)
    attempts = models.PositiveIntegerField(default=0, help_text="How many runs took it.")
    error = models.TextField(blank=True, help_text="Why it came back last, or why it is parked.")
    is_failed = models.BooleanField(default=False, help_text="Its run said so: it goes back when that run ends.")
    run = models.ForeignKey(
        Run, models.DO_NOTHING, null=True, related_name="items", db_constraint=False, db_index=False,
        help_text="The run that has it, or had it last.",
    )  # fmt: skip
    step = models.ForeignKey(
        Step, models.DO_NOTHING, null=True, related_name="+", db_constraint=False, db_index=False,
        help_text="The attempt that it was handed to.",
    )  # fmt: skip
    node = models.CharField(max_length=500, blank=True, help_text="The node that took it.")
    put_by_run = models.ForeignKey(
        Run, models.DO_NOTHING, null=True, related_name="+", db_constraint=False, db_index=False
    )
    created_at = models.DateTimeField()
    taken_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True, help_text="When it was done or parked.")

    objects = ItemQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["queue", "key"], name="item_key_once_in_queue")]
        indexes = [
            *[
                models.Index(fields=["queue", "id"], condition=Q(status=status), name=f"item_{status}")
                for status in (ItemStatus.WAITING, ItemStatus.DONE, ItemStatus.PARKED)
            ],
            models.Index(fields=["run", "queue", "id"], condition=Q(status=ItemStatus.TAKEN), name="item_taken"),
            models.Index(fields=["run", "id"], condition=Q(run__isnull=False), name="item_of_run"),
        ]
        permissions = [("retry_item", "Can put parked items back")]

    def __str__(self) -> str:
        return self.key
