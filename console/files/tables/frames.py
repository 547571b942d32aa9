"""What the console and a process that reads a table say to each other: lengths and bytes over one socket."""

from __future__ import annotations

import socket
import struct
from typing import Final

LENGTH: Final = struct.Struct("=I")
MOST_BYTES: Final = 64_000_000
NEED: Final = b"N"
"""The child needs bytes of the file: first, size."""
ANSWER: Final = b"A"
NEEDED: Final = struct.Struct("=QQ")


class Ended(Exception):
    """The other side is gone."""


def send(connection: socket.socket, kind: bytes, data: bytes) -> None:
    try:
        connection.sendall(LENGTH.pack(len(data) + 1) + kind + data)
    except OSError as error:
        raise Ended from error


def receive(connection: socket.socket) -> tuple[bytes, bytes]:
    """(kind, data); Ended when the other side is gone or sends more than anybody may."""
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    if not 0 < length <= MOST_BYTES:
        raise Ended
    data = _exactly(connection, length)
    return data[:1], data[1:]


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        try:
            part = connection.recv(min(size, 1 << 20))
        except ConnectionError as error:
            raise Ended from error
        if not part:
            raise Ended
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
