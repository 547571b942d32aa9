"""A process that reads one table for the console, and ends when nobody asks it any more: `python -I child.py SOCKET …`.

It is given an open socket, the open file (-1: its bytes are asked for over the socket), the file's size, the end of its
name, the sheet, and a folder for files that nobody else sees.
"""

from __future__ import annotations

import codecs
import json
import os
import socket
import sys
import tempfile
import types
from pathlib import Path
from typing import IO, Final

IDLE_SECONDS: Final = 60
ENCODINGS: Final = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "cp1252", "cp437", "ascii", "latin-1")


def main(words: list[str]) -> None:
    number, given, size, suffix, sheet, folder = words
    _without_the_rest_of_the_console()
    from console.files.tables import frames
    from console.files.tables.confinement import confine
    from console.files.tables.engine import Table
    from console.files.tables.pieces import Ahead, of_descriptor
    from console.files.tables.wishes import TableError, Wish

    connection = socket.socket(fileno=int(number))
    connection.settimeout(IDLE_SECONDS)
    for name in ENCODINGS:  # later nothing more is found
        codecs.lookup(name)
    names = () if suffix == ".parquet" else ("text", "other", "made")
    scratch: dict[str, IO[bytes]] = {name: _scratch(folder) for name in names}

    def from_afar(first: int, wanted: int) -> bytes:
        frames.send(connection, frames.NEED, frames.NEEDED.pack(first, wanted))
        kind, data = frames.receive(connection)
        if kind != frames.ANSWER or len(data) != wanted:
            raise TableError("The artifact store did not give the file.")
        return data

    read_at = of_descriptor(int(given)) if int(given) >= 0 else Ahead(from_afar, int(size))
    table = Table(read_at, int(size), scratch)  # the engine looks at its machine, and starts no thread yet
    confine()
    _, data = frames.receive(connection)
    try:
        table.open(suffix, int(sheet), threads=2 if int(given) >= 0 else 1)
    except TableError as error:
        return frames.send(connection, frames.ANSWER, json.dumps({"error": str(error)}).encode())
    while True:
        try:
            answer = table.answer(Wish.from_json(json.loads(data)))
        except TableError as error:
            answer = {"error": str(error)}
        frames.send(connection, frames.ANSWER, json.dumps(answer).encode())
        _, data = frames.receive(connection)


def _scratch(folder: str) -> IO[bytes]:
    """A file without a name: it is gone with this process, however that ends."""
    return tempfile.TemporaryFile(dir=folder)


def _without_the_rest_of_the_console() -> None:
    """Its package alone would load Django, Celery and the settings with their secrets."""
    package = types.ModuleType("console")
    package.__path__ = [str(Path(__file__).resolve().parents[2])]
    sys.modules["console"] = package


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Exception:  # noqa: BLE001 - the other side is gone, or nobody asked for long
        os._exit(1)
