"""Drop what no run needs any more: stores and folders of ended runs, and after a while their log lines and events."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Final

from axes.models import AccessFailureLog
from django.conf import settings
from django.db import models

from jobs.errors import ProjectError
from jobs.interpreters import stores
from jobs.library.shelve import shelve_missed
from jobs.models import Act, Event, Loan, LogChunk, News, Run, Step, Tick
from jobs.models.news import ENDING
from jobs.models.run import STORE
from jobs.runs.read_leftovers import SAVED
from jobs.states import FINAL, Status, TickDecision
from jobs.steps.spill_log import drop
from jobs.steps.uploads import drop_orphans
from jobs.upkeep.prune_signals import prune_signals

logger = logging.getLogger(__name__)

KEEP_REFUSALS: Final = timedelta(days=90)
"""Logins that were refused: strangers write them."""
KEEP_TICKS: Final = timedelta(days=90)
"""Due times and what came of them; their runs stay."""
SUCCEEDED: Final = timedelta(hours=1)
"""A successful run has nothing to go on with; whoever resumes it with another parameter may do so for a while."""
KEEP_NEWS: Final = timedelta(days=90)
"""With their notices and deliveries; what still goes on stays."""
ORPHANED: Final = timedelta(days=1)
"""A folder is made before its run's row is committed."""
SPILLED: Final = timedelta(days=30)
"""A step may run for long without a line."""
DROPPED: Final = ".dropped-"
BATCH: Final = 500
SHELVED_AMONG: Final = 10_000
"""Newest artifacts of which some may be on no shelf: an older release beside this one has none."""


@dataclass(frozen=True)
class Pruned:
    """What was dropped."""

    folders: int
    stores: int
    rows: int
    signals: int
    acts: int


def prune(at: datetime) -> Pruned:
    """Drop what is due; what cannot be dropped now is left for the next time. Any number of processes may do it."""
    drop_orphans(at)
    shelve_missed(among=SHELVED_AMONG)
    AccessFailureLog.objects.filter(attempt_time__lt=at - KEEP_REFUSALS).delete()
    Tick.objects.filter(due_at__lt=at - KEEP_TICKS).exclude(decision=TickDecision.DUE).delete()
    _forget_news(at)
    return Pruned(folders=_folders(at), stores=_remote(at), rows=_rows(at), signals=prune_signals(at), acts=_acts(at))


def _is_over(at: datetime, of: str = "") -> models.Q:
    """Runs whose folder and store nobody will ask for; those `of` other rows by the way to them."""
    keep = timedelta(days=settings.CONSOLE_KEEP_STORES_DAYS)
    useless = {"status": Status.SUCCEEDED, "pipeline__reuses_content": False, "finished_at__lt": at - SUCCEEDED}
    old = {"status__in": sorted(FINAL), "finished_at__lt": at - keep}
    is_useless, is_old = (models.Q(**{f"{of}{name}": value for name, value in q.items()}) for q in (useless, old))
    return is_useless | is_old


# ---- folders of this machine --------------------------------------------------------------------------


def _folders(at: datetime) -> int:
    folders = chain.from_iterable(map(_scanned, _places()))
    dropped = _drop_spilled(at)
    while batch := list(islice(folders, BATCH)):
        dropped += sum(_drop(folder) for folder in _useless(batch, at))
    return dropped


def _places() -> Iterator[Path]:
    """The folder of each project's runs, and where those of an older release lie."""
    runs = settings.VAR / "runs"
    yield runs
    with suppress(OSError):
        yield from (Path(entry.path) for entry in list(os.scandir(runs)) if entry.name.isdigit() and entry.is_dir())


def _drop_spilled(at: datetime) -> int:
    """What a worker that was killed had spilled of a log."""
    place: Path = settings.VAR / "spilled"
    old = [folder for folder in place.glob("*") if _age(folder, at) > SPILLED]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return len(old)


def _scanned(place: Path) -> Iterator[Path]:
    """The folders of runs; what an earlier prune could not finish is finished."""
    try:
        entries = list(os.scandir(place))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name.startswith(DROPPED):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif _uuid(entry.name):
                yield Path(entry.path)


def _uuid(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(name)
    except ValueError:
        return None


def _useless(folders: list[Path], at: datetime) -> Iterator[Path]:
    known = Run.objects.filter(uuid__in=[folder.name for folder in folders])
    kept = {str(number) for number in known.values_list("uuid", flat=True)}
    over = {str(number) for number in known.filter(_is_over(at)).values_list("uuid", flat=True)}
    lent = _lent(at).filter(place__in=[str(folder / STORE) for folder in folders])
    over -= {Path(place).parent.name for place in lent.values_list("place", flat=True)}
    for folder in folders:
        if folder.name in over or (folder.name not in kept and _age(folder, at) > ORPHANED):
            yield folder


def _age(folder: Path, at: datetime) -> timedelta:
    try:
        return timedelta(seconds=at.timestamp() - folder.stat().st_mtime)
    except OSError:
        return timedelta(0)


def _drop(folder: Path) -> bool:
    """Gone in one moment for all who look, then bit by bit from the disk."""
    target = folder.with_name(f"{DROPPED}{folder.name}")
    try:
        folder.rename(target)
    except OSError as error:
        logger.warning("%s could not be dropped: %s", folder, error)
        return False
    link = settings.VAR / "runs" / folder.name
    if link.is_symlink() and not link.exists():
        link.unlink(missing_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    return True


# ---- stores elsewhere ---------------------------------------------------------------------------------


def _remote(at: datetime) -> int:
    """A run forgets its address when what was there is gone."""
    found: dict[int, list[Run]] = {}
    for run in Run.objects.filter(pk__in=_with_useless_store(at)).select_related("pipeline__project").order_by("pk"):
        found.setdefault(run.pipeline.project_id, []).append(run)
    return sum(_drop_remote(group) for group in found.values())


def _lent(at: datetime) -> models.QuerySet[Loan]:
    """What is lent to runs that somebody may still ask for."""
    return Loan.objects.exclude(_is_over(at, of="run__"))


def _with_useless_store(at: datetime) -> list[int]:
    """The oldest. Of the few with a store, not of all that are over: a database that is asked for both reads those."""
    known = Run.objects.exclude(store_url="").order_by("pk").values_list("pk", flat=True)
    found: list[int] = []
    numbers = known.iterator()
    while len(found) < stores.MANY and (some := list(islice(numbers, BATCH))):
        over = Run.objects.filter(_is_over(at), pk__in=some).exclude(store_url__in=_lent(at).values("place"))
        found += over.order_by("pk").values_list("pk", flat=True)
    return found[: stores.MANY]


def _drop_remote(runs: list[Run]) -> int:
    try:
        stores.drop(runs[0].pipeline.project, [run.store_url for run in runs])
    except ProjectError as error:
        logger.warning("%s", error)
        return 0
    stores.forget_loans(run.store_url for run in runs)
    return Run.objects.filter(pk__in=[run.pk for run in runs]).update(store_url="")


def _forget_news(at: datetime) -> None:
    old = News.objects.filter(last_at__lt=at - KEEP_NEWS).exclude(ended_at=None, kind__in=ENDING).order_by("last_at")
    News.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:BATCH])).delete()


# ---- the record of acts ------------------------------------------------------------------------------


def acts_due(at: datetime) -> models.QuerySet[Act]:
    """Acts that are older than the setting keeps them; none when it keeps all."""
    days = settings.CONSOLE_KEEP_ACTS_DAYS
    return Act.objects.filter(at__lt=at - timedelta(days=days)) if days else Act.objects.none()


def _acts(at: datetime) -> int:
    """Some of them each time: nobody waits for a long deletion."""
    due = list(acts_due(at).order_by("at").values_list("pk", flat=True)[: 20 * BATCH])
    return Act.objects.filter(pk__in=due).delete()[0]


# ---- rows ---------------------------------------------------------------------------------------------


def _rows(at: datetime) -> int:
    """Log lines and events of runs that ended before what the setting keeps; 0 days: all are kept.

    What was saved where stays: a resumed run has to know whether another has written over it.
    """
    days = settings.CONSOLE_KEEP_LOGS_DAYS
    if not days:
        return 0
    old = Run.objects.filter(log_dropped_at=None, finished_at__lt=at - timedelta(days=days)).order_by("finished_at")
    dropped = 0
    for pk in list(old.values_list("pk", flat=True)[:BATCH]):
        if not _drop_files(pk):  # the store is away: another day
            break
        dropped += _forget(pk, at)
    return dropped


def _drop_files(run_id: int) -> bool:
    """Whether what of its logs is in the store is gone."""
    steps = Step.objects.filter(run_id=run_id).exclude(log_sha256="")
    for sha256 in steps.values_list("log_sha256", flat=True):
        try:
            drop(sha256)
        except Exception as error:  # noqa: BLE001  (a store has errors of its own)
            logger.warning("The rest of a log could not be dropped: %s", error)
            return False
    steps.update(log_sha256="")
    return True


def _forget(run_id: int, at: datetime) -> int:
    lines = LogChunk.objects.filter(run_id=run_id).delete()[0]
    events = Event.objects.filter(run_id=run_id).exclude(kind=SAVED).delete()[0]
    Run.objects.filter(pk=run_id).update(log_dropped_at=at)
    return lines + events
