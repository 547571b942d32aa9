"""Read a project in its own interpreter and keep the picture."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.utils.text import slugify

from jobs.errors import NotRead, ProjectError
from jobs.interpreters.boundary import behind
from jobs.interpreters.fingerprint import fingerprint
from jobs.interpreters.hosts import child_environment
from jobs.models import Pipeline, Project, Snapshot
from jobs.models.act import facts_of, record
from jobs.models.project import EVERY_PIPELINE
from kedro_console.wire import WireError, parse_snapshot

READ_SECONDS: Final = 120
BLINDING: Final = frozenset({"project", "kedro", "configuration", "dependency:kedro"})
"""Subjects of errors with which no run can start, and most of the picture is missing."""
IMPORT: Final = "import"
GIVEN: Final = ("path", "interpreter", "kedro_env", "environment")
"""What people say of a project beside its name."""
READ_FACTS: Final = ("trouble", "unread", "fingerprint", "checked_at")
"""What every reading writes of a project."""


def add_project(
    path: str | Path,
    *,
    at: datetime,
    name: str = "",
    interpreter: str | None = None,
    kedro_env: str | None = None,
    environment: dict[str, str] | None = None,
    may_move: bool = False,
) -> Project:
    """Register a Kedro project and read it. Its name says which one it is; a known one keeps what is not given here.

    ProjectError says what to do when the folder is not a Kedro project, its Python cannot be started, or a project of
    that name is elsewhere and `may_move` does not say that it is here now. Then nothing is changed.
    """
    folder = folder_of(path)
    project = _known(folder, name, kedro_env) or Project(path=str(folder), name=name or _free_name(folder))
    if project.pk and project.folder.resolve() != folder.resolve() and not may_move:
        raise ProjectError(
            f"The project {project.name} is in {project.path}: choose another name with --name, "
            "or say with --move that it is here now."
        )
    before = {each: getattr(project, each) for each in (*GIVEN, *READ_FACTS)}
    project.path = str(folder)
    if interpreter is not None or not project.pk:
        project.interpreter = _interpreter(interpreter or "", folder)
    project.kedro_env = project.kedro_env if kedro_env is None else kedro_env
    project.environment = project.environment if environment is None else environment
    is_new = project.pk is None
    project.save()
    try:
        take(project, at=at)
    except ProjectError:
        if is_new:
            project.delete()  # what could never be read was not added
        else:
            Project.objects.filter(pk=project.pk).update(**before)
        raise
    _record(project, {} if is_new else before)
    return project


def _record(project: Project, before: dict[str, Any]) -> None:
    """An environment holds secrets under any name: all that is said of it is that it differs."""
    differ = [each for each in GIVEN if not before or getattr(project, each) != before[each]]
    now = facts_of(project)
    was = facts_of(Project(**{each: before[each] for each in GIVEN})) if before else {}
    earlier = {each: was[each] for each in differ if before}
    record("changed" if before else "added", project, before=earlier, after={each: now[each] for each in differ})


def folder_of(path: str | Path) -> Path:
    """The project's folder at this path; ProjectError when there is none."""
    folder = as_given(path)
    if not folder.is_dir():
        raise ProjectError(f"There is no folder {folder}: give the path of a Kedro project.")
    if not (folder / "pyproject.toml").is_file():
        raise ProjectError(f"{folder} is not a Kedro project: it has no pyproject.toml with [tool.kedro].")
    return folder


def as_given(path: str | Path) -> Path:
    """The whole path with the links on its way: what `current` leads to is another folder tomorrow."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  (`resolve` follows links)


def lying_in(folder: Path) -> list[Project]:
    """The projects that are known to be there; if none is by this path, those of other links to it."""
    known = Project.objects.order_by("pk")
    there = folder.resolve()
    by_path = list(known.filter(path=str(folder)))
    return by_path or [row for row in known.defer("environment") if row.folder.resolve() == there]


def _known(folder: Path, name: str, kedro_env: str | None) -> Project | None:
    """The project that is meant: of this name; without one the only one that lies here."""
    if name:
        if not re.fullmatch(r"[-\w]{1,80}", name, re.ASCII):
            raise ProjectError(f"“{name}” cannot be a project's name: write letters, digits, - and _, at most 80.")
        return Project.objects.filter(name=name).first()
    here = lying_in(folder)
    meant = [project for project in here if project.kedro_env == kedro_env] if len(here) > 1 else here
    if len(here) > 1 and len(meant) != 1:
        names = " and ".join(project.name for project in here)
        raise ProjectError(f"The projects {names} are in {folder}: choose one with --name.")
    return meant[0] if meant else None


def _free_name(folder: Path) -> str:
    wanted = slugify(folder.name)[:76] or "project"
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


def take(project: Project, *, at: datetime, seconds: float = READ_SECONDS, has_to_end: bool = True) -> Snapshot:
    """The project as it is now; an unchanged picture is not stored twice. ProjectError when it could not be read.

    A reading that does not come to its end is the project's trouble, unless nothing depends on it (`has_to_end`).

    A reading that sees less than an earlier one did does not take its place: that picture stays, and the project keeps
    the reason as its trouble.
    """
    print_of_files = fingerprint(project)
    try:
        content = _read(project, project.kedro_env, seconds)
    except ProjectError as error:
        if has_to_end or not isinstance(error, NotRead):
            _keep(project, _Reading(_trouble("project", str(error)), [EVERY_PIPELINE]), print_of_files, at)
        raise
    with transaction.atomic():
        newest = project.snapshot
        reading = _judge(content, newest)
        if not _keep(project, reading, print_of_files, at):
            return newest or _store(project, content, at)
        if newest is None or (reading.is_picture and newest.content != reading.content):
            newest = _store(project, reading.content or content, at)
        if reading.is_picture:
            _register_pipelines(project, newest, reading.unread)
    return newest


@dataclass(frozen=True)
class _Reading:
    """What one reading of a project is worth."""

    trouble: list[dict[str, str]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    content: dict[str, Any] | None = None
    """The picture to go on with; None: the one that there is."""

    @property
    def is_picture(self) -> bool:
        return self.content is not None


def _trouble(subject: str, sentence: str) -> list[dict[str, str]]:
    return [{"severity": "error", "subject": subject, "sentence": sentence}]


def _judge(content: dict[str, Any], newest: Snapshot | None) -> _Reading:
    """Whether this picture may take the place of the newest, and what of the project it could not see."""
    known = {each["name"]: each for each in newest.content["pipelines"]} if newest else {}
    seen = {each["name"] for each in content["pipelines"] if each["nodes"]}
    told = [{name: each[name] for name in ("severity", "subject", "sentence")} for each in content["problems"]]
    subjects = {each["subject"] for each in told if each["severity"] == "error"}
    had = [name for name, each in known.items() if each["nodes"]]
    if subjects & BLINDING or (subjects and not seen):
        return _Reading(told, [EVERY_PIPELINE], None if had else content)
    if had and not seen:
        count = f"{len(had)} pipeline{'' if len(had) == 1 else 's'}"
        why = f"No pipeline with a node was found, but there were {count}: restore them, or remove the project."
        return _Reading(_trouble(IMPORT, why), [EVERY_PIPELINE])
    lost = [each for name, each in known.items() if name not in seen and _is_unread(name, subjects)]
    if not lost and IMPORT not in subjects and all(_is_shown(each, content) for each in subjects):
        return _Reading(content=content)
    return _Reading(told, [each["name"] for each in lost], {**content, "pipelines": _with(content["pipelines"], lost)})


def _is_unread(name: str, subjects: set[str]) -> bool:
    return IMPORT in subjects or f"pipeline:{name}" in subjects


def _is_shown(subject: str, content: dict[str, Any]) -> bool:
    """A pipeline that cannot run and is in the picture was read."""
    kind, _, name = subject.partition(":")
    return kind != "pipeline" or any(each["name"] == name for each in content["pipelines"])


def _with(pipelines: list[dict[str, Any]], lost: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pipelines with those that could not be read as they last were."""
    names = {each["name"] for each in lost}
    return sorted([*(each for each in pipelines if each["name"] not in names), *lost], key=lambda each: each["name"])


def _keep(project: Project, reading: _Reading, print_of_files: str, at: datetime) -> bool:
    """Write what the reading said of the project; False when a later one has done so."""
    facts = dict(zip(READ_FACTS, (reading.trouble, reading.unread, print_of_files, at), strict=True))
    earlier = Q(checked_at=None) | Q(checked_at__lte=at)
    is_newest = bool(Project.objects.filter(earlier, pk=project.pk).update(**facts))
    project.refresh_from_db(fields=READ_FACTS)
    return is_newest


def take_in(project: Project, env: str, *, at: datetime) -> Snapshot:
    """The project as it is now in another Kedro environment than its own; ProjectError when it cannot be read there."""
    content = _read(project, env, READ_SECONDS)
    newest = project.snapshot_in(env)
    reading = _judge(content, newest)
    if reading.unread:
        why = next((each["sentence"] for each in reading.trouble if each["severity"] == "error"), "")
        raise ProjectError(f"{project.name} cannot be read in the Kedro environment {env}. {why}".strip())
    if newest is None or newest.content != content:
        return _store(project, content, at, kedro_env=env)
    return newest


def _store(project: Project, content: dict[str, Any], at: datetime, **facts: Any) -> Snapshot:
    return Snapshot.objects.create(
        project=project,
        revision=content["revision"][:80],
        kedro_version=content["kedro_version"],
        python_version=content["python_version"],
        content=content,
        taken_at=at,
        **facts,
    )


def _register_pipelines(project: Project, snapshot: Snapshot, unread: list[str]) -> None:
    """A pipeline that is new gets a row; one that is gone keeps its row and history, unregistered."""
    names = [pipeline.name for pipeline in snapshot.picture.pipelines]
    known = set(project.pipelines.values_list("name", flat=True))
    Pipeline.objects.bulk_create(Pipeline(project=project, name=name) for name in names if name not in known)
    project.pipelines.filter(name__in=names).update(is_registered=True)
    if EVERY_PIPELINE not in unread:
        project.pipelines.exclude(name__in=names).update(is_registered=False)


def _read(project: Project, env: str, seconds: float) -> dict[str, Any]:
    command = [project.interpreter, "-m", "kedro_console.reading.snapshot", "--project", project.path]
    if env:
        command += ["--env", env]
    if not project.folder.is_dir():
        raise ProjectError(
            f"The project's folder {project.path} does not exist: restore it, or change the path of {project.name}."
        )
    try:
        ended = subprocess.run(
            behind(project, command),
            cwd=project.path,
            env=child_environment(project),
            capture_output=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except OSError as error:
        raise ProjectError(f"{project.interpreter} could not be started: {error.strerror}.") from error
    except subprocess.TimeoutExpired as error:
        raise NotRead(f"The project {project.name} could not be read within {seconds:.0f} s.") from error
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        raise NotRead(f"The Kedro project {project.name} could not be read: its reading was ended by {name}.")
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
