"""Which nodes of an ended run need not run again, which do, and what will happen a second time, with the reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from jobs import clock
from jobs.errors import IllegalMove
from jobs.models import NodeRun, Run, Snapshot
from jobs.runs.launch import nodes_of, snapshot_of
from jobs.runs.read_leftovers import Leftovers
from jobs.runs.spread import Part, spread
from jobs.states import NODE_DONE, NodeStatus, Status
from jobs.structure import parameters as runtime
from jobs.structure.paths import Path, leaves, merge, named, text_of, written
from jobs.structure.selection import ANYTHING, PREFIX, parents, selection_of
from jobs.structure.values import same
from kedro_console.wire import Group, Key, SnapshotNode, Value, bare

UNFINISHED = "All nodes succeeded, but the run did not reach its end: the last ones run again to get there."


@dataclass(frozen=True)
class Preview:
    """What resuming a run would do; `parameters` are those that the new run is given."""

    rerun: list[Part]
    reuse: list[Part]
    again: list[Part]
    parameters: Group
    load_versions: dict[str, str] = field(default_factory=dict)
    """Versioned datasets that are read as the old run saved them."""


def preview(run: Run, parameters: Group | None = None) -> Preview:
    """What a new run would execute and reuse with the old parameters, these laid over them.

    IllegalMove while the run is under way; BadParameters, UnknownPipeline and ProjectError as from `launch`.
    """
    if not run.is_final:
        raise IllegalMove("run", run.status, "resumed before it has ended")
    selection = selection_of(run)
    snapshot = snapshot_of(run.pipeline, selection.env, at=clock.now())
    nodes = nodes_of(run.pipeline, snapshot, selection)
    asked = _asked(run, snapshot, parameters or {})
    left = Leftovers(run, snapshot)
    reasons = _rerun(run, nodes, left, {**_old(run, nodes, snapshot), **_changed(run, nodes, snapshot, asked)})
    if not reasons and run.status != Status.SUCCEEDED:
        reasons = _rerun(run, nodes, left, dict.fromkeys(_last(nodes), UNFINISHED))
    reused = {node.name for node in nodes if node.name not in reasons}
    return Preview(
        rerun=[Part(node.name, reasons[node.name]) for node in nodes if node.name in reasons],
        reuse=[Part(node.name, _taken(node, nodes, reused, left)) for node in nodes if node.name in reused],
        again=[Part(node.name, text) for node in nodes if node.name in reasons and (text := left.effects(node.name))],
        parameters=asked,
        load_versions=left.versions(reused),
    )


def _asked(run: Run, snapshot: Snapshot, given: Group) -> dict[Key, Value]:
    structure = snapshot.pipeline(run.pipeline.name)
    changes = runtime.check(given, picture=snapshot.picture, pipeline=structure)
    return runtime.check(
        runtime.as_given(merge(run.parameters, changes)),
        picture=snapshot.picture,
        pipeline=structure,
        defaults=run.pipeline.default_parameters,
    )


# ---- why a node runs again -------------------------------------------------------------------------


def _rerun(run: Run, nodes: list[SnapshotNode], left: Leftovers, reasons: dict[str, str]) -> dict[str, str]:
    """All nodes that have to run: those that did not succeed or changed, all below, and what they need that is gone."""
    reasons = {**reasons, **dict(_not_done(run, nodes))}  # what went wrong says more than what changed
    return spread(nodes, reasons, left.lost)


def _last(nodes: list[SnapshotNode]) -> list[str]:
    """Those that no other one needs."""
    needed = set().union(*parents(nodes).values())
    return [node.name for node in nodes if node.name not in needed]


def _not_done(run: Run, nodes: list[SnapshotNode]) -> Iterator[Part]:
    rows = {row.name: row for row in NodeRun.of(run)}
    for node in nodes:
        row = rows.get(node.name)
        if row is None:
            yield Part(node.name, f"It was not in run #{run.pk}.")
        elif row.status not in NODE_DONE:
            yield Part(node.name, _what_happened(row))


def _what_happened(row: NodeRun) -> str:
    words = {
        NodeStatus.FAILED: "It failed",
        NodeStatus.CRASHED: "It crashed",
        NodeStatus.CANCELLED: "It was cancelled",
        NodeStatus.BLOCKED: "It was blocked by what failed before it",
    }
    said = words.get(NodeStatus(row.status), "It did not run")
    if row.error and row.status != NodeStatus.BLOCKED:
        said = f"{said}: {row.error}"
    return said if said.endswith((".", "?", "!")) else f"{said}."


def _old(run: Run, nodes: list[SnapshotNode], snapshot: Snapshot) -> dict[str, str]:
    """Nodes whose function or datasets are not what they were when the run was started."""
    if run.snapshot is None or run.snapshot_id == snapshot.pk:
        return {}
    structure = run.structure
    before = {node.name: content_of(node) for node in structure.nodes} if structure else {}
    return {node.name: "Its code changed." for node in nodes if before.get(node.name) != content_of(node)}


def content_of(node: SnapshotNode) -> tuple[str, str, list[str], list[str]]:
    """What a node is: its function with its source, and its datasets."""
    return (node.function, node.source, node.inputs, node.outputs)


def _changed(run: Run, nodes: list[SnapshotNode], snapshot: Snapshot, asked: Group) -> dict[str, str]:
    """Nodes that read a parameter whose value is another one now."""
    old = run.snapshot.picture.parameters if run.snapshot else snapshot.picture.parameters
    new = merge(snapshot.picture.parameters, asked)
    before, after = dict(leaves(merge(old, run.parameters))), dict(leaves(new))
    paths = sorted((path for path in before.keys() | after.keys() if _differ(before, after, path)), key=written)
    taken = [path for path in paths if text_of(path[0]) in _taken_by_configuration(snapshot)]
    if taken:
        return {node.name: f"The configuration uses {named(taken[0], new)}, which changed." for node in nodes}
    found = {node.name: next(_read(node, paths), None) for node in nodes}
    return {node: f"It reads {named(path, new)}, which changed." for node, path in found.items() if path}


def _taken_by_configuration(snapshot: Snapshot) -> set[str]:
    return {name.split(".")[0] for name in snapshot.picture.runtime_parameters}


def _differ(before: dict[Path, Value], after: dict[Path, Value], path: Path) -> bool:
    return (path in before) != (path in after) or not same(before.get(path), after.get(path))


def _read(node: SnapshotNode, paths: list[Path]) -> Iterator[Path]:
    """Those of these parameters that the node reads, also as a part of a group or as a group."""
    for given in node.inputs:
        read = given.removeprefix(PREFIX)
        for path in paths:
            name = ".".join(map(text_of, path))
            is_inside = f"{name}.".startswith(f"{read}.") or f"{read}.".startswith(f"{name}.")
            if given == ANYTHING or (given.startswith(PREFIX) and is_inside):
                yield path


# ---- why a node does not ---------------------------------------------------------------------------


def _taken(node: SnapshotNode, nodes: list[SnapshotNode], reused: set[str], left: Leftovers) -> str:
    """What the new run takes of this node's outputs."""
    needed = {bare(name) for other in nodes if other.name not in reused for name in other.inputs}
    outputs = [name for name in map(bare, node.outputs) if name in needed]
    if not outputs:
        return "It succeeded, and nothing that runs again needs what it made."
    return f"It succeeded: {'; '.join(left.place(name) for name in outputs)}."
