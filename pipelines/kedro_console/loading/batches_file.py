"""Batch queues without a console: one SQLite file in the project, with the same meaning.

What a process holds is its own by a locked file, so that whatever ends the process, also a kill, gives it back.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import sqlite3
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from kedro_console import wire
from kedro_console.line.here import AskError

MAX_ATTEMPTS = 3
SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'waiting', attempts INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '',
    is_failed INTEGER NOT NULL DEFAULT 0, holder TEXT NOT NULL DEFAULT '', UNIQUE (queue, key));
CREATE INDEX IF NOT EXISTS waiting ON items (queue, id) WHERE status = 'waiting';
CREATE INDEX IF NOT EXISTS taken ON items (holder) WHERE status = 'taken';
"""
WAITS = "The queue {queue} is not known: it is made by the first batches.put(…)."
FORGOTTEN = (
    "{number} items of batch queues went back: nobody said that the run succeeded. Finish them by "
    "`with batches.taking(…)`, or add kedro_console.batches_hooks.hooks to HOOKS in settings.py.\n"
)


def project_folder() -> Path:
    """The Kedro project that we are in; the working directory when it is none."""
    place = Path.cwd()
    for folder in (place, *place.parents):
        file = folder / "pyproject.toml"
        if file.is_file() and "[tool.kedro]" in file.read_text(encoding="utf-8", errors="replace"):
            return folder
    return place


class FileStore:
    """The queues of one project, as one process sees them."""

    def __init__(self, folder: Path) -> None:
        self.pid, self.holder = os.getpid(), uuid.uuid4().hex
        self._folder, self._lock = folder, threading.Lock()
        self._holders = folder / "holders"
        self._holders.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")
        self._mark = _lock(self._holders / self.holder)
        with self._rows() as rows:
            rows.executescript(SCHEMA)
        self._recover()

    @contextmanager
    def _rows(self) -> Iterator[sqlite3.Connection]:
        """A transaction that only one process is in."""
        path = self._folder / "batches.db"
        with self._lock, closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as rows:
            rows.execute("PRAGMA journal_mode = WAL")
            rows.execute("BEGIN IMMEDIATE")
            try:
                yield rows
            except BaseException:
                rows.rollback()
                raise
            rows.commit()

    def _recover(self) -> None:
        """Give back what processes hold that are gone: nobody keeps their files locked."""
        for file in self._holders.iterdir():
            if file.name != self.holder and (mark := _lock(file)):
                self._give_back(file.name, "Its process ended before the run did.")
                file.unlink(missing_ok=True)
                mark.close()

    def put(self, queue: str, items: list[wire.NewItem]) -> wire.ItemsPut:
        with self._rows() as rows:
            before = rows.total_changes
            rows.executemany(
                "INSERT OR IGNORE INTO items (queue, key, body) VALUES (?, ?, ?)",
                [(queue, item.key, json.dumps(item.body)) for item in items],
            )
            added = rows.total_changes - before
        return wire.ItemsPut(added, len(items) - added)

    def take(self, queue: str, count: int) -> wire.ItemsTaken:
        if count < 1:
            raise AskError(f"{count} items cannot be taken: ask for at least one.")
        with self._rows() as rows:
            self._know(rows, queue)
            found = rows.execute(
                "SELECT id, key, body, attempts FROM items WHERE queue = ? AND status = 'waiting' ORDER BY id LIMIT ?",
                (queue, count),
            ).fetchall()
            rows.executemany(
                "UPDATE items SET status = 'taken', holder = ?, attempts = attempts + 1, is_failed = 0 WHERE id = ?",
                [(self.holder, row[0]) for row in found],
            )
        items = [wire.TakenItem(number, key, json.loads(body), n + 1) for number, key, body, n in found]
        return wire.ItemsTaken(items, more=False)

    def _know(self, rows: sqlite3.Connection, queue: str) -> None:
        if not rows.execute("SELECT 1 FROM items WHERE queue = ? LIMIT 1", (queue,)).fetchone():
            raise AskError(WAITS.format(queue=queue))

    def finish(self, ids: list[int]) -> None:
        with self._rows() as rows:
            rows.executemany(
                "UPDATE items SET status = 'done', error = '' "
                "WHERE id = ? AND holder = ? AND status = 'taken' AND is_failed = 0",
                [(number, self.holder) for number in ids],
            )

    def fail(self, number: int, error: str) -> None:
        with self._rows() as rows:
            rows.execute(
                "UPDATE items SET is_failed = 1, error = ? WHERE id = ? AND holder = ? AND status = 'taken'",
                (error, number, self.holder),
            )

    def describe(self, queue: str) -> wire.QueueDescribed:
        with self._rows() as rows:
            self._know(rows, queue)
            found = rows.execute("SELECT status, count(*) FROM items WHERE queue = ? GROUP BY status", (queue,))
            number = dict(found.fetchall())
        counts = (number.get(status, 0) for status in ("waiting", "taken", "done", "parked"))
        return wire.QueueDescribed(*counts)

    def settle(self, *, is_good: bool, error: str = "") -> None:
        """The run has ended: what it holds is done, or goes back."""
        if is_good:
            with self._rows() as rows:
                rows.execute(
                    "UPDATE items SET status = 'done', error = '' "
                    "WHERE holder = ? AND status = 'taken' AND is_failed = 0",
                    (self.holder,),
                )
        self._give_back(self.holder, error)

    def _give_back(self, holder: str, error: str) -> int:
        with self._rows() as rows:
            back = rows.execute(
                "UPDATE items SET status = CASE WHEN attempts >= ? THEN 'parked' ELSE 'waiting' END, "
                "error = CASE WHEN is_failed THEN error ELSE ? END, is_failed = 0 "
                "WHERE holder = ? AND status = 'taken'",
                (MAX_ATTEMPTS, error, holder),
            )
            return back.rowcount

    def leave(self) -> None:
        """At the end of the process."""
        if os.getpid() != self.pid:
            return
        if number := self._give_back(self.holder, "Nobody said that the run succeeded."):
            sys.stderr.write(FORGOTTEN.format(number=number))
        (self._holders / self.holder).unlink(missing_ok=True)


def _lock(path: Path) -> IO[bytes] | None:
    """The locked file; None when a living process has it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


_store: FileStore | None = None
_opening = threading.Lock()


def store() -> FileStore:
    """This process's own; a forked process makes another."""
    global _store
    with _opening:
        if _store is None or _store.pid != os.getpid():
            _store = FileStore(project_folder() / ".kedro_console")
            atexit.register(_store.leave)
        return _store


def settle(*, is_good: bool, error: str = "") -> None:
    """The run of this process has ended; nothing happens when it used no queue."""
    if _store is not None and _store.pid == os.getpid():
        _store.settle(is_good=is_good, error=error)
