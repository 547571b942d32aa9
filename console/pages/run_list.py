"""One screenful of runs, found by key: as fast among a million rows as among a hundred."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from console.pages.search import Search, found
from jobs.models import Run
from jobs.models.run import RunQuerySet

SCREEN: Final = 50
SHOWN: Final = (
    "status", "cause", "requested_by_name", "parameters", "error", "wait_reason", "created_at", "started_at",
    "finished_at", "cancel_requested_at", "nodes_total", "nodes_done", "pipeline__name", "pipeline__project__name",
)  # fmt: skip


@dataclass(frozen=True)
class Screen:
    """Runs, newest first, and from which number to go on in each direction (None: there is nothing)."""

    runs: list[Run]
    older: int | None = None
    newer: int | None = None

    @property
    def live(self) -> list[Run]:
        return [run for run in self.runs if not run.is_final]

    @property
    def live_numbers(self) -> str:
        """As the address of the next look at them has it: `3,7,12`."""
        return ",".join(str(run.pk) for run in self.live)


def screen(search: Search, at: datetime, *, before: int | None = None, after: int | None = None) -> Screen:
    """The runs before one number, or right after another, or the newest."""
    if after is not None:
        numbers = found(search, at, lambda rows: rows.filter(pk__gt=after).order_by("pk"), SCREEN + 1)
        if len(numbers) > SCREEN:
            return Screen(rows(numbers[:SCREEN]), older=numbers[0], newer=numbers[SCREEN - 1])
        before = None  # fewer than a screen are newer: the newest screen holds them all
    numbers = found(search, at, lambda some: some.before(before).order_by("-pk"), SCREEN + 1)
    shown = numbers[-SCREEN:]
    has_older = len(numbers) > SCREEN
    return Screen(
        rows(shown), older=shown[0] if has_older else None, newer=shown[-1] if before is not None and shown else None
    )


def rows(numbers: list[int]) -> list[Run]:
    """These runs, newest first, with what a list shows of them and no more."""
    chosen: RunQuerySet = Run.objects.filter(pk__in=numbers).newest().only(*SHOWN)
    return list(chosen)
