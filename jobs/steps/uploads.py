"""Send kept files to the artifact store, again and again until it has them; nobody waits for it."""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from django.db import connection, transaction
from django.db.models import Min

from jobs import clock
from jobs.interpreters.artifacts import ask_store, put, waiting_folder
from jobs.models import Step, StoreCheck, Upload
from jobs.reconnect import attempt
from jobs.steps.alarm import Alarm
from kedro_console.wire import Json

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
LEASE: Final = timedelta(minutes=2)
"""How long nobody else tries a file that is being sent."""
FIRST_WAIT: Final = 5.0
LONGEST_WAIT: Final = 300.0
ORPHANED: Final = timedelta(days=1)
CHECK: Final = timedelta(seconds=60)
FAILING_CHECK: Final = timedelta(seconds=5)
MAX_ERROR: Final = 400

BELL: Final = Alarm()
"""Rings when this process has left files that wait."""


def wait(rows: Iterable[dict[str, Json]], at: datetime) -> None:
    """Within the transaction that makes the files known: they wait to be sent. Of equal files one is enough."""
    given = [Upload(**row, host=platform.node(), due_at=at, created_at=at) for row in rows]
    if given:
        Upload.objects.bulk_create(given, ignore_conflicts=True)
        transaction.on_commit(BELL.ring)


def take_over(at: datetime) -> int:
    """Whoever has a file sends it: a machine may have come back under another name, or shares its disk. How many."""
    here, taken = platform.node(), 0
    for upload in Upload.objects.overdue(at, here)[:1000]:
        place = next((path for path in _places(upload) if _is_whole(path, upload.size_bytes)), None)
        if place:
            mine = Upload.objects.filter(pk=upload.pk, due_at=upload.due_at)
            taken += mine.update(host=here, path=str(place), due_at=clock.now())
    return taken


def _places(upload: Upload) -> tuple[Path, Path]:
    return Path(upload.path), waiting_folder() / upload.sha256


def _is_whole(path: Path, size_bytes: int) -> bool:
    """It got its name, the checksum, when it was complete."""
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False


def check_store(at: datetime) -> None:
    """Ask the store how it is, for pages: now and then, and soon again while it is away."""
    here = platform.node()
    known = StoreCheck.objects.filter(host=here).first()
    if known and at - known.at < (FAILING_CHECK if known.error else CHECK):
        return
    try:
        ask_store()
        error = ""
    except Exception as refusal:  # noqa: BLE001 - every storage backend raises its own; all mean the same here
        error = _words(refusal)
    _heard(error)


def _heard(error: str) -> None:
    """The store has answered, or not: what it refused before need not wait any longer when it is back."""
    here, at = platform.node(), clock.now()
    if StoreCheck.objects.note(here, error, at):
        Upload.objects.refused().filter(host=here).update(due_at=at)


def send_waiting(at: datetime) -> int:
    """Send this machine's files that are due, until the store refuses one; how many it has now."""
    sent = 0
    for upload in Upload.objects.due(at, platform.node())[:1000]:
        mine = Upload.objects.filter(pk=upload.pk, due_at=upload.due_at)
        if not mine.update(due_at=clock.now() + LEASE):  # another worker of this machine has it
            continue
        if not _send(upload):
            break
        sent += 1
    if sent:
        _heard("")
    return sent


def _send(upload: Upload) -> bool:
    try:
        put(Path(upload.path), upload.sha256, upload.size_bytes, renew=partial(_renew, upload))
    except Exception as error:  # noqa: BLE001 - every storage backend raises its own; all mean the same here
        _wait_longer(upload, error)
        if Path(upload.path).exists():
            _heard(_words(error))
        return False
    Upload.objects.filter(pk=upload.pk).delete()
    Path(upload.path).unlink(missing_ok=True)
    return True


def _renew(upload: Upload) -> None:
    """A large file takes longer than the lease: nobody else tries it meanwhile."""
    Upload.objects.filter(pk=upload.pk).update(due_at=clock.now() + LEASE)


def _wait_longer(upload: Upload, error: Exception) -> None:
    seconds = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(upload.attempts, 10))
    words = _words(error)
    facts = {"attempts": upload.attempts + 1, "error": words}
    Upload.objects.filter(pk=upload.pk).update(due_at=clock.now() + timedelta(seconds=seconds), **facts)
    logger.warning("The artifact store did not take %s: %s", upload.name, words)


def _words(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:MAX_ERROR]


def drop_orphans(at: datetime) -> int:
    """Delete files that wait for nothing: their step never came to its end. How many.

    A step makes its files known at its end, so that none is dropped that is younger than a step which still runs.
    """
    oldest = Step.objects.running().aggregate(at=Min("started_at"))["at"]
    before = min(filter(None, [at - ORPHANED, oldest])).timestamp()
    dropped = 0
    for path in waiting_folder().glob("*") if waiting_folder().exists() else ():
        with suppress(FileNotFoundError):  # the sender was faster
            if path.stat().st_mtime < before and not Upload.objects.filter(sha256=path.name).exists():
                path.unlink()
                dropped += 1
    return dropped


class Sender(threading.Thread):
    """One thread per worker, with a database connection of its own: a store that hangs holds up nothing else."""

    def __init__(self) -> None:
        super().__init__(name="sender", daemon=True)
        self._is_stopping = False

    def run(self) -> None:
        while not self._is_stopping:
            attempt(lambda: self._turn(clock.now()), what="The sender", log=logger)
            BELL.sleep(LOOK_SECONDS)
        connection.close()

    def _turn(self, at: datetime) -> None:
        take_over(at)
        send_waiting(at)
        check_store(clock.now())

    def stop(self) -> None:
        """What is being sent is sent by the next worker of this machine, unless it is done in a moment."""
        self._is_stopping = True
        BELL.ring()
        self.join(2)
