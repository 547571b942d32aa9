"""How each pipeline usually behaves in a seeded history: how often it runs, how long, how it fails, what it leaves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from random import Random
from typing import Final

from jobs.models import Pipeline, Snapshot
from jobs.states import Runner
from jobs.stored import sealed
from kedro_console.wire import Json, ProjectSnapshot, SnapshotNode, SnapshotPipeline

FAILURES: Final = (
    ("ConnectionError", "HTTPSConnectionPool(host='api.example.org', port=443): read timed out after 30 s"),
    ("KeyError", "'price'"),
    ("ValueError", "could not convert string to float: 'n/a'"),
    ("kedro.io.core.DatasetError", "Failed while loading data: the file has no rows"),
    ("PermissionError", "[Errno 13] Permission denied: 'data/03_primary/orders.csv'"),
    ("MemoryError", "Unable to allocate 2.31 GiB for an array with shape (310000000,)"),
)
SUFFIXES: Final = {"csv": ".csv", "zip": ".zip", "ppt": ".pptx", "xls": ".xlsx", "json": ".json", "html": ".html"}
TYPES: Final = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".html": "text/html",
    ".zip": "application/zip",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True)
class Mode:
    """One way in which a pipeline fails: at which node, and with what exception."""

    place: int
    node: str
    exception: str
    message: str
    failure: str
    """The stored JSON of a wire.Failure."""

    @property
    def sentence(self) -> str:
        return f"Node {self.node}: {self.exception.rpartition('.')[2]}: {self.message}"


@dataclass(frozen=True)
class File:
    """A file that each good run leaves behind."""

    dataset: str
    node: str
    name: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True)
class Habit:
    """One pipeline; `seconds` are those of its nodes, `groups` the nodes of each step when it is distributed."""

    pipeline: Pipeline
    snapshot: Snapshot
    nodes: Sequence[SnapshotNode]
    seconds: Sequence[float]
    weight: float
    modes: Sequence[Mode]
    files: Sequence[File]
    groups: Sequence[Sequence[int]]
    resolved: str
    results: str

    @property
    def runner(self) -> str:
        return str(Runner.DISTRIBUTED if len(self.groups) > 1 else Runner.SEQUENTIAL)


def habits(random: Random) -> list[Habit]:
    """Those of all pipelines that can run, the busiest first; the same for the same seed."""
    rows = Pipeline.objects.filter(is_registered=True).select_related("project").order_by("pk")
    snapshots: dict[int, Snapshot | None] = {}
    found: list[Habit] = []
    for row in rows:
        snapshot = snapshots.setdefault(row.project_id, row.project.snapshot)
        structure = snapshot.pipeline(row.name) if snapshot else None
        if snapshot and structure and structure.nodes:
            found.append(_habit(row, snapshot, structure, random, weight=1 / (1 + len(found))))
    return found


def _habit(
    pipeline: Pipeline, snapshot: Snapshot, structure: SnapshotPipeline, random: Random, *, weight: float
) -> Habit:
    nodes = structure.nodes
    files = _files(structure, snapshot.picture)
    return Habit(
        pipeline=pipeline,
        snapshot=snapshot,
        nodes=nodes,
        seconds=[round(random.lognormvariate(1.0, 1.0), 2) for _ in nodes],
        weight=weight,
        modes=[_mode(nodes, *failure, random) for failure in random.sample(FAILURES, 3)],
        files=files,
        groups=_groups(len(nodes), is_distributed=pipeline.runner == Runner.DISTRIBUTED),
        resolved=json.dumps(_resolved(structure, snapshot.picture)),
        results=json.dumps({name: {"type": "MemoryDataset"} for name in structure.outputs[:4]}),
    )


def _groups(count: int, *, is_distributed: bool) -> list[list[int]]:
    """Places of nodes, two to a step where the pipeline is distributed, all in one where it is not."""
    size = 2 if is_distributed else count
    return [list(range(start, min(start + size, count))) for start in range(0, count, size)]


def _mode(nodes: Sequence[SnapshotNode], exception: str, message: str, random: Random) -> Mode:
    place = random.randrange(len(nodes))
    node = nodes[place]
    frame = {"file": node.file or "nodes.py", "line": node.line_start + 3, "function": node.function.rpartition(".")[2]}
    frames = [{**frame, "code": "    return rows", "is_project": True}]
    failure: dict[str, object] = {"exception": exception, "message": message, "frames": frames}
    text = json.dumps({**failure, "traceback": f"{exception}: {message}", "classes": [exception]})
    return Mode(place, node.name, exception, message, text)


def _files(structure: SnapshotPipeline, picture: ProjectSnapshot) -> list[File]:
    """What its nodes write to files of the catalog, and what they answer the path of."""
    paths = {row.name: PurePosixPath(row.path).name for row in picture.datasets if row.path}
    found = []
    for node in structure.nodes:
        for dataset in node.outputs:
            name = paths.get(dataset) or _named_after(dataset)
            if name:
                media_type = TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
                found.append(File(dataset, node.name, name, media_type, 2_000 + 997 * len(name) ** 2))
    return found[:4]


def _named_after(dataset: str) -> str:
    """`ppt_file` is the path of some slides; "" for anything else."""
    stem, _, end = dataset.rpartition("_")
    return f"report{SUFFIXES[stem]}" if end == "file" and stem in SUFFIXES else ""


def _resolved(structure: SnapshotPipeline, picture: ProjectSnapshot) -> dict[str, Json]:
    names = picture.parameters.keys() if "*" in structure.parameters else structure.parameters
    return sealed({name: picture.parameters[name] for name in list(names)[:12] if name in picture.parameters})
