from __future__ import annotations

import re
from typing import Any, Final, NamedTuple, Self

from django.db import models

from jobs.models.run import Run
from jobs.models.step import Step

COLOURS: Final = re.compile(r"\x1b\[[0-9;:]*m")
COLOURS_IN_JSON: Final = re.compile(r"\\u001b\[[0-9;:]*m")


class Line(NamedTuple):
    """One log line as it is stored: `at` is seconds since the epoch."""

    seq: int
    at: float
    level: str
    stream: str
    node: str
    text: str
    logger: str = ""

    @property
    def plain(self) -> str:
        """Its text without colours."""
        return COLOURS.sub("", self.text) if "\x1b" in self.text else self.text

    @property
    def is_foreign(self) -> bool:
        """Whether its logger says something that Kedro's own and the plain ones do not."""
        return bool(self.logger) and self.logger.partition(".")[0] not in ("kedro", "root", "py")


class LogChunkQuerySet(models.QuerySet["LogChunk"]):
    def after(self, seq: int) -> Self:
        return self.filter(last_seq__gt=seq).order_by("first_seq")


class LogChunk(models.Model):
    """Consecutive log lines of a step, stored together."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="log_chunks")
    step = models.ForeignKey(Step, models.CASCADE, related_name="log_chunks")
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    content: models.JSONField[Any, Any] = models.JSONField(
        help_text="Lists of: seq, at, level, stream, node, text, logger."
    )

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
