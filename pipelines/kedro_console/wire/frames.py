"""Frames on a Unix socket: `J` a JSON message, `L` raw bytes of the child's log pipe."""

from __future__ import annotations

import socket
import struct
from typing import Final

from kedro_console.wire.message import Message
from kedro_console.wire.values import WireError

HEADER: Final = struct.Struct("!cI")
JSON_FRAME: Final = b"J"
LOG_FRAME: Final = b"L"
MAX_FRAME_BYTES: Final = 64 * 1024 * 1024


def frame(kind: bytes, payload: bytes) -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


class FrameReader:
    """Cuts a byte stream into (kind, payload) frames; feed it what arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        self._buffer += data
        frames = []
        while len(self._buffer) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._buffer)
            if kind not in (JSON_FRAME, LOG_FRAME) or length > MAX_FRAME_BYTES:
                raise WireError(f"Not a frame: {bytes(self._buffer[:40])!r}")
            end = HEADER.size + length
            if len(self._buffer) < end:
                break
            frames.append((kind, bytes(self._buffer[HEADER.size : end])))
            del self._buffer[:end]
        return frames


def send(connection: socket.socket, message: Message) -> None:
    connection.sendall(frame(JSON_FRAME, message.to_json()))
