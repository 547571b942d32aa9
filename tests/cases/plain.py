"""The judge: a copy of the project, run by `kedro run` in its own interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cases.described import LISTS, Case, Command

RUN_SECONDS = 900
ASKED = ".kedro-run-asked.yml"
OURS = ("CONSOLE_", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DJANGO_", "PYTHONPATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Ended:
    """How a run ended: `kedro run`'s exit code, and what was written to the terminal."""

    exit_code: int
    lines: tuple[str, ...]
    error: str = ""


def copy(case: Case, target: Path) -> Path:
    """The project as it is there, links as links, without the caches."""
    shutil.copytree(case.project, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    return target


def prepare(project: Path, command: Command) -> None:
    """The changes of the project that come before this command."""
    for name, text in command.write.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, "utf-8")
    for name in command.remove:
        shutil.rmtree(project / name) if (project / name).is_dir() else (project / name).unlink()


def run(case: Case, project: Path, command: Command) -> Ended:
    """`kedro run` with the same choices, as somebody types it in the project's folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    own = {"KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "MPLBACKEND": "Agg", "COLUMNS": "4000"}
    done = subprocess.run(
        [case.python, "-m", "kedro", "run", *_options(command, case), *_parameters(command, case, project)],
        cwd=project, env={**clean, **own}, capture_output=True, timeout=RUN_SECONDS, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (project / ASKED).unlink(missing_ok=True)
    text = (done.stdout + b"\n" + done.stderr).decode("utf-8", "backslashreplace")
    return Ended(done.returncode, tuple(text.replace(str(project), "…").splitlines()))


def _options(command: Command, case: Case) -> list[str]:
    """Nothing for the default pipeline: that is what people leave out."""
    words = {name: ",".join(getattr(command, name)) for name in LISTS if getattr(command, name)}
    if not _kedro_version(case).startswith("1."):
        words = {("namespace" if name == "namespaces" else name): value for name, value in words.items()}
    if command.pipeline != "__default__":
        words["pipeline"] = command.pipeline
    if command.env:
        words["env"] = command.env
    if command.load_versions:
        words["load-versions"] = ",".join(f"{name}:{version}" for name, version in command.load_versions.items())
    options = [f"--{name.replace('_', '-')}={value}" for name, value in words.items()]
    return [*options, "--only-missing-outputs"] if command.only_missing_outputs else options


def _parameters(command: Command, case: Case, project: Path) -> list[str]:
    """Typed and nested ones in a file; before 0.19 as text, where that needs a package that nobody has."""
    if not command.parameters:
        return []
    if _kedro_version(case).startswith("0.18"):
        return ["--params=" + ",".join(f"{name}={value}" for name, value in command.parameters.items())]
    asked = {"run": {"params": _nested(command.parameters, _own_names(project))}}
    (project / ASKED).write_text(yaml.dump(asked, Dumper=Quoting), "utf-8")
    return [f"--config={ASKED}"]


class Quoting(yaml.SafeDumper):
    """Writes text as text: `2e5` without its quotes is a number to Kedro."""


Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def _nested(parameters: dict[str, Any], own: set[str]) -> dict[str, Any]:
    """A dotted name leads to a value inside of another, as in `--params`; a configuration file knows no such names."""
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        *above, last = [name] if name in own else name.split(".")
        inside = found
        for part in above:
            inside = inside.setdefault(part, {})
        inside[last] = value
    return found


def _own_names(project: Path) -> set[str]:
    """The names at the top of the project's parameters, which may have dots of their own."""
    read = [yaml.safe_load(file.read_text("utf-8")) for file in project.glob("conf/**/parameters*.y*ml")]
    return {str(name) for each in read if isinstance(each, dict) for name in each}


_versions: dict[str, str] = {}


def _kedro_version(case: Case) -> str:
    if case.python not in _versions:
        command = [case.python, "-c", "from importlib.metadata import version; print(version('kedro'))"]
        _versions[case.python] = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return _versions[case.python]
