"""The graph of `subcollectors`: 1 → as many collect nodes as conf/base/graph.yml says → 1 → 1 → 1."""

from __future__ import annotations

import yaml
from kedro.pipeline import Pipeline, node

from demo.addresses import in_project
from demo.pipelines.subcollectors.collect import collect
from demo.pipelines.subcollectors.gather import cleanup, collector_gathering, process
from demo.pipelines.subcollectors.request import requester

GRAPH = "conf/base/graph.yml"
MOST_NODES = 500


class GraphError(ValueError):
    """conf/base/graph.yml asks for a graph that cannot be."""


def collect_nodes() -> int:
    """How many nodes collect beside each other; a graph is fixed before a run, so no parameter can change it."""
    path = in_project(GRAPH)
    count = yaml.safe_load(path.read_text(encoding="utf-8"))["collect_nodes"] if path.exists() else 8
    if not isinstance(count, int) or not 1 <= count <= MOST_NODES:
        raise GraphError(f"{GRAPH}: collect_nodes is {count!r}; write a whole number from 1 to {MOST_NODES}.")
    return count


def create_pipeline(nodes: int) -> Pipeline:
    """`collector_request` → `collect_…` beside each other → `collector_gathering` → `cleanup` → `process`."""
    names = [f"{position:0{len(str(nodes - 1))}}" for position in range(nodes)]
    shares, lists = [f"share_{name}" for name in names], [f"collected_{name}" for name in names]
    request = node(
        requester(nodes), ["params:topic", "params:sources"], ["request", *shares], name="collector_request"
    )  # fmt: skip
    collectors = [
        node(collect, ["request", share, "params:fetch"], found, name=f"collect_{name}", tags="collect")
        for name, share, found in zip(names, shares, lists, strict=True)
    ]
    gathering = node(
        collector_gathering,
        ["params:missing_tolerated", *lists],
        ["gathered_items", "missing_sources"],
        name="collector_gathering",
    )
    return Pipeline(
        [
            request,
            *collectors,
            gathering,
            node(cleanup, "gathered_items", "clean_items", name="cleanup"),
            node(process, ["request", "clean_items"], "collection", name="process"),
        ]
    )
