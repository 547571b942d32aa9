"""Limits of this process alone, for plain `kedro run`; under the console its rows limit all workers together."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass


@dataclass(eq=False)
class Use:
    """One use; it counts from when it was settled, until then as now."""

    requests: int
    rows: int
    settled_at: float | None = None

    def counts_at(self, now: float) -> float:
        return now if self.settled_at is None else self.settled_at


@dataclass(frozen=True)
class Window:
    requests: int
    rows: int
    seconds: float

    def allows(self, requests: int, rows: int) -> bool:
        return not (self.requests and requests > self.requests) and not (self.rows and rows > self.rows)


class Limits:
    """The windows of one quota, and what was used within the longest of them."""

    def __init__(self) -> None:
        self._windows: dict[float, Window] = {}
        self._uses: list[Use] = []
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def add(self, requests: int, rows: int, seconds: float) -> None:
        if seconds <= 0 or requests < 0 or rows < 0 or not (requests or rows):
            raise ValueError("A limit is a number of requests or rows in a number of seconds.")
        with self._lock:
            self._windows[seconds] = Window(requests, rows, seconds)

    def never(self, use: Use) -> str:
        """What is asked for, when it is more than a window holds; else nothing."""
        fits = all(window.allows(use.requests, use.rows) for window in self._windows.values())
        return "" if fits else f"{use.requests} requests and {use.rows} rows at once"

    def take(self, use: Use) -> float:
        """0 when it is taken, else the seconds after which to try again."""
        with self._lock:
            now = time.monotonic()
            longest = max(self._windows, default=0.0)
            self._uses = [one for one in self._uses if one.counts_at(now) > now - longest]
            opens = max([self._opens_at(window, use, now) for window in self._windows.values()], default=now)
            opens = max(opens, self._closed_until)
            if opens <= now:
                self._uses.append(use)
            return max(0.0, opens - now)

    def _opens_at(self, window: Window, asked: Use, now: float) -> float:
        counted = [use for use in self._uses if use.counts_at(now) > now - window.seconds]
        requests = asked.requests + sum(use.requests for use in counted)
        rows = asked.rows + sum(use.rows for use in counted)
        opens = now
        for use in sorted(counted, key=lambda use: use.counts_at(now)):
            if window.allows(requests, rows):
                return opens
            opens = use.counts_at(now) + window.seconds
            requests, rows = requests - use.requests, rows - use.rows
        return opens

    def settle(self, use: Use, closed_seconds: float | None) -> None:
        with self._lock:
            use.settled_at = time.monotonic()
            if closed_seconds:
                self._closed_until = max(self._closed_until, use.settled_at + closed_seconds)


_known: dict[str, Limits] = {}


def is_known(quota: str) -> bool:
    return quota in _known


def of(quota: str) -> Limits:
    """The limits of that name, which are none before some are added."""
    return _known.setdefault(quota, Limits())
