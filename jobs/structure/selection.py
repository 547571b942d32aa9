"""Choose which nodes of a pipeline a run executes, from the picture of its graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Final, TypeVar

from jobs.errors import BadParameters, EmptyPipeline, did_you_mean, nearest_of
from kedro_console.wire import Json, ProjectSnapshot, SnapshotNode, SnapshotPipeline, bare

if TYPE_CHECKING:
    from jobs.models import Run

Name = TypeVar("Name", str, int)
ANYTHING = "parameters"
PREFIX = "params:"
FEW = 6


def is_parameter(dataset: str) -> bool:
    return dataset == ANYTHING or dataset.startswith(PREFIX)


@dataclass(frozen=True)
class Selection:
    """What somebody asked for, in the words of `kedro run`; what is empty asks for nothing in particular."""

    nodes: list[str] = field(default_factory=list)
    from_nodes: list[str] = field(default_factory=list)
    to_nodes: list[str] = field(default_factory=list)
    from_inputs: list[str] = field(default_factory=list)
    to_outputs: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)
    only_missing_outputs: bool = False
    load_versions: dict[str, str] = field(default_factory=dict)
    env: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it names none of the nodes."""
        return not any(getattr(self, name) for name in OF_NODES)

    @property
    def stored(self) -> dict[str, Json]:
        """What was asked for, as a row keeps it: `read` makes the same selection of it."""
        return {name: value for name, value in asdict(self).items() if value}

    @property
    def choices(self) -> dict[str, list[str]]:
        """What it says about nodes."""
        return {name: names for name in OF_NODES if (names := getattr(self, name))}

    def of(self, nodes: list[str]) -> Selection:
        """The same configuration for these nodes alone."""
        return Selection(nodes=nodes, load_versions=self.load_versions, env=self.env)


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


def choose(pipeline: SnapshotPipeline, selection: Selection, *, kedro: str = "") -> list[SnapshotNode]:
    """The chosen nodes in topological order: those that meet every choice, as `Pipeline.filter` of that Kedro version.

    BadParameters for a name that is not there, and when no node is left.
    """
    chosen = {node.name for node in pipeline.nodes}
    for name, select in SELECTS.items():
        if asked := getattr(selection, name):
            is_prefix = name == "namespaces" and kedro.startswith("0.")
            chosen &= _in_old_namespaces(pipeline, asked) if is_prefix else select(pipeline, asked)
    if not chosen and selection.is_whole:
        raise EmptyPipeline(pipeline.name)
    if not chosen:
        asked_for = [name for name in OF_NODES if getattr(selection, name)]
        raise BadParameters({asked_for[0]: f"No node matches this choice of {' and '.join(asked_for)}."})
    return [node for node in pipeline.nodes if node.name in chosen]


def _named(field_name: str, pipeline: SnapshotPipeline, asked: list[str]) -> set[str]:
    return set(_known("node", field_name, asked, {node.name for node in pipeline.nodes}))


def _nodes(pipeline: SnapshotPipeline, asked: list[str]) -> set[str]:
    return _named("nodes", pipeline, asked)


def _from_nodes(pipeline: SnapshotPipeline, asked: list[str]) -> set[str]:
    return reach(_named("from_nodes", pipeline, asked), children(pipeline.nodes))


def _to_nodes(pipeline: SnapshotPipeline, asked: list[str]) -> set[str]:
    return reach(_named("to_nodes", pipeline, asked), parents(pipeline.nodes))


def _from_inputs(pipeline: SnapshotPipeline, asked: list[str]) -> set[str]:
    wanted = _datasets("from_inputs", pipeline, asked)
    readers = {node.name for node in pipeline.nodes if any(_is_meant(name, wanted) for name in node.inputs)}
    return reach(readers, children(pipeline.nodes))


def _to_outputs(pipeline: SnapshotPipeline, asked: list[str]) -> set[str]:
    wanted = _datasets("to_outputs", pipeline, asked)
    makers = {node.name for node in pipeline.nodes if any(_is_meant(name, wanted) for name in node.outputs)}
    return reach(makers, parents(pipeline.nodes))


def _is_meant(dataset: str, wanted: set[str]) -> bool:
    """A name without a transcoding suffix means the dataset in all its formats, one with it that format alone."""
    return dataset in wanted or bare(dataset) in wanted


def _datasets(field_name: str, pipeline: SnapshotPipeline, asked: list[str]) -> set[str]:
    used = {name for node in pipeline.nodes for name in (*node.inputs, *node.outputs)}
    return set(_known("dataset", field_name, asked, used | set(map(bare, used))))


def _tags(pipeline: SnapshotPipeline, asked: list[str]) -> set[str]:
    """As in Kedro a tag that no node has chooses nothing beside one that some have; alone it is a mistake."""
    known = {tag for node in pipeline.nodes for tag in node.tags}
    if not known & set(asked):
        _known("tag", "tags", asked, known)
    return {node.name for node in pipeline.nodes if set(asked) & set(node.tags)}


def namespaces(pipeline: SnapshotPipeline) -> list[str]:
    """All namespaces of its nodes, those around them too (`a.b` is in `a`)."""
    found = {".".join(path[:depth]) for path in _paths(pipeline) for depth in range(1, len(path) + 1)}
    return sorted(found)


def _paths(pipeline: SnapshotPipeline) -> Iterable[list[str]]:
    return (node.namespace.split(".") for node in pipeline.nodes if node.namespace)


def _namespaces(pipeline: SnapshotPipeline, asked: list[str]) -> set[str]:
    _known("namespace", "namespaces", asked, set(namespaces(pipeline)))
    return {node.name for node in pipeline.nodes if any(f"{node.namespace}.".startswith(f"{name}.") for name in asked)}


def _in_old_namespaces(pipeline: SnapshotPipeline, asked: list[str]) -> set[str]:
    """Before 1.0 Kedro compares the text alone: `a` means `ab` too."""
    for name in asked:
        if not any(node.namespace.startswith(name) for node in pipeline.nodes):
            _known("namespace", "namespaces", [name], set(namespaces(pipeline)))
    return {node.name for node in pipeline.nodes if node.namespace and node.namespace.startswith(tuple(asked))}


SELECTS: Final[dict[str, Callable[[SnapshotPipeline, list[str]], set[str]]]] = {
    "nodes": _nodes,
    "from_nodes": _from_nodes,
    "to_nodes": _to_nodes,
    "from_inputs": _from_inputs,
    "to_outputs": _to_outputs,
    "tags": _tags,
    "namespaces": _namespaces,
}


def _known(noun: str, field_name: str, asked: list[str], known: set[str]) -> list[str]:
    for name in asked:
        if name not in known:
            sentence = f"There is no {noun} “{name}” in this pipeline.{meant(name, known)}"
            raise BadParameters({field_name: sentence})
    return asked


def meant(name: str, known: Iterable[str]) -> str:
    """To be put after a sentence: a question with the nearest of the known names, or all of a few."""
    names = sorted(known)
    few = f" Known here: {', '.join(names)}." if 0 < len(names) <= FEW else ""
    return did_you_mean(nearest_of(name, names, 2, 0.6), few)


# ---- what the configuration has to have


def check_versions(picture: ProjectSnapshot, asked: dict[str, str]) -> None:
    """BadParameters for a dataset that the project does not have, and for a name that no version can have."""
    known = {dataset.name for dataset in picture.datasets} | {bare(dataset.name) for dataset in picture.datasets}
    for name, version in asked.items():
        if name not in known:
            sentence = f"The project has no dataset “{name}”.{meant(name, known)}"
            raise BadParameters({"load_versions": sentence})
        if not version.strip() or version in (".", "..") or set(version) & set("/\\"):
            raise BadParameters(
                {"load_versions": f"“{version}” is not a version of {name}: versions are folder names."}
            )


# ---- what a row or a person wrote


def selection_of(run: Run) -> Selection:
    """What was asked of this run."""
    return read(run.selection) if run.selection else Selection(nodes=run.nodes)


def read(raw: Json) -> Selection:
    """The selection in this object, written by a person or by `stored`; BadParameters names what is wrong."""
    if not isinstance(raw, dict):
        raise BadParameters({"selection": f"Write an object of some of {', '.join(ALL)}."})
    for name in raw:
        if name not in ALL:
            raise BadParameters({str(name): f"There is no such choice.{meant(str(name), ALL)}"})
    for name, value in raw.items():
        if problem := _mistyped(name, value):
            raise BadParameters({name: problem})
    return Selection(**raw)


def _mistyped(name: str, value: Json) -> str:
    if name == "only_missing_outputs":
        return "" if isinstance(value, bool) else "Write true or false."
    if name == "env":
        return "" if isinstance(value, str) else "Write the name of a Kedro environment."
    if name == "load_versions":
        is_right = isinstance(value, dict) and all(isinstance(text, str) for text in (*value, *value.values()))
        return "" if is_right else "Write an object of datasets and their versions."
    is_right = isinstance(value, list) and all(isinstance(text, str) for text in value)
    return "" if is_right else "Write a list of names."


OF_NODES: Final = tuple(SELECTS)
ALL: Final = tuple(each.name for each in fields(Selection))
