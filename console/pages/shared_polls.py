"""What many people watch at once is rendered once a second, for all who may see the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

SECONDS: Final = 1.0
MOST: Final = 64
PANES: Final = ("graph", "timeline", "nodes")
"""Those that hold no form: a form has the token of the person whom it was made for."""


@dataclass(frozen=True)
class Rendered:
    html: str
    facts: Mapping[str, Any]
    """What the parts beside it need, which are rendered for each person."""
    until: float


class Polls:
    """By what they were asked for, each for a moment."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Rendered] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Rendered | None:
        found = self._kept.get(key)
        return found if found and found.until > time.monotonic() else None

    def keep(self, key: Hashable, html: str, facts: Mapping[str, Any]) -> Rendered:
        now = time.monotonic()
        rendered = Rendered(html, facts, now + SECONDS)
        with self._lock:
            if len(self._kept) >= MOST:
                self._kept = {each: kept for each, kept in self._kept.items() if kept.until > now}
            if len(self._kept) < MOST:
                self._kept[key] = rendered
        return rendered

    def forget(self) -> None:
        with self._lock:
            self._kept = {}


POLLS: Final = Polls()
