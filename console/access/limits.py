"""How often one may ask: a bucket for each name, which fills as time goes by."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from console.env import Rate

MOST_NAMES: Final = 20_000


@dataclass
class Limit:
    """One limit over many names. It is kept in this process: a second one of the pages has its own."""

    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, name: str, rate: Rate, *, at: float | None = None) -> int:
        """0 when this name may ask now, which counts; else after how many seconds it may ask again."""
        return self._ask(name, rate, at, cost=1)

    def wait(self, name: str, rate: Rate, *, at: float | None = None) -> int:
        """As `take`, without counting."""
        return self._ask(name, rate, at, cost=0)

    def forget(self) -> None:
        with self._lock:
            self._buckets.clear()

    def _ask(self, name: str, rate: Rate, at: float | None, *, cost: int) -> int:
        if rate.is_unlimited:
            return 0
        now = time.monotonic() if at is None else at
        with self._lock:
            left, since = self._buckets.pop(name, (float(rate.requests), now))
            left = min(left + (now - since) * rate.requests / rate.seconds, rate.requests)
            is_free = left >= 1
            self._buckets[name] = (left - cost if is_free else left, now)
            if len(self._buckets) > MOST_NAMES:
                self._buckets.popitem(last=False)  # whoever asked longest ago
        return 0 if is_free else max(1, math.ceil(round((1 - left) * rate.seconds / rate.requests, 6)))


LOGINS: Final = Limit()
"""Logins that were refused, by address."""
CALLS: Final = Limit()
"""Calls of the API, by token, by person, or by address for nobody's."""
