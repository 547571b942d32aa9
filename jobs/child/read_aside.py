"""Answer a question for which a stored file is read, beside the conversation: a store that hangs holds up nothing."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from django.db import connection

from jobs import clock
from jobs.child.answer import answer
from jobs.errors import StoreAway
from jobs.models import Step
from kedro_console import wire

PAUSE_SECONDS: Final = 2.0


class ReadAside(threading.Thread):
    """Asks again while the store is away, until it is given up; then `reply` or `error` is set, and `wake` called."""

    def __init__(self, step: Step, token: uuid.UUID, asked: wire.Asked, wake: Callable[[], None]) -> None:
        super().__init__(name=f"read for step {step.pk}", daemon=True)
        self._step, self._token, self.asked, self._wake = step, token, asked, wake
        self._is_given_up = threading.Event()
        self.reply: wire.Answered | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while self.reply is None and not self._is_given_up.is_set():
                self._try()
        except Exception as error:  # noqa: BLE001 - whoever waits for the reply raises it
            self.error = error
        finally:
            connection.close()
            with suppress(OSError):  # nobody waits any more
                self._wake()

    def _try(self) -> None:
        try:
            self.reply = answer(self._step, self._token, self.asked, clock.now())
        except StoreAway:
            self._is_given_up.wait(PAUSE_SECONDS)

    def give_up(self) -> None:
        self._is_given_up.set()

    def result(self) -> wire.Answered | None:
        """None while it is not there; what went wrong is raised here."""
        if self.error:
            raise self.error
        return self.reply
