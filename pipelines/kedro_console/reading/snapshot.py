"""Prints a picture of a Kedro project as one JSON object: `python -m kedro_console.reading.snapshot --project PATH`.

It runs in the project's own interpreter, imports the project and reads its configuration; it makes no dataset,
runs no node and writes nothing into the project. What is wrong there is part of the picture, not an error.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from kedro_console import wire
from kedro_console.project import bytecode, commands, compat, moments, record, revision, warm
from kedro_console.reading import configuration, contents, datasets, hooks_seen, registry, schemas
from kedro_console.words import failures, handlers
from kedro_console.words.problems import Problems, install

OLDEST = (0, 18, 14)
TOO_NEW = (2,)
LAZY_CATALOG = (1,)  # since then Kedro makes only the datasets that a run uses


def take(project_path: Path, env: str = "") -> wire.ProjectSnapshot:
    """The project in this Kedro environment ("" = its default); what is wrong in it is named, never raised."""
    found = record.begin()
    picture = _picture(project_path, env)
    record.end(found)
    return replace(
        picture, revision=revision.of(project_path, found.own(), record.own_packages()) if project_path.is_dir() else ""
    )


def _picture(project_path: Path, env: str) -> wire.ProjectSnapshot:
    problems = Problems(project_path)
    empty = _empty(project_path)
    version = _kedro_version(problems)
    package = _package(project_path, problems)
    if not (version and package):
        return replace(empty, package_name=package, kedro_version=version, problems=problems.found)
    problems.package = package
    _check_versions(version, project_path, problems)
    if not problems.has_errors:
        empty = _fill(empty, env, version, problems)
    return replace(empty, package_name=package, kedro_version=version, problems=problems.found)


def _empty(project_path: Path) -> wire.ProjectSnapshot:
    return wire.ProjectSnapshot(
        package_name="",
        kedro_version="",
        python_version=platform.python_version(),
        revision="",
        pipelines=[],
        datasets=[],
        parameters={},
        schemas={},
        problems=[],
    )


# ---- what must be true before the project is imported --------------------------------------------


def _kedro_version(problems: Problems) -> str:
    try:
        kedro = importlib.import_module("kedro")
    except ImportError:
        command = install("kedro")
        problems.error(
            "dependency:kedro", f"Kedro is not installed for {sys.executable}: install it there with {command}."
        )
        return ""
    return str(kedro.__version__)


def _package(project_path: Path, problems: Problems) -> str:
    """The package named in pyproject.toml; "" (and a problem) when this is not a Kedro project."""
    try:
        text = (project_path / "pyproject.toml").read_text("utf-8", "replace")
    except OSError:
        problems.error("project", f"{project_path} is not a Kedro project: it has no pyproject.toml with [tool.kedro].")
        return ""
    broken = _toml_error(text)
    if broken:
        problems.error("project", f"{project_path}/pyproject.toml{broken}; correct it there.")
        return ""
    package = _setting(text, "package_name")
    if not package:
        problems.error(
            "project",
            f"{project_path} is not a Kedro project: add package_name, project_name and kedro_init_version "
            "below [tool.kedro] in its pyproject.toml.",
        )
    return package


def _toml_error(text: str) -> str:
    """Where and why this is not TOML: ", line 3, column 7 is not valid TOML: …"; "" when it is, or it is not known."""
    reader = next(filter(None, map(_module, ("tomllib", "tomli", "toml"))), None)
    try:
        if reader is not None:
            reader.loads(text)
    except ValueError as error:
        said = re.match(r"(.*?)\s*\((?:at )?line (\d+),? column (\d+).*\)$", str(error), re.DOTALL)
        if said is None:
            place = f", line {len(text.splitlines())}," if "end of document" in str(error) else ""
            return f"{place} is not valid TOML: {error}"
        return f", line {said.group(2)}, column {said.group(3)} is not valid TOML: {said.group(1).rstrip('.')}"
    return ""


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _setting(text: str, name: str) -> str:
    """A text setting of [tool.kedro]; read by hand, because Python before 3.11 has no TOML reader."""
    section = re.search(r"^\s*\[\s*tool\.kedro\s*\](.*?)(?=^\s*\[|\Z)", text, re.MULTILINE | re.DOTALL)
    found = re.search(rf"^\s*{name}\s*=\s*[\"']([^\"']+)[\"']", section.group(1), re.MULTILINE) if section else None
    return found.group(1) if found else ""


def _check_versions(version: str, project_path: Path, problems: Problems) -> None:
    parts = _numbers(version)
    if not OLDEST <= parts < TOO_NEW:
        problems.error(
            "kedro",
            f"Kedro {version} is installed for {sys.executable}, and Kedro Console needs 0.18.14 or newer, "
            f"below 2: {install('kedro>=0.18.14,<2')}.",
        )
        return
    wanted = _setting((project_path / "pyproject.toml").read_text("utf-8", "replace"), "kedro_init_version")
    digits = 1 if parts >= LAZY_CATALOG else 2  # what Kedro itself compares
    if wanted and _numbers(wanted)[:digits] != parts[:digits]:
        problems.error(
            "kedro",
            f"The project was made for Kedro {wanted}, but {version} is installed for {sys.executable}: install that "
            f"version, or bring the project to {version} and write it to kedro_init_version in pyproject.toml.",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version)[:3])


# ---- the project itself --------------------------------------------------------------------------


def _fill(empty: wire.ProjectSnapshot, env: str, version: str, problems: Problems) -> wire.ProjectSnapshot:
    """The picture with everything that can be read; what cannot is named in `problems`."""
    if not _import(problems, env):
        return empty
    pipelines = registry.read(problems)
    pictures = _pictures(pipelines, problems)
    pipelines = {picture.name: pipelines[picture.name] for picture in pictures}
    found = configuration.read(problems.project_path, env or os.environ.get("KEDRO_ENV", ""), problems)
    used = registry.datasets_of(pipelines.values())
    is_lazy = _numbers(version) >= LAZY_CATALOG
    shown = datasets.read(found, used, is_lazy, problems)
    _check_parameters(pictures, found, problems)
    _check_inputs(pictures, found, shown, problems)
    files, folders = contents.digests(problems.project_path, found.conf or problems.project_path)
    return replace(
        empty,
        pipelines=pictures,
        datasets=shown,
        parameters=dict(wire.packed(found.parameters or {}).items()),
        schemas=schemas.read(pipelines.values(), problems),
        versions=warm.versions(),
        runtime_parameters=found.runtime_parameters,
        files=files,
        folders=folders,
        environments=found.environments,
        hooks=[*_hooks(), *_of_the_import(problems.project_path)],
    )


def _import(problems: Problems, env: str) -> bool:
    """Makes Kedro know the project; False when its settings cannot be imported."""
    with _configuring(problems):  # since 0.19 by being imported, before by a session
        importlib.import_module("kedro.framework.project")
    if problems.has_errors:
        return False
    with problems.caught("import", "The project's settings cannot be imported"):
        from kedro.framework.project import validate_settings
        from kedro.framework.startup import bootstrap_project

        bootstrap_project(problems.project_path)
        validate_settings()
        with _configuring(problems):
            compat.set_up_logging(problems.project_path, env)
        _check_command(problems)
        return True
    return False


def _check_command(problems: Problems) -> None:
    """A `kedro run` of the project's own may do anything; a run here is Kedro's."""
    own = commands.own_run(problems.package)
    if own:
        problems.warning(
            "command:run",
            f"The project has a 'kedro run' of its own ({problems.relative(own)}), which the console does not use: its "
            "runs are Kedro's own, so put what that command does besides into a hook.",
        )


@contextmanager
def _configuring(problems: Problems) -> Iterator[None]:
    """Lets Kedro configure the logging; when that goes wrong no run starts."""
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001  (handlers of the project may raise anything)
        why = ": ".join(dict.fromkeys(failures.message_of(each).rstrip(".") for each in failures.causes(error)))
        problems.error("logging", f"The logging cannot be configured: {why}; correct {_logging_file(problems)}.")


def _logging_file(problems: Problems) -> str:
    """The file that says how to log, as Kedro chooses it."""
    named = os.environ.get("KEDRO_LOGGING_CONFIG", "")
    found = sorted(problems.project_path.glob("conf/**/logging*.y*ml"))
    return named or ", ".join(problems.relative(file) for file in found) or "the logging configuration"


def _pictures(pipelines: dict[str, Any], problems: Problems) -> list[wire.SnapshotPipeline]:
    found = []
    sources = contents.Sources(problems.project_path)
    for name, pipeline in pipelines.items():
        with problems.caught(f"pipeline:{name}", f"The pipeline '{name}' cannot be read"):
            found.append(registry.picture(name, pipeline, problems.project_path, sources))
    return found


def _hooks() -> list[wire.SnapshotHook]:
    with contextlib.suppress(Exception):  # code of any shape is looked at, and what cannot be is nobody's mistake
        return hooks_seen.read()
    return []


def _of_the_import(project_path: Path) -> list[wire.SnapshotHook]:
    """What each process would have for itself, as the reason of hooks without a name."""
    taken = moments.found(project_path)
    return [wire.SnapshotHook("", "", [], [taken])] if taken else []


# ---- what the pipelines ask for and nobody gives ---------------------------------------------------


def _check_parameters(
    pictures: list[wire.SnapshotPipeline], found: configuration.Configuration, problems: Problems
) -> None:
    """Names parameters that nodes read and no file defines."""
    if found.parameters is None:
        return
    known = found.parameter_names | {registry.ALL_PARAMETERS}
    say = problems.warning if found.may_change else problems.error
    for name, node in sorted(_readers(pictures).items()):
        if name not in known:
            say(
                f"parameter:{name}",
                f"The node '{node}' reads the parameter '{name}', which no file defines: "
                f"add it to {found.base}/parameters.yml.",
            )


def _readers(pictures: list[wire.SnapshotPipeline]) -> dict[str, str]:
    """Parameter → the first node that reads it."""
    readers: dict[str, str] = {}
    for picture in pictures:
        for node in picture.nodes:
            for name in filter(registry.is_parameter, node.inputs):
                readers.setdefault(registry.parameter_name(name), node.name)
    return readers


def _check_inputs(
    pictures: list[wire.SnapshotPipeline],
    found: configuration.Configuration,
    shown: list[wire.SnapshotDataset],
    problems: Problems,
) -> None:
    """Names free inputs that are not in the catalog: the pipeline cannot run, or not alone."""
    if found.catalog is None or found.may_change:
        return
    persisted = {dataset.name for dataset in shown if dataset.is_persisted}
    makers = {name: picture.name for picture in pictures for node in picture.nodes for name in node.outputs}
    for picture in pictures:
        for name in (each for each in picture.inputs if each not in persisted and each not in found.catalog):
            _name_input(picture.name, name, makers.get(name, ""), problems)


def _name_input(pipeline: str, dataset: str, maker: str, problems: Problems) -> None:
    subject = f"pipeline:{pipeline}"
    if maker:
        problems.warning(
            subject,
            f"The pipeline '{pipeline}' cannot run alone: '{dataset}' is made by '{maker}' and kept in memory only; "
            f"add '{dataset}' to the catalog, or run a pipeline that has both.",
        )
        return
    problems.error(
        subject,
        f"The pipeline '{pipeline}' needs the dataset '{dataset}', which nothing makes: add it to the catalog.",
    )


# ---- the command -----------------------------------------------------------------------------------


@contextmanager
def _own_stdout() -> Iterator[int]:
    """Gives the real standard output to us alone; whatever else writes there (C libraries too) goes to stderr."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield ours
    finally:
        os.close(ours)


def _write(data: bytes, descriptor: int) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def main() -> None:
    parser = argparse.ArgumentParser(prog="kedro_console.reading.snapshot", description="Prints a project as JSON.")
    parser.add_argument("--project", required=True, type=Path, help="the Kedro project's folder")
    parser.add_argument("--env", default="", help="the Kedro environment; the project's default without it")
    parser.add_argument("--output", type=Path, help="write to this file instead of standard output")
    given = parser.parse_args()
    project_path, output = given.project.expanduser().resolve(), given.output and given.output.resolve()
    with _own_stdout() as stdout:
        _prepare(project_path)
        data = json.dumps(asdict(take(project_path, given.env)), default=str).encode("utf-8", "backslashreplace")
        if output:
            output.write_bytes(data)
        else:
            _write(data + b"\n", stdout)


def _prepare(project_path: Path) -> None:
    warm.drop_working_folder()
    warm.prepare_environment()
    handlers.hold()
    bytecode.distrust_old_bytecode()
    sys.dont_write_bytecode = True  # nothing is written into the project, not even __pycache__
    if project_path.is_dir():
        os.chdir(project_path)


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # threads that the project started while it was imported must not keep this process
