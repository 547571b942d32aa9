"""The datasets that a run keeps between its nodes: in a folder, or at an address that its project opens for us."""

from __future__ import annotations

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
from jobs.interpreters.boundary import behind
from jobs.interpreters.hosts import child_environment
from jobs.models import Loan, Project, Run
from kedro_console.wire import store_file

SECONDS: Final = 60
MANY: Final = 50
MARK: Final = ".mark"

Loans = dict[str, set[str]]
"""Names of files by the store of an earlier run that has them."""


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
    """The files that it can read: its own, and those that earlier runs lend it."""
    return _own(run) | {name for loan in run.loans.all() for name in loan.files}


def _own(run: Run) -> set[str]:
    """What is in its store; nobody may wait for an address to answer: there it is what its nodes said they saved."""
    folder = folder_of(run)
    if folder is None:
        saved = run.events.filter(kind="dataset_saved", data__type="MemoryDataset")
        return {store_file(name) for name in saved.values_list("data__dataset", flat=True)}
    try:
        return {entry.name for entry in os.scandir(folder)}
    except OSError:
        return set()


def share(old: Run, new: Run, datasets: Iterable[str]) -> Loans:
    """Let the new run read these stored datasets: links to files where both are on one disk, else loans.

    A stored file is replaced, never written into, so a link is enough; anything else is read where it is.
    """
    wanted = {store_file(dataset) for dataset in datasets}
    found = {loan.place: wanted & set(loan.files) for loan in old.loans.all()}
    own = (wanted & _own(old)).difference(*found.values())
    source, target = folder_of(old), folder_of(new)
    is_linked = source is not None and target is not None and _link(source, target, sorted(own))
    if not is_linked:
        found[place_of(old)] = own
    return {place: files for place, files in found.items() if files}


def unshare(run: Run) -> None:
    """Delete what was linked for a run that does not come to be."""
    for folder in filter(None, [folder_of(run), run.folder]):
        shutil.rmtree(folder, ignore_errors=True)


def forget(run: Run, dataset: str) -> None:
    """This dataset is no longer where it was lent from: later runs make anew what was there."""
    for loan in run.loans.all():
        if store_file(dataset) in loan.files:
            Run.objects.filter(store_url=loan.place).update(store_url="")
            forget_loans([loan.place])


def forget_loans(places: Iterable[str]) -> None:
    """Nothing is there any more."""
    Loan.objects.filter(place__in=list(places)).delete()


def _link(old: Path, new: Path, wanted: list[str]) -> bool:
    """Whether these files of the one folder are in the other now: not across disks, nor where there are no links.

    They are never copied: a person waits for the answer, and they may be large.
    """
    try:
        for name in wanted:
            new.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.link(old / name, new / name)
    except FileNotFoundError as error:
        raise NotNow("The store that this run would reuse was deleted just now: start the run again.") from error
    except OSError:
        return False
    return True


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


def _ask(project: Project, *arguments: str) -> None:
    """Have the project's own Python do it: it has the credentials, and the packages that open the address."""
    command = [project.interpreter, "-m", "kedro_console.child.shelf", *arguments]
    try:
        ended = subprocess.run(
            behind(project, command), env=child_environment(project), capture_output=True, timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProjectError(f"The store of {project.name}'s runs could not be reached: {error}") from error
    if ended.returncode:
        place = project.store_url or settings.CONSOLE_RUN_STORE
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {ended.returncode}"]
        raise ProjectError(f"The store of {project.name}'s runs at {place} does not answer: {lines[-1]}")
