"""Choose which nodes of a pipeline a run executes, from the picture of its graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeVar

from jobs.errors import BadParameters
from kedro_console.wire import SnapshotNode, SnapshotPipeline

Name = TypeVar("Name", str, int)
ANYTHING = "parameters"
PREFIX = "params:"


def is_parameter(dataset: str) -> bool:
    return dataset == ANYTHING or dataset.startswith(PREFIX)


@dataclass(frozen=True)
class Selection:
    """What somebody asked for; empty lists ask for nothing in particular."""

    nodes: list[str] = field(default_factory=list)
    from_nodes: list[str] = field(default_factory=list)
    to_nodes: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not (self.nodes or self.from_nodes or self.to_nodes or self.tags)


def bare(dataset: str) -> str:
    """A dataset's name without Kedro's transcoding suffix (`cars@pandas` and `cars@spark` are one dataset)."""
    return dataset.partition("@")[0]


def parents(nodes: list[SnapshotNode]) -> dict[str, set[str]]:
    """Node name → names of the nodes whose outputs it reads."""
    maker = {bare(output): node.name for node in nodes for output in node.outputs}
    return {node.name: {maker[bare(name)] for name in node.inputs if bare(name) in maker} for node in nodes}


def children(nodes: list[SnapshotNode]) -> dict[str, set[str]]:
    """Node name → names of the nodes that read its outputs."""
    below: dict[str, set[str]] = {node.name: set() for node in nodes}
    for name, above in parents(nodes).items():
        for parent in above:
            below[parent].add(name)
    return below


def reach(start: Iterable[Name], edges: dict[Name, set[Name]]) -> set[Name]:
    """These nodes and all that can be reached from them along the edges."""
    seen: set[Name] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(edges.get(name, ()))
    return seen


def choose(pipeline: SnapshotPipeline, selection: Selection) -> list[SnapshotNode]:
    """The chosen nodes in topological order; BadParameters for a name that is not there or when none is left."""
    known = {node.name for node in pipeline.nodes}
    for field_name in ("nodes", "from_nodes", "to_nodes"):
        _all_known(field_name, getattr(selection, field_name), known)
    chosen = set(known)
    if selection.nodes:
        chosen &= set(selection.nodes)
    if selection.from_nodes:
        chosen &= reach(selection.from_nodes, children(pipeline.nodes))
    if selection.to_nodes:
        chosen &= reach(selection.to_nodes, parents(pipeline.nodes))
    if selection.tags:
        chosen &= {node.name for node in pipeline.nodes if set(selection.tags) & set(node.tags)}
    if not chosen:
        raise BadParameters({"nodes": "No node is left by this choice of nodes and tags."})
    return [node for node in pipeline.nodes if node.name in chosen]


def _all_known(field_name: str, names: list[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            nearest = get_close_matches(name, known, 2)
            hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
            raise BadParameters({field_name: f"There is no node “{name}” in this pipeline.{hint}"})
