"""One supervisor's connection: its request comes in, everything about its child goes out, and never blocks the host."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable

from kedro_console import wire

FULL_BYTES = 1024 * 1024
LOW_BYTES = 256 * 1024
BLOCK = 256 * 1024


class Talk:
    """Buffers what the supervisor has not read yet; `is_full` asks the child's reader to wait."""

    def __init__(
        self,
        connection: socket.socket,
        selector: selectors.BaseSelector,
        heard: Callable[[Talk, wire.Message], None],
        closed: Callable[[Talk], None],
    ) -> None:
        connection.setblocking(False)
        self.connection = connection
        self._selector = selector
        self._heard = heard
        self._closed = closed
        self._out = bytearray()
        self._reader = wire.FrameReader()
        self._is_ending = False
        self.is_open = True
        self.low: Callable[[], None] = lambda: None  # called when there is room again
        selector.register(connection, selectors.EVENT_READ, self._ready)

    @property
    def is_full(self) -> bool:
        return len(self._out) > FULL_BYTES

    def send(self, message: wire.Message) -> None:
        self.forward(wire.JSON_FRAME, message.to_json())

    def forward(self, kind: bytes, payload: bytes) -> None:
        if self.is_open:
            self._out += wire.frame(kind, payload)
            self._flush()

    def end(self) -> None:
        """Says that this was all; closes when the supervisor has read it and closes too."""
        self._is_ending = True
        if self.is_open:
            self._flush()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._out.clear()
            self._selector.unregister(self.connection)
            self.connection.close()
            self._closed(self)

    def _ready(self, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            self._read()
        if mask & selectors.EVENT_WRITE and self.is_open:
            self._flush()

    def _read(self) -> None:
        try:
            data = self.connection.recv(BLOCK)
            messages = [wire.parse(payload) for _, payload in self._reader.feed(data)]
        except BlockingIOError:
            return
        except (OSError, wire.WireError):
            self.close()
            return
        if not data:
            self.close()
        for message in messages if not self._is_ending else []:
            self._heard(self, message)

    def _flush(self) -> None:
        was_full = len(self._out) > LOW_BYTES
        try:
            while self._out:
                with memoryview(self._out) as view, view[:BLOCK] as block:
                    sent = self.connection.send(block)
                del self._out[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if self._is_ending and not self._out:  # not closed: unread words of the supervisor would undo what was sent
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
        self._selector.modify(self.connection, events, self._ready)
        if was_full and len(self._out) <= LOW_BYTES:
            self.low()
