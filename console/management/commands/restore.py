"""`manage.py restore FILE`: make a console of what `backup` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from console.acting import ActingCommand, who
from console.env import ENV, keep_keys
from console.management.progress import Progress
from console.tree import lock, prepare
from console.tree.turn import taken
from jobs import clock
from jobs.errors import ConsoleError, RequestError
from jobs.reconnect import wait_at_most
from jobs.telling.links import served_at
from jobs.upkeep.restore import Contents, Keyring, Keys, Restored, read, restore


class Command(ActingCommand):
    help = "Fill an empty console, on any database and store, with a backup. Stop the console first."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="What `backup` wrote.")
        parser.add_argument("--replace", action="store_true", help="Also where there is a console: its rows are lost.")
        parser.add_argument("--quiet", action="store_true", help="Say nothing but what went wrong.")

    def handle(self, *_: Any, file: Path, replace: bool, quiet: bool, **__: Any) -> None:
        say = Progress(self.stdout, is_quiet=quiet)
        try:
            prepare.prepare_folder(ENV.var)
            prepare.is_database_new()
            wait_at_most(0)
            held = lock.take(ENV.var, served_at(ENV.var))
            try:
                done = self._restore(file.expanduser().absolute(), say, is_replacing=replace)
            finally:
                lock.give(held)
        except ConsoleError as error:
            raise CommandError(str(error)) from error
        say.end()
        if not quiet:
            self._tell(done)

    def _restore(self, file: Path, say: Progress, *, is_replacing: bool) -> Restored:
        contents = read(file, say)
        _check_keys(contents)
        with taken(say):
            return restore(
                file, contents, is_replacing=is_replacing, at=clock.now(), by=f"restore by {who()}"[:150], say=say,
                keys=KeysInFiles(contents.keys),
            )  # fmt: skip

    def _tell(self, done: Restored) -> None:
        rows, files = sum(done.contents.rows.values()), done.contents.files
        made = done.contents.manifest
        self.stdout.write(f"Restored {rows:,} rows and {files:,} files of {made['made_at'][:16]} ({made['host']}).")
        if done.interrupted:
            said = f"Runs that were under way then ({done.interrupted}) are crashed now, and can be resumed."
            self.stdout.write(said)
        if missing := len(done.contents.missing):
            said = f"Files that the backup could not have ({missing}) are missing here too: their rows are there alone."
            self.stderr.write(said)


def _check_keys(contents: Contents) -> None:
    """What the environment says counts, so it has to open what the backup holds."""
    lacking = [key for key in contents.keys.encryption_keys if key not in ENV.encryption_keys]
    if ENV.has_own_keys and lacking:
        raise RequestError(
            "CONSOLE_ENCRYPTION_KEYS does not have the key that encrypted the backup's secrets: add it after yours. "
            "It stands in the file: `tar -xOf FILE keys.json`."
        )


class KeysInFiles(Keyring):
    """Keys in files of CONSOLE_VAR become the backup's; those of the environment stay."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def add(self) -> None:
        if not ENV.has_own_keys:
            both = dict.fromkeys([*self._keys.encryption_keys, *ENV.encryption_keys])
            self._keep(ENV.secret_key, list(both))

    def settle(self) -> None:
        if not ENV.has_own_keys:
            self._keep(self._keys.secret_key, self._keys.encryption_keys)

    def _keep(self, secret_key: str, encryption_keys: list[str]) -> None:
        keep_keys(ENV.var, secret_key, encryption_keys)
        settings.CONSOLE_ENCRYPTION_KEYS = encryption_keys
