"""Read a project in its own interpreter and keep the picture."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.utils.text import slugify

from jobs.errors import ProjectError
from jobs.hosts import child_environment
from jobs.models import Pipeline, Project, Snapshot
from kedro_console.wire import WireError, parse_snapshot

READ_SECONDS: Final = 120
BLINDING: Final = frozenset({"project", "kedro", "import", "configuration", "dependency:kedro"})
"""Subjects of problems with which the list of pipelines is empty or partial."""


def add_project(
    path: str | Path,
    *,
    at: datetime,
    name: str = "",
    interpreter: str = "",
    kedro_env: str = "",
    environment: dict[str, str] | None = None,
) -> Project:
    """Register a Kedro project and take its first snapshot; an already known path or name is updated.

    ProjectError says what to do when the folder is not a Kedro project or its Python cannot be started.
    """
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        raise ProjectError(f"There is no folder {folder}: give the path of a Kedro project.")
    if not (folder / "pyproject.toml").is_file():
        raise ProjectError(f"{folder} is not a Kedro project: it has no pyproject.toml with [tool.kedro].")
    python = _interpreter(interpreter, folder)
    project = Project.objects.filter(path=str(folder)).first() or Project(path=str(folder))
    project.name = name or project.name or _free_name(slugify(folder.name) or "project")
    project.interpreter, project.kedro_env = python, kedro_env
    if environment is not None:
        project.environment = environment
    if Project.objects.filter(name=project.name).exclude(pk=project.pk).exists():
        raise ProjectError(f"Another project is called {project.name}: choose a name with --name.")
    is_new = project.pk is None
    project.save()
    try:
        take(project, at=at)
    except ProjectError:
        if is_new:
            project.delete()  # what could never be read was not added
        raise
    return project


def _free_name(wanted: str) -> str:
    taken = set(Project.objects.values_list("name", flat=True))
    numbered = (f"{wanted}-{number}" for number in range(2, 1000))
    return next(name for name in (wanted, *numbered) if name not in taken)


def _interpreter(given: str, folder: Path) -> str:
    """The Python to run the project with: the one given, the project's own .venv, or ours."""
    if given:
        found = shutil.which(given)
        if not found:
            raise ProjectError(f"{given} is not a program that can be run: give the project's Python.")
        return str(Path(found).absolute())
    own = folder / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def take(project: Project, *, at: datetime) -> Snapshot:
    """The project as it is now; an unchanged picture is not stored twice. ProjectError when it could not be read."""
    content = _read(project)
    newest = project.snapshot
    with transaction.atomic():
        if newest is None or newest.content != content:
            newest = Snapshot.objects.create(
                project=project,
                revision=content["revision"][:80],
                kedro_version=content["kedro_version"],
                python_version=content["python_version"],
                content=content,
                taken_at=at,
            )
        _register_pipelines(project, newest)
        Project.objects.filter(pk=project.pk).update(checked_at=at)
    return newest


def _register_pipelines(project: Project, snapshot: Snapshot) -> None:
    """A pipeline that is new gets a row; one that is gone keeps its row and history, unregistered."""
    names = [pipeline.name for pipeline in snapshot.picture.pipelines]
    known = set(project.pipelines.values_list("name", flat=True))
    Pipeline.objects.bulk_create(Pipeline(project=project, name=name) for name in names if name not in known)
    project.pipelines.filter(name__in=names).update(is_registered=True)
    if _is_whole(snapshot):
        project.pipelines.exclude(name__in=names).update(is_registered=False)


def _is_whole(snapshot: Snapshot) -> bool:
    """All pipelines could be read: what is not in the picture is really gone, not only out of sight."""
    subjects = {problem.subject for problem in snapshot.picture.problems if problem.severity == "error"}
    return not any(subject in BLINDING or subject.startswith("pipeline:") for subject in subjects)


def _read(project: Project) -> dict[str, Any]:
    command = [project.interpreter, "-m", "kedro_console.snapshot", "--project", project.path]
    if project.kedro_env:
        command += ["--env", project.kedro_env]
    if not project.folder.is_dir():
        raise ProjectError(
            f"The project's folder {project.path} is not there: put it back, or change the path of {project.name}."
        )
    try:
        ended = subprocess.run(
            command,
            cwd=project.path,
            env=child_environment(project),
            capture_output=True,
            timeout=READ_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except OSError as error:
        raise ProjectError(f"{project.interpreter} could not be started: {error.strerror}.") from error
    except subprocess.TimeoutExpired as error:
        raise ProjectError(f"The project {project.name} could not be read within {READ_SECONDS} s.") from error
    return _parsed(project, ended)


def _parsed(project: Project, ended: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(ended.stdout)
        parse_snapshot(content)
    except (ValueError, WireError, KeyError) as error:
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        last = re.sub(r"\s+", " ", lines[-1])[:500] if lines else f"exit code {ended.returncode}"
        raise ProjectError(f"The Kedro project {project.name} could not be read: {last}") from error
    return content
