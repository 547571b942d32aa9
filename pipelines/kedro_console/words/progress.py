"""Progress bars: read from what a program writes to its terminal, or told by a node (`kedro_console.progress`)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

SECONDS_BETWEEN = 0.25
MULTIPLIERS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
NUMBER = r"(\d+(?:\.\d+)?)([kMGTP]?)"
WITH_TOTAL = re.compile(
    rf"^(?:(?P<label>.*?):\s+)?\s*\d+%\|.*\|\s*(?P<done>{NUMBER})\s*/\s*(?P<total>{NUMBER})\S*\s*\[(?P<rest>.*)\]?"
)
WITHOUT_TOTAL = re.compile(rf"^(?:(?P<label>.*?):\s+)?(?P<done>{NUMBER})(?P<unit>\D*?)\s+\[(?P<rest>[\d:?]+,.*)\]?")
UNIT = re.compile(r"(?:[\d.]+|\?)[kMGTP]?(?P<unit>[^\d\s/,]+)/s|s/(?P<slow>[^\s,\]]+)")


@dataclass(frozen=True)
class Bar:
    label: str
    done: float
    total: float | None
    unit: str

    @property
    def is_complete(self) -> bool:
        return self.total is not None and self.done >= self.total


def read_bar(text: str) -> Bar | None:
    """The bar that tqdm drew in this line; None when it is an ordinary line."""
    found = WITH_TOTAL.match(text) or WITHOUT_TOTAL.match(text)
    if found is None:
        return None
    parts = found.groupdict()
    total = _number(parts["total"]) if parts.get("total") else None
    unit = UNIT.search(parts["rest"])
    named = (unit.group("unit") or unit.group("slow") or "").strip() if unit else ""
    label = (parts["label"] or "").strip()
    return Bar(label, _number(parts["done"]), total, named or (parts.get("unit") or "").strip())


def _number(text: str) -> float:
    if text[-1] in MULTIPLIERS:
        return float(text[:-1]) * MULTIPLIERS[text[-1]]
    return float(text)


class Progress:
    """Reports each bar at most four times a second, and its last state always."""

    def __init__(self, report: Callable[[str, Bar], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._reported: dict[tuple[str, str], tuple[float, Bar]] = {}

    def see(self, node: str, bar: Bar, *, is_last: bool = False) -> None:
        key = (node, bar.label)
        at, known = self._reported.get(key, (float("-inf"), None))
        if known == bar or (not is_last and not bar.is_complete and self._clock() - at < SECONDS_BETWEEN):
            return
        self._reported[key] = (self._clock(), bar)
        self._report(node, bar)


_progress: Progress | None = None
_node: Callable[[], str] = str


def listen(progress: Progress, node: Callable[[], str]) -> None:
    """From now on `tell` goes there, under the name of the node that runs."""
    global _progress, _node
    _progress, _node = progress, node


def tell(done: float, total: float | None = None, *, label: str = "", unit: str = "") -> None:
    """Show how far this node is; at most four times a second it is passed on, and when it is complete."""
    if _progress is not None:
        _progress.see(_node(), Bar(label, done, total, unit))


def track(items: Iterable[T], label: str = "", *, total: int | None = None, unit: str = "") -> Iterator[T]:
    """The items one by one, telling how many are done; `total` where they have no length."""
    if total is None and isinstance(items, Collection):
        total = len(items)
    done = 0
    for item in items:
        tell(done, total, label=label, unit=unit)
        yield item
        done += 1
    tell(done, total or done, label=label, unit=unit)
