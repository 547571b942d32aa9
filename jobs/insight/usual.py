"""How long a pipeline usually takes, by its last successes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles

from django.db.models import F

from jobs.models import Run
from jobs.states import Status

SUCCESSES = 20


@dataclass(frozen=True)
class Usual:
    """Seconds from start to end of the last successes of a pipeline."""

    median: float
    p95: float
    count: int


def usual(pipeline_id: int, before: int | None = None) -> Usual | None:
    """By at most the last 20 successes with something to do (older than run `before`); None when there is none."""
    rows = Run.objects.filter(pipeline=pipeline_id, status=Status.SUCCEEDED, finished_at__gt=F("started_at"))
    times = rows.before(before).order_by("-id").values_list("started_at", "finished_at")[:SUCCESSES]
    seconds = [(finished - started).total_seconds() for started, finished in times if finished and started]
    if not seconds:
        return None
    p95 = quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return Usual(median(seconds), p95, len(seconds))
