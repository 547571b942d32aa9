"""Nodes of a pipeline that forks."""

from __future__ import annotations

from typing import Any

from jobs.models import Pipeline, Snapshot
from jobs.states import Runner
from tests.factories import AT, content, make_pipeline, make_project, node

NODES = [
    node("split", ["params:api_url"], ["one", "two"]),
    node("left", ["one"], ["l"]),
    node("right", ["two"], ["r"]),
    node("join", ["l", "r"], ["out"]),
]


def fork(nodes: list[dict[str, Any]] = NODES, datasets: Any = (), **facts: Any) -> Pipeline:
    """A distributed pipeline `report` of these nodes."""
    project = make_project()
    structure = {**content()["pipelines"][0], "nodes": nodes, "outputs": ["out"]}
    picture = content(pipelines=[structure], datasets=list(datasets))
    Snapshot.objects.create(project=project, revision="r1", content=picture, taken_at=AT)
    return make_pipeline(project=project, runner=Runner.DISTRIBUTED, **facts)
