"""The datasets that a run keeps between its nodes: in a folder, or at an address that its project opens for us."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from django.conf import settings

from jobs.errors import NotNow, ProjectError
from jobs.interpreters.hosts import child_environment
from jobs.models import Project, Run
from kedro_console.wire import store_file

SECONDS: Final = 60
MANY: Final = 50
MARK: Final = ".mark"


def place_of(run: Run) -> str:
    """What its steps are told: a folder, or an address."""
    return run.store_url or str(run.store_folder)


def folder_of(run: Run) -> Path | None:
    """Where we reach its store ourselves; None when it is at an address."""
    return None if "://" in run.store_url else Path(run.store_url) if run.store_url else run.store_folder


def marks() -> tuple[str, str]:
    """Of the folder with our runs, and of the folder or address that CONSOLE_RUN_STORE names; "" for none."""
    place = settings.CONSOLE_RUN_STORE
    return _mark_of(settings.VAR / "runs"), place if "://" in place or not place else _mark_of(Path(place))


def _mark_of(folder: Path) -> str:
    """What a folder is known by, by all who share it and whatever its path is there; "" when nothing can be left."""
    draft = folder / f"{MARK}.{uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / MARK).exists():
            draft.write_text(uuid4().hex)
            with suppress(FileExistsError):  # another worker was faster: its mark counts
                os.link(draft, folder / MARK)
            draft.unlink()
        return (folder / MARK).read_text().strip()
    except OSError:
        return ""


def names(run: Run) -> set[str]:
    """The files in its store; ProjectError when an address cannot be read."""
    folder = folder_of(run)
    if folder is None:
        return set(json.loads(_ask(run.pipeline.project, "list", run.store_url)))
    try:
        return {entry.name for entry in os.scandir(folder)}
    except OSError:
        return set()


def share(old: Run, new: Run, datasets: Iterable[str]) -> None:
    """Give the new run the stored datasets: a stored file is replaced, never written into, so a link is enough."""
    wanted = sorted({store_file(dataset) for dataset in datasets} & names(old))
    if not wanted:
        return
    source, target = folder_of(old), folder_of(new)
    if source is None or target is None:
        _copy(old, new, wanted)
    else:
        _link(source, target, wanted)


def _copy(old: Run, new: Run, wanted: list[str]) -> None:
    """Where the project keeps its stores may have changed between the two runs."""
    source, target = (
        run.store_url if folder is None else f"file://{folder}" for run in (old, new) for folder in [folder_of(run)]
    )
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
    """Delete what is at these places; ProjectError when that cannot be done."""
    addresses = [url for url in urls if "://" in url]
    for url in set(urls) - set(addresses):
        _drop_folder(Path(url))
    if addresses:
        _ask(project, "drop", *addresses)


def _drop_folder(folder: Path) -> None:
    if not folder.parent.is_dir():  # not mounted here, rather than empty
        raise ProjectError(f"The store of runs {folder.parent} is not there: mount it, or change CONSOLE_RUN_STORE.")
    shutil.rmtree(folder, ignore_errors=True)


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
        place = project.store_url or settings.CONSOLE_RUN_STORE
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {ended.returncode}"]
        raise ProjectError(f"The store of {project.name}'s runs at {place} does not answer: {lines[-1]}")
    return ended.stdout
