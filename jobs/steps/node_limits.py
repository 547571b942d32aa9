"""How long each node of a step may run: its pipeline's limit, overridden by a tag `timeout-N`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from kedro_console.wire import SnapshotNode

TAG: Final = re.compile(r"timeout[-:](\d{1,8})")  # Kedro 1.x takes no colon in a tag, older ones did


class NodeLimits:
    """The limits of one step's nodes; times are seconds of the monotonic clock."""

    def __init__(self, usual: int, own: Mapping[str, int]) -> None:
        self._usual, self._own = usual, own

    def of(self, node: str) -> int:
        """Seconds; 0: no limit."""
        return self._own.get(node, self._usual)

    def seconds_left(self, since: Mapping[str, float], now: float, *, most: float) -> float:
        """Until the first of the running nodes reaches its limit, never less than nothing."""
        ends = [started + limit - now for node, started in since.items() if (limit := self.of(node))]
        return max(0.0, min([most, *ends]))

    def overdue(self, since: Mapping[str, float], now: float) -> str:
        """A running node that has reached its limit; "" when there is none."""
        late = (node for node, started in since.items() if (limit := self.of(node)) and now - started >= limit)
        return next(late, "")


def tagged(nodes: Iterable[SnapshotNode]) -> dict[str, int]:
    """The limits of those that have a tag of their own, in seconds."""
    return {node.name: limit for node in nodes if (limit := _tagged(node)) is not None}


def _tagged(node: SnapshotNode) -> int | None:
    found = (TAG.fullmatch(tag) for tag in node.tags)
    return next((int(match[1]) for match in found if match), None)
