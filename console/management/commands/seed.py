"""`manage.py seed --runs N`: a made-up history, to try the console with and to measure it."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandError, CommandParser

from console.acting import ActingCommand
from console.management.progress import Progress
from jobs import clock
from jobs.errors import ConsoleError
from jobs.seeding.seed import seed as write_history
from jobs.seeding.seed import why_not


class Command(ActingCommand):
    help = "Write a made-up history of the registered pipelines. Nothing is run, and nobody is told of it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--runs", type=int, default=1_000, metavar="N", help="How many runs (1,000).")
        parser.add_argument("--days", type=float, default=21, metavar="D", help="Over how many days until now (21).")
        parser.add_argument("--seed", type=int, default=1, metavar="S", help="Another number, another history (1).")
        parser.add_argument("--more", action="store_true", help="Also where there are runs that were not made up.")
        parser.add_argument("--beside-workers", action="store_true", help="Also while workers are alive.")
        parser.add_argument("--quiet", action="store_true", help="Say nothing but what went wrong.")

    def handle(self, *_: Any, runs: int, days: float, seed: int, **options: Any) -> None:
        say, begun, at = Progress(self.stdout, is_quiet=options["quiet"]), time.monotonic(), clock.now()
        if why := why_not(at, is_more=options["more"], is_beside=options["beside_workers"]):
            raise CommandError(why)
        try:
            first = write_history(runs, days=days, at=at, number=seed, say=say)
        except ConsoleError as error:
            raise CommandError(str(error)) from error
        say.end()
        if not options["quiet"]:
            seconds = time.monotonic() - begun
            self.stdout.write(f"{runs:,} made-up runs since {first:%Y-%m-%d %H:%M} UTC, written in {seconds:.0f} s.")
