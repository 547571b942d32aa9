"""The right pane of a workspace: the facts of one node, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Subquery

from console.pages.planned import Planned
from jobs.insight import read_logs
from jobs.models import Artifact, NodeRun, Run, Step
from jobs.models.log_chunk import Line
from jobs.states import Status
from jobs.structure.paths import at as found_at
from jobs.structure.paths import parsed
from jobs.structure.selection import ANYTHING, PREFIX, is_parameter
from jobs.structure.values import masked
from kedro_console.wire import Group, SnapshotNode, Value, bare

TAIL: Final = 12
MOST_EVENTS: Final = 400
MOST_FILES: Final = 200
KINDS: Final = ("dataset_loaded", "dataset_saved")


@dataclass(frozen=True)
class Flow:
    """A dataset that the node reads or writes, as its process reported it, else as the catalog describes it."""

    name: str
    type: str = ""
    path: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)


@dataclass(frozen=True)
class Setting:
    """A parameter that the node reads."""

    name: str
    value: Value = None
    is_known: bool = False


@dataclass(frozen=True)
class Drawer:
    name: str
    node: SnapshotNode | None
    run: NodeRun | None
    usual: float | None
    inputs: list[Flow]
    outputs: list[Flow]
    parameters: list[Setting]
    attempts: list[Step] = field(default_factory=list)
    """Those before the last that ended badly."""
    tail: list[Line] = field(default_factory=list)

    @property
    def code(self) -> list[tuple[int, str]]:
        """Its source, line by line as it is in its file."""
        return list(enumerate(self.node.source.splitlines(), self.node.line_start or 1)) if self.node else []

    @property
    def place(self) -> str:
        """Where its code is; its function where no file is known."""
        if self.node is None:
            return ""
        return f"{self.node.file}:{self.node.line_start}" if self.node.file else self.node.function


def drawer(
    run: Run, name: str, nodes: Iterable[NodeRun], plan: Planned | None, usual_nodes: Mapping[str, float]
) -> Drawer | None:
    """None when neither the run nor its pipeline has such a node."""
    row = next((node for node in nodes if node.name == name), None)
    node = plan.nodes.get(name) if plan else None
    if row is None and node is None:
        return None
    facts = _facts(run, name)
    files: dict[str, list[Artifact]] = {}
    for artifact in run.artifacts.filter(node=name).order_by("pk")[:MOST_FILES]:
        files.setdefault(bare(artifact.dataset), []).append(artifact)
    reads = [each for each in node.inputs if not is_parameter(each)] if node else _named(facts, "dataset_loaded")
    writes = node.outputs if node else _named(facts, "dataset_saved")
    return Drawer(
        name,
        node,
        row,
        usual_nodes.get(name),
        inputs=[_flow(each, "dataset_loaded", facts, plan, {}) for each in reads],
        outputs=[_flow(each, "dataset_saved", facts, plan, files) for each in writes],
        parameters=list(settings(node, run.resolved_parameters or run.parameters)) if node else [],
        attempts=_attempts(run, row) if row else [],
        tail=read_logs.tail(run, name, row.step_id, TAIL) if row and row.step_id else [],
    )


def planned_drawer(
    name: str, plan: Planned, usual_nodes: Mapping[str, float], known: Iterable[Setting]
) -> Drawer | None:
    """The same of a pipeline's node, without any run; `known` are all parameters that the pipeline reads."""
    node = plan.nodes.get(name)
    if node is None:
        return None
    reads = [each for each in node.inputs if not is_parameter(each)]
    return Drawer(
        name,
        node,
        None,
        usual_nodes.get(name),
        inputs=[_flow(each, "", {}, plan, {}) for each in reads],
        outputs=[_flow(each, "", {}, plan, {}) for each in node.outputs],
        parameters=_of_node(node, list(known)),
    )


def _of_node(node: SnapshotNode, known: list[Setting]) -> list[Setting]:
    if ANYTHING in node.inputs:
        return known
    named = tuple(name.removeprefix(PREFIX) for name in node.inputs if name.startswith(PREFIX))
    return [each for each in known if each.name in named or each.name.startswith(tuple(f"{name}." for name in named))]


def settings(node: SnapshotNode, values: Group) -> Iterator[Setting]:
    """The parameters that a node names, with their values and without their secrets."""
    known = masked(values)
    for name in node.inputs:
        if name.startswith(PREFIX):
            is_known, value = found_at(known, parsed(name.removeprefix(PREFIX), known))
            yield Setting(name.removeprefix(PREFIX), value, is_known)
        elif name == ANYTHING:
            yield Setting("all of them")


def _facts(run: Run, name: str) -> dict[tuple[str, str], Mapping[str, Any]]:
    """What was reported last of each dataset, by the kind of event and its name."""
    rows = run.events.filter(node=name, kind__in=KINDS).order_by("-seq")[:MOST_EVENTS]
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for event in rows:
        found.setdefault((event.kind, bare(event.data.get("dataset", ""))), event.data)
    return found


def _named(facts: Iterable[tuple[str, str]], kind: str) -> list[str]:
    return [name for each, name in facts if each == kind]


def _flow(
    name: str,
    kind: str,
    facts: Mapping[tuple[str, str], Mapping[str, Any]],
    plan: Planned | None,
    files: Mapping[str, list[Artifact]],
) -> Flow:
    told = facts.get((kind, bare(name)), {})
    described = plan.datasets.get(name) if plan else None
    kind_of = told.get("type") or (described.type if described else "")
    path = told.get("path") or (described.path if described else "")
    return Flow(name, str(kind_of), str(path), told, list(files.get(bare(name), [])))


def _attempts(run: Run, row: NodeRun) -> list[Step]:
    if row.attempts < 2 or row.step_id is None:
        return []
    last = Step.objects.filter(pk=row.step_id)
    before = run.steps.filter(position=Subquery(last.values("position")), attempt__lt=Subquery(last.values("attempt")))
    return list(before.filter(status__in=[Status.FAILED, Status.CRASHED]).order_by("attempt"))
