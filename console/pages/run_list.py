"""One screenful of runs, found by key: as fast among a million rows as among a hundred."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from console.pages.find_runs import found, found_after
from console.pages.search import Search
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
    looked_to: int | None = None
    """Older runs than this may match and were not looked at yet."""

    @property
    def live(self) -> list[Run]:
        return [run for run in self.runs if not run.is_final]

    @property
    def live_numbers(self) -> str:
        """As the address of the next look at them has it: `3,7,12`."""
        return ",".join(str(run.pk) for run in self.live)


def screen(search: Search, at: datetime, *, look: int, before: int | None = None, after: int | None = None) -> Screen:
    """The runs before one number, or right after another, or the newest; `look` is for how many rows at most."""
    if after is not None and (following := _newer(search, at, after)):
        return following
    before = None if after is not None else before  # fewer than a screen are newer: the newest screen holds them all
    seen = found(search, at, SCREEN + 1, before=before, look=look)
    shown = seen.numbers[-SCREEN:]
    has_older = len(seen.numbers) > SCREEN
    return Screen(
        rows(shown),
        older=shown[0] if has_older else None,
        newer=shown[-1] if before is not None and shown else None,
        looked_to=None if has_older else seen.looked_to,
    )


def _newer(search: Search, at: datetime, after: int) -> Screen | None:
    """A full screen, or what was found before the look ended; None when there is neither."""
    seen = found_after(search, at, SCREEN + 1, after=after)
    if len(seen.numbers) > SCREEN:
        return Screen(rows(seen.numbers[:SCREEN]), older=seen.numbers[0], newer=seen.numbers[SCREEN - 1])
    if seen.looked_to is not None and seen.numbers:
        return Screen(rows(seen.numbers), older=seen.numbers[0], newer=seen.looked_to)
    return None


def rows(numbers: list[int]) -> list[Run]:
    """These runs, newest first, with what a list shows of them and no more."""
    chosen: RunQuerySet = Run.objects.filter(pk__in=numbers).newest().only(*SHOWN)
    return list(chosen)
