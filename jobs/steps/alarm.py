"""Wake this process's heartbeat before its time: a step of ours may start sooner than it would look again."""

from __future__ import annotations

import threading
from typing import Final


class Alarm:
    """One sleeper, any number of ringers."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        self._rung.set()

    def sleep(self, seconds: float) -> bool:
        """Until it rings, or so long; whether it rang."""
        is_rung = self._rung.wait(seconds)
        self._rung.clear()
        return is_rung


ALARM: Final = Alarm()
