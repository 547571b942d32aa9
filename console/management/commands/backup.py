"""`manage.py backup FILE`: all that this console remembers, in one file, while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from console.acting import ActingCommand, who
from console.management.progress import Progress
from jobs import clock
from jobs.errors import ConsoleError
from jobs.upkeep.backup import backup

SHOWN: Final = 5


class Command(ActingCommand):
    help = "Write rows, kept files and keys into one file, while the console runs. `restore` makes a console of it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="A new file (tar); only its owner may read it.")
        parser.add_argument("--quiet", action="store_true", help="Say nothing but what went wrong.")

    def handle(self, *_: Any, file: Path, quiet: bool, **__: Any) -> None:
        say = Progress(self.stdout, is_quiet=quiet)
        try:
            counts = backup(file.expanduser().absolute(), at=clock.now(), by=who(), say=say)
        except ConsoleError as error:
            raise CommandError(str(error)) from error
        say.end()
        if not quiet:
            rows, size = sum(counts.rows.values()), file.expanduser().stat().st_size
            self.stdout.write(f"{file}: {rows:,} rows and {counts.files:,} files, {size / 1e6:,.1f} MB.")
            self.stdout.write("It holds the keys that open the console's secrets: only you may read it, keep it so.")
        if counts.missing:
            reasons = list(counts.missing.values())
            more = f"\n  and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
            told = "".join(f"\n  {reason}" for reason in reasons[:SHOWN])
            raise CommandError(f"The backup is written, without these files ({len(reasons)}):{told}{more}")
