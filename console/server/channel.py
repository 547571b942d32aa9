"""One connection: its time is limited while it sends, its turn while it reads."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Any, Final

from waitress.channel import HTTPChannel

from console.server.answers import Answer, Paused
from console.server.requests import Parser, Refusal

HEAD_SECONDS: Final = 10
BODY_SECONDS: Final = 30
"""From the first byte of a request: who drips sends something all the time, and is cut all the same."""
TURN_BYTES: Final = 1024 * 1024
"""After how many bytes a reader that is as fast as we are lets others have their turn."""
LINGER_SECONDS: Final = 3
"""Who is refused may still be sending: to hang up at once would take the answer away from them."""
FEW_WAITING: Final = 64 * 1024
"""Below how many bytes the rest of a paused answer is made."""


class Channel(HTTPChannel):
    parser_class = Parser
    error_task_class = Refusal
    requests: list[Any]
    _begun: tuple[Any, float] | None = None
    _asleep: Answer | None = None
    _woken: Answer | None = None
    _turn = TURN_BYTES
    _lingers_until = 0.0

    # ---- in the thread that sends and receives

    def received(self, data: bytes) -> bool:
        is_taken: bool = super().received(data)
        if self.request is None:
            self._begun = None
        elif self._begun is None or self._begun[0] is not self.request:
            self._begun = (self.request, time.time())
        return is_taken

    @property
    def path(self) -> str:
        """What is asked for next."""
        return str(getattr(self.requests[0], "path", "")) if self.requests else ""

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a request has come, and nothing of an answer is left."""
        is_between = self.request is None and not self.requests and not self.total_outbufs_len
        return bool(is_between and not self._asleep and not self._lingers_until)

    def is_late(self, now: float, patience_seconds: float) -> bool:
        """Whether its request takes too long to arrive, or nobody reads the rest of its answer."""
        if self._lingers_until:
            return now > self._lingers_until
        if self._asleep:
            return bool(self.last_activity < now - patience_seconds)
        if self._begun is None or self.requests:
            return False
        request, since = self._begun
        return now - since > (BODY_SECONDS if request.headers_finished else HEAD_SECONDS)

    def send(self, data: bytes, do_close: bool = True) -> int:
        if self._turn <= 0:
            return 0
        sent: int = super().send(data, do_close=do_close)
        self._turn -= sent
        return sent

    def readable(self) -> bool:
        return self._lingers_until > 0 or bool(super().readable())

    def handle_read(self) -> None:
        if not self._lingers_until:
            super().handle_read()
        elif not self.recv(self.adj.recv_bytes):  # what still comes is not looked at
            self.handle_close()

    def handle_write(self) -> None:
        self._turn = TURN_BYTES
        if self.close_when_flushed and not self.total_outbufs_len and not self._lingers_until:
            self._linger()
        super().handle_write()
        with self.outbuf_lock:
            if self._asleep and self.total_outbufs_len <= FEW_WAITING:
                self._wake()

    def _linger(self) -> None:
        """Say that nothing follows, and wait a moment for the other side to say so too."""
        self.close_when_flushed = False
        self._lingers_until = time.time() + LINGER_SECONDS
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def handle_close(self) -> None:
        """An answer that sleeps is woken once more, to close what it reads from."""
        super().handle_close()
        with self.outbuf_lock:
            if self._asleep:
                self._wake()

    # ---- in a thread that makes answers

    def task_class(self, channel: Channel, request: Any) -> Answer:
        """The answer that goes on, or a new one."""
        woken, self._woken = self._woken, None
        return woken or Answer(channel, request)

    def service(self) -> None:
        if self._woken and not self.connected:
            self._give_up(self._woken)
            return
        try:
            super().service()
        except Paused as pause:
            self._sleep(pause.answer)

    def _sleep(self, answer: Answer) -> None:
        with self.outbuf_lock:
            self._asleep = answer
            if not self.connected or self.total_outbufs_len <= FEW_WAITING:
                self._wake()
        self.server.pull_trigger()

    def _wake(self) -> None:
        self._woken, self._asleep = self._asleep, None
        self.server.add_task(self)

    def _give_up(self, answer: Answer) -> None:
        self._woken = None
        if answer.rest:
            answer.rest.give_up()
        with self.requests_lock:
            for request in self.requests:
                request.close()
            self.requests = []
