"""Drop what no run needs any more, on this machine, now."""

from __future__ import annotations

from typing import Any

from console.acting import ActingCommand
from jobs import clock
from jobs.upkeep.prune import prune


class Command(ActingCommand):
    help = "Drop the stores and folders of ended runs, and old log lines, as CONSOLE_KEEP_… say."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        found = prune(clock.now())
        dropped = f"{found.folders} folders, {found.stores} stores elsewhere"
        rows = f"{found.rows} rows of log lines and events, {found.signals} of requests, grants, items and firings"
        self.stdout.write(f"Dropped {dropped}, {rows}.")
