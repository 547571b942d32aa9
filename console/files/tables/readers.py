"""Ask a table that is an artifact: by a process of its own for each, which is small, hears no secrets, and soon ends.

A few of them are kept while somebody scrolls. A web thread waits for an answer for so long at most, and few of them do
so at once: the others are asked to try again.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, cast

from django.conf import settings
from django.core.files.base import File

from console.files.kinds import kind_of, suffix_of
from console.files.tables import frames
from console.files.tables.wishes import TableError, Wish
from jobs.errors import PlatformError
from jobs.interpreters.artifacts import open_exactly
from jobs.models import Artifact

SUFFIXES: Final = (".parquet", ".csv", ".tsv", ".xlsx", ".xlsm")
SECONDS: Final = 20.0
OPENING: Final = 30.0
"""Seconds more for the first answer: texts and workbooks are read whole for it."""
KEPT: Final = 3
"""How many processes stay for who scrolls."""
AT_ONCE: Final = 2
PATIENCE: Final = 5.0
"""Seconds that one waits for its turn before it is asked to try again."""
BROKE_OFF: Final = "This file cannot be read as a table: what read it broke off. Download it to see it."
MEMORY: Final = 1_300_000_000
LOOK: Final = 0.1
PIECE: Final = 4 * 1024 * 1024
PROGRAM: Final = Path(__file__).with_name("child.py")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")

Key = tuple[str, str, int]


class Busy(PlatformError):
    """Too many tables are being read here just now."""


def is_table(name: str) -> bool:
    return suffix_of(name) in SUFFIXES


class Reader:
    """The process that reads one table, and the file that it is given."""

    def __init__(self, key: Key, name: str, size: int) -> None:
        self._key, self._name, self._size = key, name, size
        self.lock = threading.Lock()
        """Of whoever opens, asks or closes it."""
        self.used_at, self._is_new, self.is_closed = time.monotonic(), True, False
        self._file: File[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_alive(self) -> bool:
        return not self.is_closed and (self._process is None or self._process.poll() is None)

    @property
    def is_started(self) -> bool:
        return self._process is not None

    def open(self) -> None:
        """Get the file from its store, which may take as long as the store likes: nobody else is held up by it."""
        if self._file is None:
            self._file = open_exactly(self._key[0], self._name)
            self._raw = cast(IO[bytes], self._file.file)

    def _started(self) -> subprocess.Popen[bytes]:
        _, suffix, sheet = self._key
        try:
            number = self._raw.fileno()
        except OSError:  # it is in a store elsewhere, and fetched from there as it is needed
            number = -1
        self._connection, theirs = socket.socketpair()
        with theirs:
            return _start(theirs.fileno(), number, self._size, suffix, sheet)

    def ask(self, wish: Wish) -> dict[str, Any]:
        """Once it is open. TableError with a sentence; StoreAway when the store does not give the file."""
        self.used_at = time.monotonic()
        self._process = self._process or self._started()
        deadline, self._is_new = self.used_at + SECONDS + OPENING * self._is_new, False
        frames.send(self._connection, frames.ANSWER, json.dumps(wish.to_json()).encode())
        while True:
            self._wait(deadline, self._process.pid)
            self._connection.settimeout(SECONDS)
            kind, data = frames.receive(self._connection)
            if kind == frames.ANSWER:
                self.used_at = time.monotonic()
                answer: dict[str, Any] = json.loads(data)
                return answer
            frames.send(self._connection, frames.ANSWER, self._read(*frames.NEEDED.unpack(data)))

    def _wait(self, deadline: float, pid: int) -> None:
        while not select.select([self._connection], [], [], LOOK)[0]:
            if time.monotonic() > deadline:
                raise TableError("It took too long and was given up. Look for less, or download the file.")
            if _memory_of(pid) > MEMORY:
                raise TableError("It needs more memory than a preview may have. Download the file.")

    def _read(self, first: int, size: int) -> bytes:
        self._raw.seek(first)
        parts = []
        read = getattr(self._raw, "read_at_once", self._raw.read)
        while size > 0 and (data := read(min(size, PIECE))):
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def close(self) -> None:
        self.is_closed = True
        if self._process:
            self._connection.close()
            with suppress(OSError):
                self._process.kill()
            self._process.wait()
        if self._file:
            self._file.close()


def _start(socket_number: int, file_number: int, size: int, suffix: str, sheet: int) -> subprocess.Popen[bytes]:
    folder = settings.VAR / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    words = [socket_number, file_number, size, suffix, sheet, folder]
    given = [number for number in (socket_number, file_number) if number >= 0]
    return subprocess.Popen(
        [sys.executable, "-I", "-B", str(PROGRAM), *map(str, words)],
        env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        pass_fds=given,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=True,
        cwd="/",
    )


def _memory_of(pid: int) -> int:
    """Bytes that this process has for itself alone; 0 where the system does not say."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * PAGE


class Readers:
    """The processes of this one, each for a table that somebody looks at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers: dict[Key, Reader] = {}
        self._turn = threading.BoundedSemaphore(AT_ONCE)

    def ask(self, row: Artifact, sheet: int, wish: Wish) -> dict[str, Any]:
        """What `Reader.ask` says of this artifact."""
        key = (row.sha256, suffix_of(row.name), sheet)
        for is_last in (False, True):
            with self._held(key, row) as reader:
                try:
                    reader.open()
                    with self._a_turn():
                        return reader.ask(wish)
                except Busy:
                    if not reader.is_started:
                        self._drop(key, reader)
                    raise
                except frames.Ended:
                    self._drop(key, reader)
                    if is_last:
                        raise TableError(BROKE_OFF) from None
                except BaseException:
                    self._drop(key, reader)
                    raise
        raise AssertionError

    @contextmanager
    def _held(self, key: Key, row: Artifact) -> Iterator[Reader]:
        """The one of this table, for this thread alone."""
        deadline = time.monotonic() + SECONDS
        while True:
            reader = self._reader(key, row)
            if not reader.lock.acquire(timeout=max(0, deadline - time.monotonic())):
                raise Busy("This table is being read for somebody else just now. Try again in some seconds.")
            try:
                if not reader.is_closed:
                    yield reader
                    return
            finally:
                reader.lock.release()

    @contextmanager
    def _a_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=PATIENCE):
            raise Busy("Other tables are being read just now. Try again in some seconds.")
        try:
            yield
        finally:
            self._turn.release()

    def _reader(self, key: Key, row: Artifact) -> Reader:
        """One that is alive, but perhaps not open yet: while it is, nobody holds the lock of all."""
        with self._lock:
            found = self._readers.get(key)
            if found and found.is_alive:
                return found
            gone = self._superfluous()
            made = self._readers[key] = Reader(key, row.name, row.size_bytes)
        for each in gone:
            each.close()
            each.lock.release()
        return made

    def _superfluous(self) -> list[Reader]:
        """Those that ended, and of those that nobody asks just now the longest unused ones beyond what is kept; each
        is locked, so that nobody begins to ask it."""
        known = self._readers.items()
        idle = sorted((key for key, each in known if each.lock.acquire(blocking=False)),
                      key=lambda key: self._readers[key].used_at)  # fmt: skip
        ended = [key for key in idle if not self._readers[key].is_alive]
        more = sum(each.is_started for each in self._readers.values()) - len(ended) - KEPT + 1
        old = [key for key in idle if key not in ended][: max(more, 0)]
        for key in idle:
            if key not in (*ended, *old):
                self._readers[key].lock.release()
        return [self._readers.pop(key) for key in (*ended, *old)]

    def _drop(self, key: Key, reader: Reader) -> None:
        with self._lock:
            if self._readers.get(key) is reader:
                del self._readers[key]
        reader.close()

    def close(self) -> None:
        with self._lock:
            gone, self._readers = list(self._readers.values()), {}
        for each in gone:
            each.close()


READERS: Final = Readers()


def rows_of(row: Artifact, wish: Wish, *, sheet: int = -1) -> dict[str, Any]:
    """A window of the table: `columns` (name, kind), `rows` (texts or None), `found` and `total` rows, `sheets`.

    With `is_described` no rows, but of each column `empty_share`, `least` and `most`. TableError with a sentence when
    the file or the wish is at fault, PlatformError when it is to be tried again.
    """
    if not is_table(row.name):
        raise TableError("This file is no table.")
    sheet = sheet if kind_of(row.name).is_workbook else -1
    answer = READERS.ask(row, sheet, wish)
    if error := answer.get("error"):
        raise TableError(error)
    return answer
