"""What a run's page shows: its pace, its failure, and the content of the chosen tab."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from console.drawing.gantt import LOADED, SAVED, Told, gantt
from console.drawing.tree import Pace as NodePace
from console.pages import planned
from console.pages.attempts import attempts
from console.pages.bad_end import failure, stopped
from console.pages.batch_pages import of_run
from console.pages.node_drawer import drawer
from console.pages.rules import COLOURS
from console.pages.wait_ways import waits
from console.pages.workspace import Scene, Where, scene, without_plan
from console.templatetags.console import plural
from jobs.insight.belongings import Belongings
from jobs.insight.compare import BAD, RUNS_LOOKED_AT
from jobs.insight.durations import (
    SHOWN,
    Bar,
    Neighbours,
    Row,
    Usual,
    around,
    grid,
    usual_of_nodes_in,
    usual_times,
)
from jobs.insight.explain import why_waiting
from jobs.insight.stopping import Stopped, stages, stopping
from jobs.models import NodeRun, Run, Step, Upload
from jobs.requests import TEXTS, by_node
from jobs.resends.rerun_dependents import unused
from jobs.runs.prioritize import LAST
from jobs.states import NODE_LIVE, NodeStatus, Status
from kedro_console.wire import bare

EVENTS: Final = 200
FOLLOWS: Final = 20
RECORDS: Final = 100
FILES: Final = 100
MOST_TOLD: Final = 3_000
"""Loads and saves that the timeline draws."""
MOST_SAID: Final = 3
"""Nodes at work that are named one by one."""
TEXTS_BUT_ATTEMPTS: Final = tuple(name for name in TEXTS if name != "attempts")
LABELS: Final = {
    "graph": "Graph",
    "timeline": "Timeline",
    "logs": "Log",
    "artifacts": "Artifacts",
    "nodes": "Nodes",
    "batches": "Items",
    "requests": "Requests",
    "parameters": "Parameters",
    "events": "Events",
}


PANELS: Final = {
    **{tab: f"runs/_{tab}.html" for tab in LABELS},
    "compare": "runs/_compare.html",
    "resume": "runs/_resume_form.html",
}
"""The template of each pane; two have pages of their own and no tab."""


@dataclass(frozen=True)
class Pace:
    """How far a run is, against how long its pipeline usually takes."""

    seconds: float | None
    usual: Usual | None
    percent: float
    is_late: bool
    measure: str = "Nodes done"
    """What `percent` is a share of."""
    left: float | None = None
    """Seconds that it should still take; None where nothing says so."""
    median_at: float | None = None
    p95_at: float | None = None
    """Where the usual time and its 95th percentile are on the bar, in percent."""


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


def first_tab(run: Run) -> str:
    """What one sees when the address names nothing: the graph, where there is one."""
    return "graph" if run.snapshot_id else "nodes"


def context(run: Run, tab: str, at: datetime, query: QueryDict, **asked: Any) -> dict[str, Any]:
    """Everything that templates/runs/_run.html needs for this tab; the query says what of the workspace is shown."""
    nodes, has = NodeRun.of(run), Belongings.of(run)
    where = Where.asked(reverse("run", args=[run.pk]), tab, first_tab(run), query)
    normal, lately = usual_times(run.pipeline_id, before=run.pk)
    usual_nodes, neighbours = usual_of_nodes_in(lately), neighbours_of(run)
    plan = planned.of_run(run)
    return {
        "run": run,
        "at": at,
        "tab": tab,
        "where": where,
        "is_first": tab == where.first,
        "chosen": drawer(run, where.node, nodes, plan, usual_nodes) if where.node else None,
        **vars(_scene(where, plan, nodes, usual_nodes, at)),
        "tab_links": _tab_links(run, where, has_items=has.has_takings),
        "panel": PANELS[tab],
        "poll": where.at(folds=()).polled + _of_pane(tab, query),
        "artifact_count": has.artifacts,
        "unkept": list(run.unkept_files.all()) if has.has_unkept else [],
        **(uploads := _uploads(run, at, has_any=has.has_unsent)),
        "is_asked_again": tab in LABELS and (not run.is_final or bool(uploads["uploads"])),
        "failed_requests": has.open_requests,
        "pace": pace(run, at, normal, _share_left(nodes, usual_nodes, at)),
        "phases": [] if where.node else phases(run, at),
        "reasons": waits(run, why_waiting(run, at, lately, has_grants=has.has_grants)),
        "priority": None if run.is_final else has.waiting_priority,
        "priorities": range(LAST + 1),
        "stopping": stopping(run, at),
        "question": _question(run, nodes),
        "failure": failure(run, nodes, neighbours),
        "stopped": stopped(run, nodes),
        "neighbours": neighbours,
        **chain(run, has),
        "retries": list(run.retries.order_by("pk").only("pk", "status")[:5]) if has.has_retries else [],
        "nodes": nodes,
        **CONTENT.get(tab, _nothing)(run, nodes, at),
        **asked,
    }


def _of_pane(tab: str, query: QueryDict) -> str:
    """What else a refresh of this pane has to ask for."""
    names = ("after", "file", "sheet", "folder", "entry") if tab == "artifacts" else ()
    found = {name: query[name] for name in names if query.get(name)}
    return f"&{urlencode(found)}" if found else ""


@dataclass(frozen=True)
class Strip:
    """Runs of the pipeline around this one, and how the chosen node went in each."""

    bars: list[Bar]
    rows: list[Row]
    links: list[tuple[Bar, str]]


def neighbours_of(run: Run) -> Neighbours:
    """As many as the page tells of: a failure is told among many."""
    return Neighbours(run, RUNS_LOOKED_AT if run.status in BAD else SHOWN)


def strip(neighbours: Neighbours, where: Where, at: datetime) -> Strip:
    """Each run with the address of the same view of it."""
    bars = around(neighbours, at)
    links = [(bar, where.at(path=reverse("run", args=[bar.number])).address) for bar in bars]
    return Strip(bars, grid([where.node], bars) if where.node else [], links)


def _scene(
    where: Where, plan: planned.Planned | None, nodes: list[NodeRun], usual_nodes: Mapping[str, float], at: datetime
) -> Scene:
    statuses = {node.name: node.status for node in nodes}
    paces = {node.name: _pace_of(node, usual_nodes.get(node.name), at) for node in nodes}
    if plan is None:
        return without_plan(where, [node.name for node in nodes], statuses, paces)
    return scene(where, plan, statuses, paces, is_drawn=where.pane == "graph")


def _pace_of(node: NodeRun, usual_seconds: float | None, at: datetime) -> NodePace:
    if node.status != NodeStatus.RUNNING or node.started_at is None:
        return NodePace(node.seconds, usual_seconds)
    progress = node.progress or {}
    total = progress.get("total")
    done = 100 * progress.get("done", 0) / total if total else None
    return NodePace((at - node.started_at).total_seconds(), usual_seconds, done, node.started_at)


def _share_left(nodes: list[NodeRun], usual_nodes: Mapping[str, float], at: datetime) -> float | None:
    """Of the time that the nodes of the run usually take how much is still to come; None when that is not known."""
    whole = sum(usual_nodes.get(node.name, 0.0) for node in nodes if node.status != NodeStatus.REUSED)
    if not whole:
        return None
    left = 0.0
    for node in nodes:
        if node.status in NODE_LIVE:
            since = (at - node.started_at).total_seconds() if node.started_at else 0.0
            left += max(0.0, usual_nodes.get(node.name, 0.0) - since)
    return left / whole


def _uploads(run: Run, at: datetime, *, has_any: bool) -> dict[str, Any]:
    """Files of the run that are on their way to the store, and those that should have arrived."""
    waiting = list(run.unsent) if has_any else []
    stranded = run.unsent.stranded(at) if waiting else {}
    late = [_late(upload, at, stranded.get(upload.host)) for upload in waiting if upload.is_late(at)]
    return {"uploads": waiting, "late": late, "not_in_store": _not_in_store(len(late), len(waiting))}


def _late(upload: Upload, at: datetime, is_stranded: bool | None) -> Late:
    return Late(upload, upload.sentence(at, is_stranded=is_stranded), bool(is_stranded))


def _not_in_store(late: int, waiting: int) -> str:
    if late:
        return f"{late:,} {'file is' if late == 1 else 'files are'} kept, not yet in the store"
    return f"{waiting:,} {'file is' if waiting == 1 else 'files are'} on the way to the store" if waiting else ""


def chain(run: Run, has: Belongings) -> dict[str, Any]:
    """The rule that started it, what its own end brought about, and the joins that wait for others beside it."""
    brought = run.firings.select_related("rule", "started__pipeline").order_by("pk")
    waiting = run.arrivals.filter(firing=None).select_related("rule").order_by("pk")
    return {
        "begun_by": run.begun_by.select_related("rule").first() if run.caused_by_id else None,
        "follows": list(brought[:FOLLOWS]) if has.has_firings else [],
        "arrivals": list(waiting[:FOLLOWS]) if has.has_arrivals else [],
        "colours": COLOURS,
    }


def _tab_links(run: Run, where: Where, *, has_items: bool) -> list[tuple[str, str, str]]:
    """Name, label and address of each tab that has something to show: only some runs deal with batch queues."""
    is_shown = where.pane == "batches" or has_items
    names = [name for name in LABELS if is_shown or name != "batches"]
    return [(name, LABELS[name], _address(run, where, name)) for name in names]


def _address(run: Run, where: Where, tab: str) -> str:
    if tab == "logs":
        log = reverse("run_logs", args=[run.pk])
        return f"{log}?{urlencode({'node': where.node})}" if where.node else log
    return where.at(pane=tab).address


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


def pace(run: Run, at: datetime, normal: Usual | None, share_left: float | None = None) -> Pace:
    """`normal` is what its pipeline usually takes, `share_left` how much of its nodes' usual time is still to come."""
    seconds = ((run.finished_at or at) - run.started_at).total_seconds() if run.started_at else None
    by_nodes = 100 * run.nodes_done / run.nodes_total if run.nodes_total else 0.0
    if seconds is None or not (normal and normal.median):
        is_whole = run.status == Status.SUCCEEDED
        return Pace(seconds, normal, 100.0 if is_whole else by_nodes if run.is_final else min(98.0, by_nodes), False)
    whole = 1.05 * max(normal.p95, seconds)
    return Pace(
        seconds,
        normal,
        100 * seconds / whole,
        is_late=not run.is_final and seconds > normal.p95,
        measure="Time, beside what the run usually takes",
        left=None if run.is_final else _left(seconds, normal, share_left),
        median_at=100 * normal.median / whole,
        p95_at=100 * normal.p95 / whole,
    )


def _left(seconds: float, normal: Usual, share: float | None) -> float:
    return max(0.0, normal.median - seconds) if share is None else share * normal.median


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


def _timeline(run: Run, nodes: list[NodeRun], at: datetime) -> dict[str, Any]:
    rows = run.events.filter(kind__in=[LOADED, SAVED]).order_by("seq")
    facts = rows.values_list("kind", "node", "at", "data__seconds")[:MOST_TOLD]
    told = [Told(kind, node, moment, float(seconds or 0)) for kind, node, moment, seconds in facts]
    plan = planned.of_run(run)
    return {"gantt": gantt(run, nodes, at, told, _needs(plan) if plan else None, attempts(run, nodes))}


def _needs(plan: planned.Planned) -> dict[str, list[str]]:
    """Of each node those that make what it reads."""
    makers = {bare(name): node.name for node in plan.structure.nodes for name in node.outputs}
    return {
        node.name: [makers[bare(name)] for name in node.inputs if bare(name) in makers] for node in plan.structure.nodes
    }


def files(run: Run, after: int = 0) -> dict[str, Any]:
    """Its files by the key, a page of them, and where the next page begins."""
    rows = list(run.artifacts.order_by("pk").filter(pk__gt=after)[: FILES + 1])
    return {"artifacts": rows[:FILES], "next_after": rows[FILES - 1].pk if len(rows) > FILES else 0, "after": after}


def _batches(run: Run, nodes: list[NodeRun], at: datetime) -> dict[str, Any]:
    return of_run(run)


def _requests(run: Run, nodes: list[NodeRun], at: datetime) -> dict[str, Any]:
    if not Belongings.of(run).has_requests:
        return {"counts": [], "records": [], "has_more_records": False, "answers": 0}
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
    "graph": _nothing,
    "nodes": _nodes,
    "timeline": _timeline,
    "logs": _nothing,
    "artifacts": _nothing,
    "batches": _batches,
    "requests": _requests,
    "parameters": _nothing,
    "events": _events,
}
