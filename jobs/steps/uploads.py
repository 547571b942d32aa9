"""Send kept files to the artifact store, again and again until it has them; nobody waits for it."""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.db import connection, transaction

from jobs import clock
from jobs.interpreters.artifacts import put, waiting_folder
from jobs.models import Upload
from jobs.reconnect import attempt
from jobs.steps.alarm import Alarm

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
LEASE: Final = timedelta(minutes=2)
"""So long nobody else tries a file that is being sent."""
FIRST_WAIT: Final = 5.0
LONGEST_WAIT: Final = 300.0
ORPHANED_SECONDS: Final = 24 * 3600.0
MAX_ERROR: Final = 400

BELL: Final = Alarm()
"""Rings when this process has left files that wait."""


def wait(rows: Iterable[dict[str, Any]], at: datetime) -> None:
    """Within the transaction that makes the files known: they wait to be sent. Of equal files one is enough."""
    given = [Upload(**row, host=platform.node(), due_at=at, created_at=at) for row in rows]
    if given:
        Upload.objects.bulk_create(given, ignore_conflicts=True)
        transaction.on_commit(BELL.ring)


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
    if sent:  # the store is back: what it refused before need not wait any longer
        Upload.objects.filter(host=platform.node(), attempts__gt=0).exclude(error="").update(due_at=clock.now())
    return sent


def _send(upload: Upload) -> bool:
    try:
        put(Path(upload.path), upload.sha256, upload.size_bytes)
    except Exception as error:  # noqa: BLE001 - every storage backend raises its own; all mean the same here
        _wait_longer(upload, error)
        return False
    Upload.objects.filter(pk=upload.pk).delete()
    Path(upload.path).unlink(missing_ok=True)
    return True


def _wait_longer(upload: Upload, error: Exception) -> None:
    seconds = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(upload.attempts, 10))
    words = " ".join(str(error).split()) or type(error).__name__
    facts = {"attempts": upload.attempts + 1, "error": words[:MAX_ERROR]}
    Upload.objects.filter(pk=upload.pk).update(due_at=clock.now() + timedelta(seconds=seconds), **facts)
    logger.warning("The artifact store did not take %s: %s", upload.name, words)


def drop_orphans(at: datetime) -> int:
    """Delete files that wait for nothing: their step never came to its end. How many."""
    dropped = 0
    for path in waiting_folder().glob("*") if waiting_folder().exists() else ():
        is_old = at.timestamp() - path.stat().st_mtime > ORPHANED_SECONDS
        if is_old and not Upload.objects.filter(path=str(path)).exists():
            path.unlink(missing_ok=True)
            dropped += 1
    return dropped


class Sender(threading.Thread):
    """One thread per worker, with a database connection of its own: a store that hangs holds up nothing else."""

    def __init__(self) -> None:
        super().__init__(name="sender", daemon=True)
        self._is_stopping = False

    def run(self) -> None:
        while not self._is_stopping:
            attempt(lambda: send_waiting(clock.now()), what="The sender", log=logger)
            BELL.sleep(LOOK_SECONDS)
        connection.close()

    def stop(self) -> None:
        """What is being sent is sent by the next worker of this machine, unless it is done in a moment."""
        self._is_stopping = True
        BELL.ring()
        self.join(2)
