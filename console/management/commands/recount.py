"""`manage.py recount`: make true what is kept beside the rows it follows from."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from console.acting import ActingCommand
from jobs.library.shelve import shelve_missed
from jobs.models import BatchQueue


class Command(ActingCommand):
    help = "Count again what is kept instead of counted: shelves and batch queues."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            missed = shelve_missed()
        self.stdout.write(f"Shelves: {missed:,} files were missing.")
        for queue in BatchQueue.objects.order_by("name"):
            with transaction.atomic():
                BatchQueue.objects.in_turn().get(pk=queue.pk).recount()
            self.stdout.write(f"Batch queue {queue}: {'; '.join(_changes(queue)) or 'was right'}.")


def _changes(before: BatchQueue) -> list[str]:
    after = BatchQueue.objects.get(pk=before.pk)
    names = ("waiting", "taken", "done", "parked")
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in names]
    return [f"{name} was {old:,} and is {new:,}" for name, old, new in pairs if old != new]
