"""Drop what no run needs any more, on this machine, now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from console.acting import ActingCommand
from jobs import clock
from jobs.upkeep.prune import acts_due, prune


class Command(ActingCommand):
    help = "Drop the stores and folders of ended runs, old log lines and acts, as CONSOLE_KEEP_… say."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say how many acts of the record would go.")

    def handle(self, *args: Any, dry_run: bool = False, **options: Any) -> None:
        if dry_run:
            count = acts_due(clock.now()).count()
            what = f"{count:,} {'act' if count == 1 else 'acts'}"
            self.stdout.write(f"{what} would be dropped (CONSOLE_KEEP_ACTS_DAYS).")
            return
        found = prune(clock.now())
        dropped = f"{found.folders} folders, {found.stores} stores elsewhere"
        rows = f"{found.rows} rows of log lines and events, {found.signals} of requests, grants, items and firings"
        self.stdout.write(f"Dropped {dropped}, {rows}, {found.acts} acts.")
