"""How the need to run again spreads over a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jobs.structure.selection import parents
from kedro_console.wire import SnapshotNode, bare


class Part(NamedTuple):
    """A node, and why it is in this column."""

    node: str
    reason: str


def spread(nodes: list[SnapshotNode], reasons: dict[str, str], lost: Callable[[str], str]) -> dict[str, str]:
    """Node → why it runs again: these, all below them, and what they need that is lost.

    `lost` says of a dataset, as a sentence, why it can no longer be read; "" when it can.
    """
    maker = {bare(output): node.name for node in nodes for output in node.outputs}
    above = parents(nodes)
    reasons = dict(reasons)
    while True:
        for node in nodes:
            again = [name for name in sorted(above[node.name]) if name in reasons]
            if again and node.name not in reasons:
                reasons[node.name] = f"It needs {again[0]}, which runs again."
        needed = {bare(name) for node in nodes if node.name in reasons for name in node.inputs}
        gone = {maker[name]: why for name in sorted(needed & set(maker)) if (why := lost(name))}
        if not set(gone) - set(reasons):
            return reasons
        reasons = {**gone, **reasons}
