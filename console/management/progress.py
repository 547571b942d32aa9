"""How far a long command is: a line now and then, so that neither a terminal nor a log is flooded."""

from __future__ import annotations

import time
from typing import Final, Protocol

EVERY_SECONDS: Final = 2.0


class Stream(Protocol):
    def write(self, text: str) -> object: ...

    def flush(self) -> None: ...


class Progress:
    """Says a sentence at most every two seconds; what is new when it ends is said then."""

    def __init__(self, to: Stream, *, is_quiet: bool) -> None:
        self._to, self._is_quiet = to, is_quiet
        self._said_at, self._held = time.monotonic(), ""

    def __call__(self, sentence: str) -> None:
        self._held = sentence
        if time.monotonic() - self._said_at >= EVERY_SECONDS:
            self.end()

    def end(self) -> None:
        if self._held and not self._is_quiet:
            self._to.write(f"{self._held}\n")
            self._to.flush()
        self._said_at, self._held = time.monotonic(), ""
