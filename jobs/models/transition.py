from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.db import models, transaction

from jobs.errors import IllegalMove
from jobs.states import FINAL, Status, sources


class Transition(models.Model):
    """An immutable row: a run (or one of its steps) changed status, when, by whom and why."""

    run = models.ForeignKey("jobs.Run", models.CASCADE, related_name="transitions")
    step = models.ForeignKey("jobs.Step", models.CASCADE, null=True, blank=True, related_name="transitions")
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20, choices=Status)
    at = models.DateTimeField()
    by = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.from_status or 'new'} → {self.to_status}"


class Moving(models.Model):
    """A row with a status that one private door moves, each move written down."""

    status = models.CharField(max_length=20, choices=Status, default=Status.QUEUED)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    def _history(self) -> dict[str, Any]:
        """What a Transition of this row points at."""
        raise NotImplementedError

    def _begin(self, at: datetime, by: str, reason: str) -> None:
        """Write the first Transition of a row that was just made."""
        Transition.objects.create(**self._history(), to_status=self.status, at=at, by=by, reason=reason)

    def _move(
        self, to: Status, *, at: datetime, by: str, reason: str = "", only: models.Q | None = None, **facts: Any
    ) -> Self:
        """Move this row, or raise IllegalMove; `only` narrows whom the move is allowed to (a lease token).

        `only` joins no table: an UPDATE that waited for another looks again at its own row's columns, not at a join's.
        """
        if to in FINAL:
            facts["finished_at"] = at
        rows = type(self)._default_manager.filter(pk=self.pk)
        with transaction.atomic(savepoint=False):
            before = _only(sources(to)) or rows.select_for_update().values_list("status", flat=True).get()
            moved = rows.filter(only or models.Q(), status__in=sources(to)).update(status=to, **facts)
            if moved:
                was = {"from_status": before, "to_status": to}
                Transition.objects.create(**self._history(), **was, at=at, by=by, reason=reason)
                for name, value in {**facts, "status": to}.items():
                    setattr(self, name, value)
                self._has_moved()
        if not moved:
            raise IllegalMove(str(self._meta.verbose_name), rows.values_list("status", flat=True).get(), to)
        return self

    def _has_moved(self) -> None:
        """What else is written with a move, in its transaction."""


def _only(statuses: frozenset[Status]) -> Status | None:
    """The one status among them, when there is only one: then nobody has to look what it was."""
    return next(iter(statuses)) if len(statuses) == 1 else None


def final_has_finished_at(table: str) -> models.CheckConstraint:
    """`finished_at` is set exactly when the status is final."""
    is_final = models.Q(status__in=sorted(FINAL))
    return models.CheckConstraint(
        condition=(is_final & models.Q(finished_at__isnull=False)) | (~is_final & models.Q(finished_at__isnull=True)),
        name=f"{table}_finished_at_when_final",
    )
