"""What a run's page shows: its pace, its failure, and the content of the chosen tab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from django.http import QueryDict
from django.urls import reverse

from console.drawing.folds import Folds
from console.drawing.gantt import gantt
from console.drawing.graph import draw
from console.pages.batch_pages import of_run
from console.pages.rules import COLOURS
from console.templatetags.console import plural, size
from jobs.insight.compare import BAD, differences, history
from jobs.insight.durations import Usual, usual
from jobs.insight.explain import why_waiting
from jobs.insight.stopping import Stopped, stages, stopping
from jobs.models import NodeRun, Run, Step, Upload
from jobs.requests import TEXTS, by_node
from jobs.resends.rerun_dependents import unused
from jobs.runs.prioritize import LAST
from jobs.states import NodeStatus, Status

EVENTS: Final = 200
FOLLOWS: Final = 20
RECORDS: Final = 100
MOST_SAID: Final = 3
"""Nodes at work that are named one by one."""
TEXTS_BUT_ATTEMPTS: Final = tuple(name for name in TEXTS if name != "attempts")
LABELS: Final = {
    "nodes": "Nodes",
    "graph": "Graph",
    "timeline": "Timeline",
    "logs": "Logs",
    "artifacts": "Artifacts",
    "batches": "Items",
    "requests": "Requests",
    "parameters": "Parameters and results",
    "events": "Events",
}


@dataclass(frozen=True)
class Pace:
    """How far a run is, against how long its pipeline usually takes."""

    seconds: float | None
    usual: Usual | None
    percent: float
    is_late: bool
    measure: str = "Nodes done"
    """What `percent` is a share of."""


@dataclass(frozen=True)
class Phase:
    """What happened to the run, and how long until the next thing did (None: it ended there)."""

    did: str
    status: str
    """The status that it was or is in, for the colour."""
    at: datetime
    by: str
    reason: str
    seconds: float | None


@dataclass(frozen=True)
class Late:
    """A file that the store does not have yet, and why."""

    upload: Upload
    sentence: str
    is_stranded: bool


def context(run: Run, tab: str, at: datetime, query: QueryDict, **asked: Any) -> dict[str, Any]:
    """Everything that templates/runs/_run.html needs for this tab; the query says which boxes of the graph are open."""
    nodes = list(run.node_runs.order_by("position"))
    return {
        "run": run,
        "at": at,
        "tab": tab,
        "tab_links": _tab_links(run, tab),
        "artifact_count": run.artifacts.count(),
        "unkept": list(run.unkept_files.all()),
        **_uploads(run, at),
        "failed_requests": run.requests.open().count(),
        "pace": pace(run, at),
        "phases": phases(run, at),
        "reasons": why_waiting(run, at),
        "priority": None if run.is_final else run.steps.waiting_priority(),
        "priorities": range(LAST + 1),
        "stopping": stopping(run, at),
        "question": _question(run, nodes),
        "failure": failure(run, nodes),
        "stopped": stopped(run, nodes),
        **chain(run),
        "retries": list(run.retries.order_by("pk").only("pk", "status")[:5]),
        "nodes": nodes,
        **(_graph(run, nodes, query) if tab == "graph" else CONTENT[tab](run, nodes, at)),
        **asked,
    }


def _uploads(run: Run, at: datetime) -> dict[str, Any]:
    """Files of the run that are on their way to the store, and those that should have arrived."""
    waiting = list(run.unsent)
    late = [Late(upload, upload.sentence(at), upload.is_stranded(at)) for upload in waiting if upload.is_late(at)]
    return {"uploads": waiting, "late": late, "not_in_store": _not_in_store(len(late), len(waiting))}


def _not_in_store(late: int, waiting: int) -> str:
    if late:
        return f"{late:,} {'file is' if late == 1 else 'files are'} kept, not yet in the store"
    return f"{waiting:,} {'file is' if waiting == 1 else 'files are'} on the way to the store" if waiting else ""


def chain(run: Run) -> dict[str, Any]:
    """The rule that started it, what its own end brought about, and the joins that wait for others beside it."""
    brought = run.firings.select_related("rule", "started__pipeline").order_by("pk")
    waiting = run.arrivals.filter(firing=None).select_related("rule").order_by("pk")
    return {
        "begun_by": run.begun_by.select_related("rule").first() if run.caused_by_id else None,
        "follows": list(brought[:FOLLOWS]),
        "arrivals": list(waiting[:FOLLOWS]),
        "colours": COLOURS,
    }


def _tab_links(run: Run, tab: str) -> list[tuple[str, str, str]]:
    """Name, label and address of each tab that has something to show: only some runs deal with batch queues."""
    is_shown = tab == "batches" or run.takings.exists()
    return [(name, label, _address(run, name)) for name, label in LABELS.items() if is_shown or name != "batches"]


def _address(run: Run, tab: str) -> str:
    if tab == "logs":
        return reverse("run_logs", args=[run.pk])
    page = reverse("run", args=[run.pk])
    return page if tab == "nodes" else f"{page}?tab={tab}"


def _question(run: Run, nodes: list[NodeRun]) -> str:
    """What is at stake when the run is cancelled: `Cancel run #6094? print_lines is at 9 of 60; files … stay.`"""
    if run.is_final:
        return ""
    asks = f"Cancel run #{run.pk}?"
    if run.status == Status.QUEUED:
        return f"{asks} It has not started: nothing was done, and nothing will be."
    at_work = [node for node in nodes if node.status == NodeStatus.RUNNING]
    said = [_at_work(node) for node in at_work[:MOST_SAID]]
    if len(at_work) > MOST_SAID:
        said.append(f"{plural(len(at_work) - MOST_SAID, 'more node is,more nodes are')} running")
    if run.nodes_total:
        said.append(f"{run.nodes_done} of {plural(run.nodes_total, 'node is,nodes are')} done")
    return f"{asks} {'; '.join([*said, 'files written so far stay'])}."


def _at_work(node: NodeRun) -> str:
    progress = node.progress or {}
    if total := progress.get("total"):
        return f"{node.name} is at {progress.get('done', 0):,g} of {total:,g}"
    return f"{node.name} is running"


def pace(run: Run, at: datetime) -> Pace:
    seconds = ((run.finished_at or at) - run.started_at).total_seconds() if run.started_at else None
    normal = usual(run.pipeline_id, before=run.pk)
    by_nodes = 100 * run.nodes_done / run.nodes_total if run.nodes_total else 0.0
    if run.is_final or seconds is None:
        return Pace(seconds, normal, 100.0 if run.status == Status.SUCCEEDED else by_nodes, is_late=False)
    if normal and normal.median:
        is_late, percent = seconds > normal.p95, min(98.0, 100 * seconds / normal.median)
        return Pace(seconds, normal, percent, is_late, measure="Time, of what the run usually takes")
    return Pace(seconds, normal, min(98.0, by_nodes), is_late=False)


def phases(run: Run, at: datetime) -> list[Phase]:
    """The run's own moves and the stages of its stop in order, each with the time until the next one."""
    moves = list(run.transitions.filter(step__isnull=True))
    found = [Phase(move.to_status, move.to_status, move.at, move.by, move.reason, None) for move in moves]
    if found and (asked := stages(run)):
        found = _with_stop(found, asked)
    spans: list[float | None] = [(after.at - before.at).total_seconds() for before, after in pairwise(found)]
    if found:
        spans.append(None if run.is_final else (at - found[-1].at).total_seconds())
    return [replace(phase, seconds=span) for phase, span in zip(found, spans, strict=True)]


def _with_stop(moves: list[Phase], stop: list[Stopped]) -> list[Phase]:
    """A cancelled run ends when the last of its processes is gone."""
    asked = [Phase(each.did, Status.CANCELLED, each.at, each.by, "", None) for each in stop]
    *before, last = moves
    if last.did == Status.CANCELLED and len(stop) > 1:
        last = replace(last, did="gone: cancelled")
    return sorted([*before, *asked, last], key=lambda phase: phase.at)


def failure(run: Run, nodes: list[NodeRun]) -> dict[str, Any] | None:
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
    past = history(run) if run.status in BAD else None
    return {
        "history": past,
        "differences": differences(past.last_success, run) if past and past.last_success else [],
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


def _nodes(run: Run, nodes: list[NodeRun], at: datetime) -> dict[str, Any]:
    return {"longest": max((node.seconds or 0 for node in nodes), default=0), "earlier": earlier(run, nodes)}


def earlier(run: Run, nodes: list[NodeRun]) -> dict[str, list[Step]]:
    """Of each node that was tried more than once, the attempts before the last that ended badly."""
    again = {node.name for node in nodes if node.attempts > 1}
    if not again:
        return {}
    steps = run.steps.filter(status__in=[Status.FAILED, Status.CRASHED]).order_by("attempt")
    last = {step.position: step.attempt for step in run.steps.order_by("attempt").only("position", "attempt")}
    found: dict[str, list[Step]] = {}
    for step in steps:
        for name in again.intersection(step.nodes) if step.attempt < last[step.position] else ():
            found.setdefault(name, []).append(step)
    return found


def _graph(run: Run, nodes: list[NodeRun], query: QueryDict) -> dict[str, Any]:
    structure = run.structure
    if structure is None:
        return {"drawing": None}
    statuses = {node.name: node.status for node in nodes}
    is_with = query.get("parameters") == "1"
    folds = Folds.asked(query)
    return {"drawing": draw(structure, statuses, with_parameters=is_with, folds=folds, keep={"tab": "graph"})}


def _timeline(run: Run, nodes: list[NodeRun], at: datetime) -> dict[str, Any]:
    return {"gantt": gantt(run, nodes, at)}


def _artifacts(run: Run, nodes: list[NodeRun], at: datetime) -> dict[str, Any]:
    return {"artifacts": list(run.artifacts.order_by("pk"))}


def _batches(run: Run, nodes: list[NodeRun], at: datetime) -> dict[str, Any]:
    return of_run(run)


def _requests(run: Run, nodes: list[NodeRun], at: datetime) -> dict[str, Any]:
    records = list(run.requests.defer(*TEXTS_BUT_ATTEMPTS).order_by("-id")[: RECORDS + 1])
    counts = [{**row, "mean": row["seconds"] / row["count"]} for row in by_node(run)]
    return {
        "counts": counts,
        "records": records[:RECORDS],
        "has_more_records": len(records) > RECORDS,
        "answers": len(unused(run)),
    }


def _events(run: Run, nodes: list[NodeRun], at: datetime) -> dict[str, Any]:
    events = list(run.events.order_by("-seq")[: EVENTS + 1])
    moves = run.transitions.select_related("step").order_by("-id")[:EVENTS]
    return {"events": events[:EVENTS], "has_more_events": len(events) > EVENTS, "moves": moves, "most_events": EVENTS}


def _nothing(run: Run, nodes: list[NodeRun], at: datetime) -> dict[str, Any]:
    return {}


CONTENT: Final[dict[str, Callable[[Run, list[NodeRun], datetime], dict[str, Any]]]] = {
    "nodes": _nodes,
    "timeline": _timeline,
    "logs": _nothing,
    "artifacts": _artifacts,
    "batches": _batches,
    "requests": _requests,
    "parameters": _nothing,
    "events": _events,
}
