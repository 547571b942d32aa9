"""What has to be there before the first page: tables, roles, an administrator; and, a moment later, the projects."""

from __future__ import annotations

import os
import secrets
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import Error, connection, connections

from console.checks import weaknesses
from console.env import ENV
from console.tree import children, demo
from console.tree.say import say as say_aloud
from console.tree.turn import in_turn
from jobs import clock
from jobs.errors import ConsoleError, PlatformError, ProjectError
from jobs.interpreters.snapshots import add_project, as_given, lying_in, take
from jobs.models import Project, Worker
from jobs.proposals import propose
from jobs.reconnect import AWAY, for_seconds, patiently, wait_at_most
from jobs.schema import half_restored

PASSED: Final = ("runs", "replays", "hosts")
WORKER_SECONDS: Final = 60
WORKER_LOOK_SECONDS: Final = 0.2
LOCK_MILLISECONDS: Final = 400
"""Shorter than PostgreSQL's deadlock_timeout: of two that wait for each other we give way, and try again."""


def prepare_folder(folder: Path) -> None:
    """The folder, ours alone; PlatformError when somebody else made it before us."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.stat()
    if facts.st_uid != os.geteuid():
        raise PlatformError(f"{folder} belongs to another user: remove it, or name another folder in CONSOLE_VAR.")
    wanted = 0o711 if ENV.run_as else 0o700  # the user of CONSOLE_RUN_AS finds the folders of its runs through it
    if stat.S_IMODE(facts.st_mode) & 0o077 != wanted & 0o077:
        folder.chmod(wanted)
    if ENV.run_as:
        _close_to_others(folder)


def _close_to_others(folder: Path) -> None:
    """All in it but the way to the folders of runs; what comes later is closed by `be_alone`."""
    for entry in os.scandir(folder):
        mode = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)
        if entry.name in PASSED:
            Path(entry.path).chmod(0o711)
        elif mode & 0o077 and not entry.is_symlink():
            Path(entry.path).chmod(mode & ~0o077)


def is_database_new() -> bool:
    """Whether nothing has been migrated yet; PlatformError when the database cannot be reached."""
    try:
        return "django_migrations" not in connection.introspection.table_names()
    except Error as error:
        raise PlatformError(f"The database cannot be reached: {str(error).strip()}. See DATABASE_URL.") from error


def prepare_database(say: Callable[[str], None] = say_aloud) -> None:
    """Tables and roles as this version wants them; in a child, or the whole tree would keep the memory it takes."""
    connections.close_all()
    if not children.do(partial(_migrate_in_turn, say)):
        raise PlatformError("The database could not be prepared: the error above says why.")


def _migrate_in_turn(say: Callable[[str], None]) -> None:
    try:
        in_turn(migrate, say)
    except ConsoleError as error:
        say(str(error))
        sys.exit(1)


def migrate() -> None:
    """Apply what is missing; a table in use is waited for only so long that nobody queues up behind us."""
    wait_at_most(0)
    if half := half_restored():
        raise PlatformError(half)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {LOCK_MILLISECONDS}")
    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)


def make_administrator(say: Callable[[str], None] = say_aloud) -> str:
    """The first administrator; the password when we had to make one up, to be shown once, else ""."""
    return in_turn(_make_administrator, say)


def _make_administrator() -> str:
    if User.objects.filter(is_superuser=True).exists():
        return ""
    password = ENV.admin_password or secrets.token_urlsafe(12)
    User.objects.create_superuser(ENV.admin_user, password=password)
    return "" if ENV.admin_password else password


def warnings() -> list[str]:
    """What the security checks say about this start, a sentence each."""
    return [f"{found.id}: {found.msg} {found.hint}" for found in weaknesses(ENV)]


def check_project_path() -> None:
    """ProjectError when KEDRO_PROJECT_PATH is set and cannot be a Kedro project."""
    if ENV.kedro_project_path and not (Path(ENV.kedro_project_path).expanduser() / "pyproject.toml").is_file():
        raise ProjectError(
            f"KEDRO_PROJECT_PATH={ENV.kedro_project_path}: there is no pyproject.toml; "
            "name the folder of a Kedro project, or leave it out."
        )


def register_projects(demo_api_url: str, *, at: datetime, say: Callable[[str], None] = say_aloud) -> list[str]:
    """Register and read the demo project (when its API has an address) and KEDRO_PROJECT_PATH: a sentence for each."""
    return in_turn(partial(_register_all, demo_api_url, at), say) if demo_api_url or ENV.kedro_project_path else []


def _register_all(demo_api_url: str, at: datetime) -> list[str]:
    sentences = []
    if demo_api_url:
        demo.lay_out()
        demo.follow_moved()
        sentences.append(_register(demo.PLACE, {"DEMO_API_URL": demo_api_url}, at=at))
    if ENV.kedro_project_path:
        sentences.append(_register(as_given(ENV.kedro_project_path), None, at=at))
    return sentences


def wait_for_worker(since: datetime) -> bool:
    """Whether a worker says in time that it is alive, later than `since`: an earlier one may look alive for a while."""
    is_over = for_seconds(WORKER_SECONDS)
    while not is_over():
        with suppress(*AWAY):
            if patiently(Worker.objects.alive(clock.now()).filter(heartbeat_at__gte=since).exists, is_over=is_over):
                return True
        time.sleep(WORKER_LOOK_SECONDS)
    return False


def _register(path: Path, environment: dict[str, str] | None, *, at: datetime) -> str:
    """What was read; an unreadable project is named and keeps nobody from starting."""
    try:
        project = next(iter(lying_in(path)), None)
        if project is None:
            project = add_project(path, name="demo" if path == demo.PLACE else "", environment=environment, at=at)
        else:  # its name, its Python and its Kedro environment may have been chosen by a person
            _update_place(project, path)
            _update_environment(project, environment)
            take(project, at=at)
    except ProjectError as error:
        return str(error)
    count = project.pipelines.filter(is_registered=True).count()
    counted = f"Project {project.name}: {count} pipeline{'' if count == 1 else 's'}."
    return " ".join([counted, *project.errors, *propose(project, at=at)])


def _update_place(project: Project, path: Path) -> None:
    """The same folder by another path: with the links that are named now."""
    if project.path != str(path):
        project.path = str(path)
        project.save(update_fields=["path"])


def _update_environment(project: Project, environment: dict[str, str] | None) -> None:
    wanted = {**project.environment, **(environment or {})}
    if wanted != project.environment:
        project.environment = wanted
        project.save(update_fields=["environment"])
