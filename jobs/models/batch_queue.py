from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import IntegrityError, models, transaction
from django.db.models import Count, F, Min, Q
from django.urls import reverse

from jobs.states import ItemStatus

NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,78}[A-Za-z0-9])?")
COUNTERS: Final = tuple(ItemStatus.values)
SLOT: Final = timedelta(minutes=5)
SLOTS_IN_AN_HOUR: Final = 12


def check_name(name: str) -> None:
    """A name goes into addresses and expressions."""
    if not NAME.fullmatch(name):
        raise ValidationError("A batch queue's name has letters, digits, and _ - . between them, at most 80.")


class BatchQueueQuerySet(models.QuerySet["BatchQueue"]):
    def in_turn(self) -> BatchQueueQuerySet:
        """Locked until the transaction ends, and always in the same order: whoever moves items waits for their turn."""
        return self.order_by("pk").select_for_update(no_key=True)


class BatchQueue(models.Model):
    """Stored work that runs take in batches; its counters change in the transactions that move items, so are exact."""

    EDITED: ClassVar = ("name", "description", "max_attempts", "keep_days")

    name = models.CharField(max_length=80, unique=True, validators=[check_name])
    description = models.TextField(blank=True)
    max_attempts = models.PositiveSmallIntegerField(
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="An item that came back so many times is parked with its error.",
    )
    keep_days = models.PositiveIntegerField(
        default=0, help_text="Done items are deleted after so many days, and their keys can be put in anew; 0: never."
    )
    waiting = models.BigIntegerField(default=0, editable=False)
    taken = models.BigIntegerField(default=0, editable=False)
    done = models.BigIntegerField(default=0, editable=False, help_text="Those that were not pruned yet.")
    parked = models.BigIntegerField(default=0, editable=False)
    first_id = models.BigIntegerField(default=0, editable=False, help_text="No item before this one waits.")
    pace = models.JSONField(default=list, editable=False, help_text="[five minutes since 1970, items done], an hour.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = BatchQueueQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = "batch queue"
        constraints = [
            models.CheckConstraint(condition=Q(**{f"{name}__gte": 0}), name=f"batch_queue_{name}_not_negative")
            for name in COUNTERS
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("batch_queue", args=[self.name])

    def count(self, *, first_id: Any = None, **changes: int) -> None:
        """Change the counters with the rows. Where they were wrong before, the rows are counted: nothing gets stuck."""
        facts: dict[str, Any] = {name: F(name) + change for name, change in changes.items() if change}
        if first_id is not None:
            facts["first_id"] = first_id
        if not facts:
            return
        try:
            with transaction.atomic():
                BatchQueue.objects.filter(pk=self.pk).update(**facts)
        except IntegrityError:
            self.recount()
        for name, change in changes.items():
            setattr(self, name, getattr(self, name) + change)

    def recount(self) -> None:
        """Set the counters to what the rows say; in the queue's turn."""
        found = self.items.aggregate(
            **{name: Count("pk", filter=Q(status=name)) for name in COUNTERS},
            first_id=Min("pk", filter=Q(status=ItemStatus.WAITING)),
        )
        BatchQueue.objects.filter(pk=self.pk).update(**{**found, "first_id": found["first_id"] or 0})

    def note_done(self, number: int, at: datetime) -> None:
        """Remember the pace of the last hour; in the queue's turn."""
        slot = int(at.timestamp() // SLOT.total_seconds())
        counts = {known: count for known, count in self.pace if known > slot - SLOTS_IN_AN_HOUR}
        counts[slot] = counts.get(slot, 0) + number
        self.pace = sorted(counts.items())
        BatchQueue.objects.filter(pk=self.pk).update(pace=self.pace)

    def paces(self, at: datetime) -> list[int]:
        """How many items were done in each five minutes of the last hour, the newest last."""
        slot = int(at.timestamp() // SLOT.total_seconds())
        counts = dict(self.pace)
        return [counts.get(slot - back, 0) for back in reversed(range(SLOTS_IN_AN_HOUR))]

    @property
    def total(self) -> int:
        return self.waiting + self.taken + self.done + self.parked
