"""What the page that compares two runs of a pipeline shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from jobs.insight.compare import differences, last_success
from jobs.models import NodeRun, Run

CHOICES: Final = 25
SHORTEST_SECONDS: Final = 0.05
"""Of what takes less in both runs a ratio says nothing."""


@dataclass(frozen=True)
class Pair:
    """One node in both runs; None: it was not in that run."""

    name: str
    before: NodeRun | None
    after: NodeRun | None

    @property
    def both(self) -> tuple[NodeRun | None, NodeRun | None]:
        return self.before, self.after

    @property
    def ratio(self) -> float | None:
        """How many times as long the later one took; None when one of them has no time worth comparing."""
        before, after = (row.seconds if row else None for row in self.both)
        return after / before if before and after is not None and max(before, after) >= SHORTEST_SECONDS else None


def context(run: Run, other: Run | None) -> dict[str, Any]:
    """What templates/runs/_compare.html needs beside the run; the older of the two is the left one."""
    before, after = sorted((run, other), key=lambda each: each.pk) if other else (None, run)
    return {
        "other": other,
        "before": before,
        "after": after,
        "both": [before, after],
        "choices": choices(run, other),
        "differences": differences(before, after) if before else [],
        "pairs": pairs(before, after) if before else [],
    }


def choices(run: Run, other: Run | None) -> list[Run]:
    """The newest runs of the pipeline but for this one, and the one that is chosen."""
    rows = Run.objects.filter(pipeline=run.pipeline_id).exclude(pk=run.pk).only("status", "created_at", "pipeline_id")
    found = list(rows.order_by("-pk")[:CHOICES])
    return found if other is None or other in found else [*found, other]


def usual_other(run: Run) -> Run | None:
    """What one would compare it with: the last success before it, else the run before it."""
    earlier = Run.objects.filter(pipeline=run.pipeline_id).before(run.pk).order_by("-pk")
    return last_success(run) or earlier.first()


def pairs(before: Run, after: Run) -> list[Pair]:
    """The nodes of both, in the order of the later run."""
    one, other = ({row.name: row for row in rows} for rows in NodeRun.of_each([before, after]))
    return [Pair(name, one.get(name), other.get(name)) for name in {**other, **one}]
