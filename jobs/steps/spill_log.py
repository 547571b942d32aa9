"""Spill what of a step's log rows do not hold into a compressed file, kept like an artifact; read it line by line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jobs.interpreters.artifacts import key_of, open_kept, store, waiting_folder
from jobs.models import Upload
from jobs.models.log_chunk import Line
from kedro_console import wire

NAME: Final = "log.jsonl.gz"
SPILLED: Final = "file"
"""The stream of the one line that stands in the rows for those in the file."""

GLIMPSE: Final = "glimpse"
"""The stream of a line that shows the newest of those that go into the file, while they do."""

StoredLine = tuple[float, str, str, str, str, str]
"""at, level, stream, node, text, logger; its number comes when it is written."""


class Spill:
    """Takes lines in order into a file below `folder`; past `most_bytes` of text, or on a full disk, it counts them."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._path, self._room = folder / NAME, most_bytes
        self._file: gzip.GzipFile | None = None
        self.held = 0
        self.lost = 0

    def add(self, line: StoredLine) -> None:
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        self._room -= len(data)
        if self._room < 0:
            self.lost += 1
            return
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = gzip.open(self._path, "wb", compresslevel=1)  # noqa: SIM115
            self._file.write(data)
            self.held += 1
        except OSError:
            self._room = -1
            self.lost += 1

    def close(self) -> wire.KeptFile | None:
        """The complete file; None when there is none."""
        file, self._file = self._file, None
        if file is None:
            return None
        try:
            file.close()
            size = self._path.stat().st_size
        except OSError:
            self.held, self.lost = 0, self.held + self.lost
            return None
        return wire.KeptFile(str(self._path), NAME, size, wire.sha256_of(self._path), "application/gzip")


def spilled(sha256: str, number: int) -> Iterator[Line]:
    """The lines of that file, all under the number of the line that stands for them; PlatformError when it is away."""
    with open_kept(sha256, NAME) as kept, gzip.open(kept) as lines:
        for data in lines:
            yield Line(number, *json.loads(data))


def drop(sha256: str) -> None:
    """Remove the file from where it lies; any error of the store."""
    store().delete(key_of(sha256))
    Upload.objects.filter(sha256=sha256).delete()
    (waiting_folder() / sha256).unlink(missing_ok=True)
