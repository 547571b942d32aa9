"""How a step ended, told from what its child reported and what its supervisor did."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from jobs.errors import one_line
from jobs.states import Status
from jobs.steps.advance import Outcome
from jobs.steps.collect import Collector
from kedro_console import wire


@dataclass
class Ending:
    """What the supervisor itself knows about the end."""

    grace_seconds: int = 10
    is_stop_asked: bool = False
    is_timed_out: bool = False
    time_limit_seconds: int = 0
    overdue_node: str = ""
    """The node that reached its own limit; empty: it was the step's."""
    is_host_lost: bool = False
    is_handed_back: bool = False
    why_handed_back: str = "The worker was stopped"
    sentence: str = ""
    """Why the child could not even be started."""


def outcome_of(seen: Collector, ending: Ending) -> Outcome:
    """The step's end: as the pipeline said, cancelled as asked, or crashed when nobody said anything."""
    status, error, may_retry = _verdict(seen, ending)
    return Outcome(
        status=status,
        error=error,
        may_retry=may_retry,
        is_free=ending.is_handed_back,
        failure=seen.failure if status == Status.FAILED and may_retry else None,
        facts={"peak_memory_bytes": seen.peak_memory_bytes},
        results=seen.results,
        artifacts=seen.artifacts,
        uploads=seen.uploads,
        unkept=list(seen.unkept.values()),
        warning=bad_end(seen.exit) if status == Status.SUCCEEDED and seen.exit else "",
    )


def bad_end(left: wire.ChildExited | None) -> str:
    """What is to be told of the end of a process whose nodes had succeeded; None: nobody saw it end."""
    if left and not left.signal and not left.exit_code:
        return ""
    if left is None:
        how = "did not end in time"
    elif left.is_stuck:
        how = "got stuck when it ended, and was killed"
    elif left.memory_limit_bytes:
        how = f"was killed at {_gigabytes(left.peak_memory_bytes)} of {_gigabytes(left.memory_limit_bytes)} allowed"
    elif left.signal:
        how = f"was ended by {_signal(left.signal)}"
    else:
        how = f"ended with exit code {left.exit_code}"
    return f"The nodes had succeeded, but then their process {how}: files that it still had open may be incomplete."


def _verdict(seen: Collector, ending: Ending) -> tuple[Status, str, bool]:
    if ending.is_stop_asked and not (seen.is_finished or ending.is_handed_back):
        return Status.CANCELLED, "", False  # also while the project is imported, which then says that it could not be
    if ending.sentence:
        return Status.FAILED, ending.sentence, False
    if seen.refusal and not ending.is_timed_out:  # else it is only that loading the project was interrupted
        return Status.FAILED, seen.refusal.sentence, False
    if seen.is_finished:
        return Status.SUCCEEDED, "", False
    if ending.is_handed_back:
        return Status.CRASHED, f"{ending.why_handed_back}; the step starts again on the next one.", True
    if ending.overdue_node:
        sentence = f"Node {ending.overdue_node} was stopped after {ending.time_limit_seconds} s, its time limit."
        return Status.FAILED, sentence, False
    if ending.is_timed_out:
        sentence = f"Stopped after {ending.time_limit_seconds} s, the time limit of this pipeline{_where(seen)}."
        return Status.FAILED, sentence, False
    if seen.failure:
        return Status.FAILED, _failed(seen.failure), True
    return _crashed(seen, ending)


def _failed(event: wire.RunFailed) -> str:
    line = one_line(event.failure)
    return f"Node {event.node}: {line}" if event.node else line


def _crashed(seen: Collector, ending: Ending) -> tuple[Status, str, bool]:
    left = seen.exit
    if ending.is_host_lost or left is None:
        return Status.CRASHED, f"The project's host ended unexpectedly{_where(seen)}.", True
    if left.memory_limit_bytes:
        used, allowed = _gigabytes(left.peak_memory_bytes), _gigabytes(left.memory_limit_bytes)
        return Status.CRASHED, f"Killed at {used} of {allowed} allowed{_where(seen)}.", True
    if left.is_unheld:
        sentence = f"The worker was silent for longer than its lease, so the process was ended{_where(seen)}."
        return Status.CRASHED, sentence, True
    if left.is_hung:
        return Status.CRASHED, "The process hung before its first event, in every way of starting it.", False
    if left.signal:
        return Status.CRASHED, f"The process was ended by {_signal(left.signal)}{_where(seen)}{_last(seen)}.", True
    sentence = f"The process exited with code {left.exit_code}{_where(seen)}{_last(seen)}."
    return Status.CRASHED, sentence, False


def _where(seen: Collector) -> str:
    nodes = seen.running_nodes
    return f" while {' and '.join(nodes[:3])} ran" if nodes else ""


def _last(seen: Collector) -> str:
    return f"; its last line was “{seen.log.last_line[:300]}”" if seen.log.last_line else ""


def _signal(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} (signal {number})"
    except ValueError:
        return f"signal {number}"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
