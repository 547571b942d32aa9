"""The datasets that a run keeps between its nodes: in its folder, or at an address that its project opens for us."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from jobs.errors import NotNow, ProjectError
from jobs.interpreters.hosts import child_environment
from jobs.models import Project, Run
from kedro_console.wire import store_file

SECONDS: Final = 60
MANY: Final = 50


def place_of(run: Run) -> str:
    """What its steps are told: a folder, or an address."""
    return run.store_url or str(run.store_folder)


def names(run: Run) -> set[str]:
    """The files in its store; ProjectError when an address cannot be read."""
    if run.store_url:
        return set(json.loads(_ask(run.pipeline.project, "list", run.store_url)))
    try:
        return {entry.name for entry in os.scandir(run.store_folder)}
    except OSError:
        return set()


def share(old: Run, new: Run, datasets: Iterable[str]) -> None:
    """Give the new run the stored datasets: a stored file is replaced, never written into, so a link is enough."""
    wanted = sorted({store_file(dataset) for dataset in datasets} & names(old))
    if not wanted:
        return
    if old.store_url or new.store_url:
        _copy(old, new, wanted)
    else:
        _link(old.store_folder, new.store_folder, wanted)


def _copy(old: Run, new: Run, wanted: list[str]) -> None:
    """Where the project keeps its stores may have changed between the two runs."""
    source, target = (run.store_url or f"file://{run.store_folder}" for run in (old, new))
    for start in range(0, len(wanted), MANY):
        _ask(old.pipeline.project, "copy", source, target, *wanted[start : start + MANY])


def _link(old: Path, new: Path, wanted: list[str]) -> None:
    new.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        try:
            os.link(old / name, new / name)
        except FileExistsError:
            continue
        except FileNotFoundError as error:
            raise NotNow("The store that this run would reuse was deleted just now: start the run again.") from error
        except OSError:  # a file system without links
            shutil.copyfile(old / name, new / name)


def drop(project: Project, urls: Collection[str]) -> None:
    """Delete what is at these addresses; ProjectError when that cannot be done."""
    if urls:
        _ask(project, "drop", *urls)


def _ask(project: Project, *arguments: str) -> bytes:
    """Have the project's own Python do it: it has the credentials, and the packages that open the address."""
    command = [project.interpreter, "-m", "kedro_console.child.shelf", *arguments]
    try:
        ended = subprocess.run(
            command, env=child_environment(project), capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProjectError(f"The store of {project.name}'s runs could not be reached: {error}") from error
    if ended.returncode:
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {ended.returncode}"]
        raise ProjectError(f"The store of {project.name}'s runs at {project.store_url} does not answer: {lines[-1]}")
    return ended.stdout
