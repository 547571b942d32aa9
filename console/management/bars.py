"""Progress bars of a run: repainted in place on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.core.management.base import OutputWrapper

from console.management.sentences import printable
from jobs.models import NodeRun, Run
from jobs.states import NODE_DONE, NodeStatus

BAR: Final = 24


@dataclass
class Bars:
    """Shows the run's nodes; `is_painted` on a terminal that can be painted over."""

    out: OutputWrapper
    is_painted: bool
    _rows: int = 0
    _told: dict[str, str] = field(default_factory=dict)
    _reason: str = ""

    def show(self, run: Run, nodes: list[NodeRun], at: datetime) -> None:
        if self.is_painted:
            self._paint(_picture(run, nodes, at))
        else:
            self._tell_reason(run.wait_reason)
            self._tell(nodes)

    def _paint(self, rows: list[str]) -> None:
        width = shutil.get_terminal_size().columns - 1
        back = f"\x1b[{self._rows}A\x1b[J" if self._rows else ""
        self.out.write(back + "\n".join(row[:width] for row in rows))
        self.out.flush()
        self._rows = len(rows)

    def _tell_reason(self, reason: str) -> None:
        """Each reason for which the run waits once."""
        if reason and reason != self._reason:
            self.out.write(f"Waits: {printable(reason)}.")
        self._reason = reason or self._reason

    def _tell(self, nodes: list[NodeRun]) -> None:
        """Each node's change of status once."""
        done = sum(node.status in NODE_DONE for node in nodes)
        for node in nodes:
            if node.status not in (self._told.get(node.name, NodeStatus.WAITING), NodeStatus.WAITING):
                self._told[node.name] = node.status
                seconds = f" in {node.seconds:.1f} s" if node.seconds is not None else ""
                self.out.write(f"{done}/{len(nodes)} nodes: {printable(node.name)} {node.status}{seconds}")


def _picture(run: Run, nodes: list[NodeRun], at: datetime) -> list[str]:
    done = sum(node.status in NODE_DONE for node in nodes)
    elapsed = ((run.finished_at or at) - (run.started_at or run.created_at)).total_seconds()
    rows = [f"{bar(done, len(nodes))} {done}/{len(nodes)} nodes  {clock(elapsed)}  {run.status}"]
    if run.wait_reason:
        rows.append(f"  waits: {printable(run.wait_reason)}")
    running = [node for node in nodes if node.status == NodeStatus.RUNNING]
    return rows + [_row(node, at) for node in running[: shutil.get_terminal_size().lines - 4]]


def _row(node: NodeRun, at: datetime) -> str:
    seconds = (at - node.started_at).total_seconds() if node.started_at else 0.0
    made: dict[str, Any] = node.progress or {}
    name, label = printable(node.name), printable(str(made.get("label") or ""))
    if not made:
        return f"  {name}  {clock(seconds)}"
    done, total, unit = made.get("done") or 0, made.get("total"), printable(str(made.get("unit") or ""))
    counted = f"{done:,.0f}/{total:,.0f}" if total else f"{done:,.0f}"
    return f"  {bar(done, total or 0)} {name}  {label} {counted} {unit}  {clock(seconds)}"


def bar(done: float, total: float) -> str:
    share = min(1.0, max(0.0, done / total)) if total else 0.0
    full = int(share * BAR)
    return f"[{'#' * full}{'.' * (BAR - full)}] {share:4.0%}"


def clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
