"""The snapshot of a project: printed as one JSON object by `python -m kedro_console.reading.snapshot`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kedro_console.wire.digests import UNKNOWN, bare
from kedro_console.wire.events import Failure
from kedro_console.wire.kinds import Key, Value, unpacked
from kedro_console.wire.marks import marked, secret_places
from kedro_console.wire.messages import nested
from kedro_console.wire.values import Json, WireError


@dataclass(frozen=True)
class SnapshotNode:
    name: str
    function: str  # qualified name
    namespace: str
    tags: list[str]
    inputs: list[str]  # datasets, parameters ("params:x", "parameters") included
    outputs: list[str]
    file: str = ""  # relative to the project
    line_start: int = 0
    line_end: int = 0
    source: str = ""  # the function's text, at most 20 kB
    is_generator: bool = False  # it yields its outputs in pieces
    files: list[str] = field(default_factory=list)  # the project's files that the function's module is made of
    bound: str = UNKNOWN  # digest of what the function has with it: arguments of a partial, closure, defaults


@dataclass(frozen=True)
class SnapshotPipeline:
    name: str
    nodes: list[SnapshotNode]  # in topological order
    inputs: list[str]  # free inputs without parameters
    outputs: list[str]  # free outputs
    parameters: list[str]  # names without the "params:" prefix that its nodes read; "*" = all (node takes `parameters`)


@dataclass(frozen=True)
class SnapshotDataset:
    name: str
    type: str
    path: str = ""  # without credentials
    is_persisted: bool = False
    is_versioned: bool = False
    database: str = ""  # the database file (or "memory") that one process at a time may use, with its kind before
    entry: str = ""  # digest of its catalog entry


@dataclass(frozen=True)
class Problem:
    """What stands in the way of a run, as one sentence that says what to do."""

    severity: str  # error | warning
    subject: str  # e.g. "dependency:openpyxl", "credentials:dev_s3", "import", "pipeline:reporting"
    sentence: str
    failure: Failure | None = None


@dataclass(frozen=True)
class SnapshotHook:
    """An object or a module with hooks that Kedro registers; without a name the import of the project itself."""

    name: str
    plugin: str  # the distribution that brings it; "" = the project's settings
    hooks: list[str]  # the names of Kedro's hooks that it implements
    reasons: list[str]  # why it counts on one process for a whole run, as parts of a sentence; [] = it does not


@dataclass(frozen=True)
class ProjectSnapshot:
    package_name: str
    kedro_version: str
    python_version: str
    revision: str
    pipelines: list[SnapshotPipeline]
    datasets: list[SnapshotDataset]
    parameters: dict[Key, Value]  # merged parameters of the Kedro environment; packed in its JSON
    schemas: dict[str, dict[str, Json]]  # parameter name → JSON schema of its type (pydantic or dataclass)
    problems: list[Problem]
    versions: dict[str, str] = field(default_factory=dict)
    runtime_parameters: list[str] = field(
        default_factory=list
    )  # names that the configuration takes by ${runtime_params:…}
    files: dict[str, str] = field(default_factory=dict)  # source and configuration file → SHA-256 when it was read
    folders: list[str] = field(default_factory=list)  # the folders of these files; [] when some are elsewhere
    hooks: list[SnapshotHook] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)  # Kedro environments that it has; [] = it is not known

    @property
    def persisted(self) -> set[str]:
        """The bare names of the datasets that are kept outside of a run's store: files, tables, addresses."""
        return {bare(row.name) for row in self.datasets if row.is_persisted}


def parse_snapshot(raw: dict[str, Any]) -> ProjectSnapshot:
    """The snapshot in this JSON object; WireError when a part is missing."""
    try:
        pipelines = [
            SnapshotPipeline(**{**p, "nodes": [SnapshotNode(**n) for n in p["nodes"]]}) for p in raw["pipelines"]
        ]
        datasets = [SnapshotDataset(**d) for d in raw["datasets"]]
        problems = [Problem(**{**p, "failure": nested("failure", p.get("failure"))}) for p in raw["problems"]]
        hooks = [SnapshotHook(**h) for h in raw.get("hooks", [])]
        parts = {"pipelines": pipelines, "datasets": datasets, "problems": problems, "hooks": hooks}
        known = marked(unpacked(raw["parameters"]), secret_places(raw.get("schemas", {})))
        return ProjectSnapshot(**{**raw, **parts, "parameters": known})
    except (KeyError, TypeError) as error:
        raise WireError(f"Not a snapshot: {error}") from error
