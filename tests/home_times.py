"""How long Home takes over HTTP, asked again and again while something goes on."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Times:
    """Seconds of each answer, in the order in which they were asked for."""

    seconds: Sequence[float]

    def share(self, part: float) -> float:
        """The time within which this part of the answers came."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(part * len(self.seconds)))]

    @property
    def worst(self) -> float:
        return max(self.seconds)

    def __str__(self) -> str:
        figures = (self.share(0.5), self.share(0.99), self.worst)
        return (
            f"{len(self.seconds)} answers, median {figures[0]:.3f} s, 99 % {figures[1]:.3f} s, worst {figures[2]:.3f} s"
        )


class Home:
    """The page at this address, which says so, as a person sees it whose session this is."""

    def __init__(self, url: str, session: str, says: str = "Home · Kedro Console") -> None:
        self.url, self._says = url, says.encode()
        self._request = urllib.request.Request(url, headers={"Cookie": f"sessionid={session}"})

    def seconds(self) -> float:
        begun = time.monotonic()
        with urllib.request.urlopen(self._request, timeout=120) as answer:
            text = answer.read()
        took = time.monotonic() - begun
        assert self._says in text, text[:300]
        return took

    @contextmanager
    def asked_meanwhile(self) -> Iterator[list[float]]:
        """The seconds of each answer while this goes on; an answer that fails counts as two minutes."""
        found: list[float] = []
        is_over = threading.Event()

        def ask() -> None:
            while not is_over.wait(PAUSE_SECONDS):
                try:
                    found.append(self.seconds())
                except (OSError, AssertionError):
                    found.append(120.0)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        try:
            yield found
        finally:
            is_over.set()
            asking.join(150)
