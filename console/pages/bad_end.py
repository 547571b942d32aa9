"""What a run's page says of a bad end: the sentence, the node and its frames, how its last process went."""

from __future__ import annotations

from typing import Any

from console.templatetags.console import size
from jobs.insight.compare import BAD, history, kept_differences
from jobs.insight.durations import Neighbours
from jobs.models import NodeRun, Run, Step
from jobs.states import NodeStatus, Status


def failure(run: Run, nodes: list[NodeRun], neighbours: Neighbours) -> dict[str, Any] | None:
    """What is known about a bad end: the sentence, the node and its frames, how the last process went."""
    is_cancelled = run.status == Status.CANCELLED
    if not run.is_final or not ((run.error and not is_cancelled) or any(node.failure for node in nodes)):
        return None
    node = next((node for node in nodes if node.failure), None)
    node = node or next((node for node in nodes if node.status in (NodeStatus.FAILED, NodeStatus.CRASHED)), None)
    step = run.steps.filter(finished_at__isnull=False).order_by("-finished_at", "-attempt").first()
    exception = node.failure if node else None
    frames = list(exception.get("frames", [])) if exception else []
    is_said = exception is not None and str(exception.get("message", "")).strip() in run.error
    past = history(run, neighbours.past) if run.status in BAD else None
    return {
        "history": past,
        "differences": kept_differences(past.last_success.pk, run.pk) if past and past.last_success else [],
        "node": node,
        "process": _process(step) if step else "",
        "exception": exception,
        "frames": _folded(frames),
        "sentence": "" if is_said or is_cancelled else run.error,
    }


def _process(step: Step) -> str:
    """How the last process went: `Its process 12 on w1 ended by signal 9, peak memory 2.1 GB, attempt 2.`"""
    if step.exit_signal is not None:
        end = f"by signal {step.exit_signal}"
    else:
        end = "without a word" if step.exit_code is None else f"with exit code {step.exit_code}"
    who = [str(step.pid or ""), f"on {step.worker_name}" if step.worker_name else ""]
    more = [f"peak memory {size(step.peak_memory_bytes)}" if step.peak_memory_bytes else ""]
    more.append(f"attempt {step.attempt}" if step.attempt > 1 else "")
    return ", ".join(filter(None, [" ".join(filter(None, ["Its process", *who, "ended", end])), *more])) + "."


def stopped(run: Run, nodes: list[NodeRun]) -> dict[str, Any] | None:
    """Of a cancelled run: which nodes were at work."""
    if run.status != Status.CANCELLED:
        return None
    return {"nodes": [node for node in nodes if node.status == NodeStatus.CANCELLED and node.started_at]}


def _folded(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The project's frames one by one, the library frames between them in groups."""
    groups: list[dict[str, Any]] = []
    for frame in frames:
        if frame.get("is_project"):
            groups.append({"is_project": True, "frame": frame})
        elif groups and not groups[-1]["is_project"]:
            groups[-1]["frames"].append(frame)
        else:
            groups.append({"is_project": False, "frames": [frame]})
    return groups
