"""The graph that a run was planned by, or that a pipeline has now: read once, and kept while pages ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from console.drawing.folds import Box, divide
from jobs.models import Run
from jobs.models.snapshot import picture_of
from kedro_console.wire import SnapshotDataset, SnapshotNode, SnapshotPipeline

KEPT = 24
"""Graphs in memory; one of 500 nodes takes about a megabyte."""


@dataclass(frozen=True)
class Planned:
    structure: SnapshotPipeline
    whole: Box
    """Its nodes in boxes."""
    datasets: Mapping[str, SnapshotDataset]
    nodes: Mapping[str, SnapshotNode]


def of_run(run: Run) -> Planned | None:
    """None when the picture that it was planned with is gone."""
    return planned(run.snapshot_id, run.pipeline.name) if run.snapshot_id else None


@lru_cache(maxsize=KEPT)
def planned(snapshot_id: int, pipeline: str) -> Planned | None:
    """Of a snapshot, which never changes."""
    picture = picture_of(snapshot_id)
    structure = next((each for each in picture.pipelines if each.name == pipeline), None) if picture else None
    if picture is None or structure is None:
        return None
    used = {name.partition("@")[0] for node in structure.nodes for name in (*node.inputs, *node.outputs)}
    datasets = {each.name: each for each in picture.datasets if each.name.partition("@")[0] in used}
    return Planned(structure, divide(structure), datasets, {node.name: node for node in structure.nodes})
