"""How a step ended, told from what its child reported and what its supervisor did."""

from __future__ import annotations

import signal

from jobs.errors import one_line
from jobs.states import Status
from jobs.steps.advance import Outcome
from jobs.steps.collect import Collector
from jobs.steps.node_facts import StopReason
from jobs.steps.verdict import Ended, HandedBack
from kedro_console import wire


def outcome_of(seen: Collector, end: Ended | HandedBack) -> Outcome:
    """The step's end: as the pipeline said, cancelled as asked, or crashed when nobody said anything."""
    heard, files = seen.heard, seen.files
    status, error, may_retry = _status(seen, end)
    return Outcome(
        status=status,
        error=error,
        may_retry=may_retry,
        is_free=isinstance(end, HandedBack),
        failure=heard.failure if status == Status.FAILED and may_retry else None,
        facts={"peak_memory_bytes": heard.peak_memory_bytes},
        results=heard.results,
        artifacts=files.artifacts,
        uploads=files.uploads,
        unkept=files.unkept,
        warning=bad_end(heard.exit) if status == Status.SUCCEEDED and heard.exit else "",
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


def _status(seen: Collector, end: Ended | HandedBack) -> tuple[Status, str, bool]:
    """The status, the sentence, and whether another attempt may help."""
    heard, stop = seen.heard, end.stop
    if stop.reason == StopReason.CANCEL and not (heard.is_finished or isinstance(end, HandedBack)):
        return Status.CANCELLED, "", False  # also while the project is imported, which then says that it could not be
    if isinstance(end, Ended) and end.sentence:
        return Status.FAILED, end.sentence, False
    if heard.refusal and stop.reason != StopReason.TIME_LIMIT:  # else loading the project was interrupted, no more
        return Status.FAILED, _refused(heard.refusal), False
    if heard.is_finished:
        return Status.SUCCEEDED, "", False
    if isinstance(end, HandedBack):
        return Status.CRASHED, f"{end.why}; the step starts again on the next one.", True
    if stop.node:
        return Status.FAILED, f"Node {stop.node} was stopped after {stop.limit_seconds} s, its time limit.", False
    if stop.reason == StopReason.TIME_LIMIT:
        sentence = f"Stopped after {stop.limit_seconds} s, the time limit of this pipeline{_where(seen)}."
        return Status.FAILED, sentence, False
    if heard.failure:
        return Status.FAILED, _failed(heard.failure), True
    return _crashed(seen)


def _refused(event: wire.StepRefused) -> str:
    keeps_changing = "It keeps changing: run it again when its files are complete."
    return f"{event.sentence} {keeps_changing}" if event.reason == "stale" else event.sentence


def _failed(event: wire.RunFailed) -> str:
    line = one_line(event.failure)
    return f"Node {event.node}: {line}" if event.node else line


def _crashed(seen: Collector) -> tuple[Status, str, bool]:
    left = seen.heard.exit
    if left is None:
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
    nodes = seen.heard.nodes.running
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
