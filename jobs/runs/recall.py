"""Which nodes of a new run need not run, because an earlier successful run has made the same from the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from jobs.interpreters import stores
from jobs.interpreters.snapshots import take, take_in
from jobs.models import NodeRun, Pipeline, Run, Snapshot
from jobs.runs.carry_over import carry_over
from jobs.runs.read_leftovers import Leftovers
from jobs.runs.spread import Part, spread
from jobs.states import NODE_DONE, Status
from jobs.steps.overlap import written_by_live
from jobs.structure.content import Contents, Parts, contents, is_fresh
from kedro_console.wire import Group, SnapshotNode, bare

EARLIER: Final = 50
"""How many of the last successful runs are looked at."""
FEW: Final = 3
"""How many of them are asked whether they still have a node's outputs, and what has changed since."""
FAR: Final = "The project's folder cannot be seen from here, so changes cannot be detected."


@dataclass
class Recall:
    """What a run takes from earlier ones, and why the rest runs."""

    contents: Contents = field(default_factory=Contents)
    taken: dict[str, Run] = field(default_factory=dict)
    """Node → the run whose outputs it takes."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Node → why it runs."""
    again: list[Part] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    """Versioned datasets → the version to read."""

    @property
    def rerun(self) -> list[Part]:
        return [Part(*item) for item in self.reasons.items()]

    @property
    def reuse(self) -> list[Part]:
        return [Part(name, reason_of(run)) for name, run in self.taken.items()]


def reason_of(run: Run) -> str:
    return f"Its code, parameters and inputs are those of run #{run.pk}."


def fresh_snapshot(pipeline: Pipeline, snapshot: Snapshot, *, at: datetime) -> Snapshot:
    """The picture of the project as it is now; read again when a file of it has changed."""
    project = pipeline.project
    is_elsewhere = "folders" in snapshot.content and not snapshot.picture.folders  # to read it again would tell no more
    if is_elsewhere or not project.folder.is_dir() or is_fresh(snapshot, project):
        return snapshot
    return take_in(project, snapshot.kedro_env, at=at) if snapshot.kedro_env else take(project, at=at)


def recall(pipeline: Pipeline, snapshot: Snapshot, nodes: list[SnapshotNode], parameters: Group) -> Recall:
    """For a run of these nodes with these runtime parameters; the snapshot is fresh."""
    if not pipeline.project.folder.is_dir():
        return Recall(reasons={node.name: FAR for node in nodes})
    found = contents(nodes, snapshot, pipeline.project, parameters)
    return _Search(pipeline, snapshot, nodes, found).recall()


def without_taking(found: Recall, reused: Collection[str], old: Run | None) -> Recall:
    """For a run that takes nothing by content: only what its nodes follow from is of use, for later runs.

    Of a resumed run only when the nodes that it reuses had the same content then.
    """
    before = dict(old.node_runs.filter(name__in=list(reused)).values_list("name", "content_key")) if old else {}
    if any(found.contents.key(name) != before.get(name, "") for name in reused):
        return Recall()
    return Recall(contents=found.contents, versions=found.contents.versions)


class _Search:
    """Looks through the last successful runs of one pipeline."""

    def __init__(self, pipeline: Pipeline, snapshot: Snapshot, nodes: list[SnapshotNode], found: Contents) -> None:
        self._nodes, self._snapshot, self._contents = nodes, snapshot, found
        runs = Run.objects.filter(pipeline=pipeline, status=Status.SUCCEEDED).select_related("pipeline__project")
        self._runs = {run.pk: run for run in runs.order_by("-pk").defer("snapshot__content")[:EARLIER]}
        self._left = {pk: Leftovers(run, snapshot) for pk, run in self._runs.items()}
        self._persisted = snapshot.picture.persisted
        self._written = written_by_live(pipeline.project_id)
        self._maker = {bare(name): node.name for node in nodes for name in node.outputs}
        self._last: dict[str, tuple[int, Parts]] = {}
        self._same: dict[str, list[int]] = defaultdict(list)
        self._read_rows()

    def _read_rows(self) -> None:
        """By node: the runs in which its content was the same, and what it was in the newest that knows it."""
        rows = NodeRun.objects.filter(run__in=self._runs, status__in=sorted(NODE_DONE)).exclude(content_key="")
        rows = rows.order_by("-run_id")
        keys = {node.name: self._contents.key(node.name) for node in self._nodes}
        same = rows.filter(content_key__in={key for key in keys.values() if key})
        for name, key, number in same.values_list("name", "content_key", "run_id"):
            if key == keys.get(name):
                self._same[name].append(number)
        others = rows.filter(name__in=keys.keys() - self._same.keys(), run__in=list(self._runs)[:FEW])
        for name, number, parts in others.values_list("name", "run_id", "content"):
            self._last.setdefault(name, (number, parts or Parts()))

    def recall(self) -> Recall:
        found = {node.name: self._donor(node) for node in self._nodes}
        reasons = {name: why for name, (number, why) in found.items() if why}
        donors = {name: number for name, (number, why) in found.items() if number and not why}
        reasons = spread(self._nodes, reasons, lambda dataset: self._lost(donors.get(self._maker[dataset]), dataset))
        taken = {node.name: self._runs[donors[node.name]] for node in self._nodes if node.name not in reasons}
        return Recall(
            contents=self._contents,
            taken=taken,
            reasons={node.name: reasons[node.name] for node in self._nodes if node.name in reasons},
            again=list(self._again(reasons)),
            versions={**self._contents.versions, **self._versions(taken)},
        )

    def _donor(self, node: SnapshotNode) -> tuple[int, str]:
        """(the run to take from, "") or (0, why the node runs)."""
        if why := self._contents.unknown.get(node.name):
            return 0, why
        whys = []
        for number in self._same[node.name][:FEW]:
            why = next(filter(None, (self._lost(number, bare(name)) for name in self._kept(node))), "")
            if not why:
                return number, ""
            whys.append(why)
        return 0, whys[0] if whys else self._what_changed(node.name)

    def _kept(self, node: SnapshotNode) -> list[str]:
        """The outputs that have to be there although nothing may need them: files, tables, and the run's results."""
        read = {bare(name) for other in self._nodes for name in other.inputs}
        return [name for name in node.outputs if bare(name) in self._persisted or bare(name) not in read]

    def _lost(self, number: int | None, dataset: str) -> str:
        if number is None:
            return ""  # its maker runs anyway
        if other := self._written.get(dataset):
            return f"Run #{other}, which is under way, saves {dataset}."
        return self._left[number].lost(dataset)

    def _what_changed(self, node: str) -> str:
        if node not in self._last:
            return "No earlier successful run is known to have made the same."
        number, before = self._last[node]
        now = self._contents.parts[node]
        inputs = _changed(before.get("inputs", {}), now["inputs"])
        subjects = [
            *(["Its code"] if before.get("code") != now["code"] else []),
            *(["The project's Python or a package"] if before.get("packages") != now["packages"] else []),
            *(f"Its parameter {name}" for name in _changed(before.get("parameters", {}), now["parameters"])),
            *(f"Its input {name}" for name in inputs if name not in self._maker),
            *(f"The result of {self._maker[name]}, which it needs," for name in inputs if name in self._maker),
        ]
        return f"{subjects[0] if subjects else 'It'} is not the same as in run #{number}."

    def _versions(self, taken: dict[str, Run]) -> dict[str, str]:
        by_run = _by_run(taken)
        return {name: version for run, names in by_run for name, version in self._left[run.pk].versions(names).items()}

    def _again(self, reasons: dict[str, str]) -> Iterator[Part]:
        newest = next(iter(self._left.values()), None)
        for node in self._nodes if newest else ():
            if node.name in reasons and (text := newest.effects(node.name)):  # type: ignore[union-attr]
                yield Part(node.name, text)


def _changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _by_run(taken: dict[str, Run]) -> Iterable[tuple[Run, set[str]]]:
    groups: dict[int, tuple[Run, set[str]]] = {}
    for name, run in taken.items():
        groups.setdefault(run.pk, (run, set()))[1].add(name)
    return groups.values()


def share_stores(found: Recall, new: Run, nodes: list[SnapshotNode]) -> stores.Loans:
    """Before the run is committed: it can read what its nodes will need, and what a later run may take from it."""
    outputs = {node.name: node.outputs for node in nodes}
    loans: stores.Loans = {}
    for old, names in _by_run(found.taken):
        for place, files in stores.share(old, new, [name for node in names for name in outputs[node]]).items():
            loans.setdefault(place, set()).update(files)
    return loans


def carry_all_over(found: Recall, new: Run, nodes: list[SnapshotNode], at: datetime) -> None:
    """What the reused nodes gave for people."""
    outputs = {node.name: node.outputs for node in nodes}
    for old, names in _by_run(found.taken):
        carry_over(old, new, names, [name for node in names for name in outputs[node]], at)
