"""What a case is: a Kedro project, and beside it a small file that says which interpreter runs which commands."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

LISTS = ("nodes", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "tags", "namespaces")
LEFT_ALONE = (
    "**/__pycache__/**", "**/*.pyc", ".git/**", ".viz/**", "**/*.egg-info/**", "**/.ipynb_checkpoints/**", ".telemetry",
    ".kedro-run-*.yml",
)  # fmt: skip
"""What no run is judged by: caches, and what tools of Kedro write for themselves."""


class CaseError(Exception):
    """A description that cannot be used, as a sentence."""


@dataclass(frozen=True)
class Command:
    """One `kedro run` and the same thing asked of the console, in the words of `POST /jobs`."""

    pipeline: str = "__default__"
    parameters: dict[str, Any] = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    from_nodes: list[str] = field(default_factory=list)
    to_nodes: list[str] = field(default_factory=list)
    from_inputs: list[str] = field(default_factory=list)
    to_outputs: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)
    load_versions: dict[str, str] = field(default_factory=dict)
    only_missing_outputs: bool = False
    env: str = ""
    times: int = 1
    exit: int | None = None  # of `kedro run`, where the case is about it
    write: dict[str, str] = field(default_factory=dict)  # path in the project → text, before the run
    remove: list[str] = field(default_factory=list)  # paths in the project, before the run

    @property
    def asked(self) -> dict[str, Any]:
        """The body of `POST /jobs`, without what was not asked for."""
        words: dict[str, Any] = {"parameters": self.parameters, **{name: getattr(self, name) for name in LISTS}}
        words |= {"load_versions": self.load_versions, "only_missing_outputs": self.only_missing_outputs}
        return {"pipeline_name": self.pipeline, **{name: value for name, value in words.items() if value}}


@dataclass(frozen=True)
class Case:
    """A project and how it is tried. Patterns are of paths inside of the project (`data/*.json`)."""

    name: str
    project: Path
    python: str = sys.executable
    run: tuple[Command, ...] = (Command(),)
    ignore: tuple[str, ...] = ()  # files that are not compared
    fresh: tuple[str, ...] = ()  # files that hold something new after each run
    unsaid: tuple[str, ...] = ()  # parts of lines that are not compared
    runners: tuple[str, ...] = ("sequential", "distributed")
    about: str = ""

    @property
    def left_alone(self) -> tuple[str, ...]:
        return (*LEFT_ALONE, *self.ignore)


def cases_in(folder: Path) -> list[Case]:
    """A case for each NAME.toml beside a project NAME, and one with the defaults for a project without."""
    if not folder.is_dir():
        raise CaseError(f"{folder} is no folder: name one that holds Kedro projects.")
    found = list(_found(folder))
    if not found:
        raise CaseError(f"{folder} holds no Kedro project (a folder with a pyproject.toml that has [tool.kedro]).")
    return found


def _found(folder: Path) -> Iterator[Case]:
    for project in sorted(path for path in folder.iterdir() if path.is_dir()):
        described = folder / f"{project.name}.toml"
        if described.is_file():
            yield read(described, project)
        elif (project / "pyproject.toml").is_file() and "[tool.kedro]" in (project / "pyproject.toml").read_text():
            yield Case(project.name, project)


def read(described: Path, project: Path) -> Case:
    try:
        raw = tomllib.loads(described.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CaseError(f"{described}: {error}") from error
    _all_known(described, raw, Case)
    runs = raw.pop("run", None)
    for name in ("ignore", "fresh", "unsaid", "runners"):
        if name in raw:
            raw[name] = tuple(raw[name])
    if "python" in raw:
        raw["python"] = str((described.parent / raw["python"]).expanduser().absolute())
    if runs is not None:
        for each in runs:
            _all_known(described, each, Command)
        raw["run"] = tuple(Command(**each) for each in runs)
    return Case(project.name, project, **raw)


def _all_known(described: Path, raw: dict[str, Any], kind: type[Case] | type[Command]) -> None:
    known = {each.name for each in fields(kind)} - {"name", "project"}
    if unknown := sorted(set(raw) - known):
        raise CaseError(f"{described}: {', '.join(unknown)} is not known here; known are {', '.join(sorted(known))}.")
