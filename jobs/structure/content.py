"""What each node's outputs follow from, as digests: its code, the parameters that it reads, the data that it is given.

Two nodes with equal content make equal outputs, as far as their functions depend on nothing else. What a node is given
by another node of the run counts by that node's content; files that nobody in the run makes count by what is in them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final, TypedDict

from jobs.models import Project, Snapshot
from jobs.structure.paths import at, leaves, merge, named, places
from jobs.structure.selection import ANYTHING, PREFIX, is_parameter
from kedro_console.wire import (
    UNKNOWN,
    Group,
    SnapshotDataset,
    SnapshotNode,
    Value,
    bare,
    sha256_of,
    watched_files,
)

LARGE_BYTES: Final = 256 * 1024 * 1024
"""Of a larger file size and time of change count: nobody wants to wait until it is read."""
MANY_FILES: Final = 2_000


class Parts(TypedDict, total=False):
    """What a node's outputs follow from, as digests."""

    code: str
    packages: str
    parameters: dict[str, str]
    inputs: dict[str, str]


@dataclass(frozen=True)
class Contents:
    """By node: its parts, and for nodes whose content nobody can know the reason as a sentence."""

    parts: dict[str, Parts] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    """The versions of versioned datasets that were looked at: what the run has to read."""

    def key(self, node: str) -> str:
        """A digest of all parts; empty when the content is not known."""
        return digest(self.parts[node]) if node in self.parts else ""


def digest(value: object) -> str:
    plain = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def is_fresh(snapshot: Snapshot, project: Project) -> bool:
    """Whether the project's sources and configuration are, byte for byte, those that the snapshot shows."""
    picture = snapshot.picture
    now = {file: _digest_of(project.folder / file) for file in watched_files(project.folder, picture.folders)}
    return bool(picture.folders) and now == picture.files


def contents(nodes: list[SnapshotNode], snapshot: Snapshot, project: Project, parameters: Group) -> Contents:
    """Of these nodes (in topological order), for a run with these runtime parameters; the snapshot is fresh."""
    return _Reading(nodes, snapshot, project, parameters).contents()


class _Reading:
    """Goes through the nodes of one run, in order: a node counts by what was found of those before it."""

    def __init__(self, nodes: list[SnapshotNode], snapshot: Snapshot, project: Project, parameters: Group) -> None:
        picture = snapshot.picture
        self._nodes, self._picture, self._folder = nodes, picture, project.folder
        self._values = merge(picture.parameters, parameters)
        self._datasets = {row.name: row for row in picture.datasets}
        self._taken = sorted(set(parameters) & {name.split(".")[0] for name in picture.runtime_parameters})
        self._packages = digest([picture.versions, picture.kedro_version, picture.python_version])
        self._made: dict[str, str] = {}
        self._found = Contents()

    def contents(self) -> Contents:
        for node in self._nodes:
            why = self._why_unknown(node)
            if why:
                self._found.unknown[node.name] = why
            else:
                self._found.parts[node.name] = self._parts(node)
            made = self._found.key(node.name)
            self._made.update({bare(name): made for name in node.outputs})
        return self._found

    def _parts(self, node: SnapshotNode) -> Parts:
        entries = {name: row.entry for name in (*node.inputs, *node.outputs) if (row := self._datasets.get(name))}
        files = {file: self._picture.files[file] for file in node.files}
        return {
            "code": digest([node.function, node.bound, node.inputs, node.outputs, files, entries]),
            "packages": self._packages,
            "parameters": {name: digest(value) for name, value in self._read(node)},
            "inputs": {bare(name): self._given(name) for name in node.inputs if not is_parameter(name)},
        }

    def _read(self, node: SnapshotNode) -> Iterator[tuple[str, Value]]:
        """The parameters that the node is given, value by value: a change is told by its name."""
        for name in filter(is_parameter, node.inputs):
            for path in [()] if name == ANYTHING else list(places(self._values, name.removeprefix(PREFIX))):
                for below, value in leaves(at(self._values, path)[1], path):
                    yield named(below, self._values), value

    # ---- what cannot be known

    def _why_unknown(self, node: SnapshotNode) -> str:
        if self._taken:
            return f"The configuration uses {self._taken[0]}, which this run sets."
        if node.bound == UNKNOWN or not set(node.files) <= self._picture.files.keys():
            return "It is not known whether its function is the same as before."
        if not node.outputs:
            return "It has no outputs that could be reused."
        used = (self._datasets.get(name) for name in (*node.inputs, *node.outputs))
        if any(row is not None and row.entry == UNKNOWN for row in used):
            return "It is not known whether its datasets are the same as before."
        return next(filter(None, map(self._why_unknown_input, node.inputs)), "")

    def _why_unknown_input(self, name: str) -> str:
        if is_parameter(name) or self._given(name):
            return ""
        if bare(name) in self._made:
            return f"It is not known whether its input {bare(name)} will be the same as before."
        return f"It is not known here whether its input {bare(name)} is the same as before."

    def _given(self, name: str) -> str:
        """What stands for the content of this input; empty when it is not known."""
        if bare(name) in self._made:
            return self._made[bare(name)]
        row = self._datasets.get(name)
        return self._of_file(row) if row is not None and row.is_persisted else ""

    def _of_file(self, row: SnapshotDataset) -> str:
        path = row.path.removeprefix("file://")
        if not path or "://" in path:
            return ""
        place = self._folder / path
        if row.is_versioned:
            version = _newest_version(place)
            self._found.versions[row.name] = version
            place = place / version / place.name
        return _content_of(place)


def _newest_version(place: Path) -> str:
    """As Kedro finds it: the last by name that has the file."""
    try:
        names = sorted((entry.name for entry in os.scandir(place) if entry.is_dir()), reverse=True)
    except OSError:
        return ""
    return next((name for name in names if (place / name / place.name).exists()), "")


def _content_of(place: Path) -> str:
    """Of a file, or of all the files of a folder; empty when it is not there or holds too many."""
    if place.is_file():
        return _digest_of(place)
    found: dict[str, str] = {}
    for folder, _, names in os.walk(place):
        for name in names:
            found[str((Path(folder) / name).relative_to(place))] = _digest_of(Path(folder) / name)
        if len(found) > MANY_FILES:
            return ""
    return digest(found) if found and all(found.values()) else ""


def _digest_of(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return ""
    if stat.st_size > LARGE_BYTES:
        return f"{stat.st_size} bytes of {stat.st_mtime_ns}"
    return _remembered(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=20_000)
def _remembered(path: Path, mtime_ns: int, size: int, inode: int) -> str:
    """A file that was not written since is not read again."""
    return sha256_of(path)
