from __future__ import annotations

from typing import Any, NamedTuple, Self

from django.db import models

from jobs.models.run import Run
from jobs.models.step import Step


class Line(NamedTuple):
    """One log line as it is stored: `at` is seconds since the epoch."""

    seq: int
    at: float
    level: str
    stream: str
    node: str
    text: str


class LogChunkQuerySet(models.QuerySet["LogChunk"]):
    def after(self, seq: int) -> Self:
        return self.filter(last_seq__gt=seq).order_by("first_seq")


class LogChunk(models.Model):
    """Consecutive log lines of a step, stored together."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="log_chunks")
    step = models.ForeignKey(Step, models.CASCADE, related_name="log_chunks")
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    content: models.JSONField[Any, Any] = models.JSONField(help_text="Lists of: seq, at, level, stream, node, text.")

    objects = LogChunkQuerySet.as_manager()

    class Meta:
        ordering = ["run", "first_seq"]
        constraints = [models.UniqueConstraint(fields=["run", "first_seq"], name="log_chunk_once")]
        indexes = [models.Index(fields=["run", "last_seq"], name="log_chunk_tail")]

    def __str__(self) -> str:
        return f"lines {self.first_seq}–{self.last_seq} of run #{self.run_id}"

    @property
    def lines(self) -> list[Line]:
        return [Line(*fields) for fields in self.content]
