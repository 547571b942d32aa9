"""What an ended run left of its datasets: in its store, in files and tables, or nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import Final

from django.db.models import Q, QuerySet

from jobs.interpreters import stores
from jobs.models import Event, NodeRun, Run, Snapshot
from jobs.states import NodeStatus
from kedro_console.wire import bare, store_file

SAVED: Final = "dataset_saved"
IN_MEMORY: Final = "MemoryDataset"
CLOCKS_APART: Final = 2.0
"""Seconds: a file's time is its disk's, and was written a moment before the save was reported."""


class Leftovers:
    """Looks at the rows and files of one run, and of the runs whose work it reused."""

    def __init__(self, run: Run, snapshot: Snapshot) -> None:
        self.run = run
        self._persisted = snapshot.picture.persisted

    def lost(self, dataset: str) -> str:
        """Why the dataset can no longer be read as this run made it, as a sentence; "" when it can."""
        saved = self.saves.get(dataset)
        if self._is_in_memory(dataset, saved):
            return self._lost_from_memory(dataset)
        if saved is None:
            return f"Nothing says that its {dataset} was saved."
        if number := self._saved_since.get(dataset):
            return f"Run #{number} has saved {dataset} since."
        return self._lost_from_disk(dataset, saved)

    def place(self, dataset: str) -> str:
        """Where the dataset is read from, in a few words."""
        saved = self.saves.get(dataset)
        if saved is None or self._is_in_memory(dataset, saved):
            return f"{dataset} is in the run's store"
        version = saved.data.get("version")
        return f"{dataset} is read in its version {version}" if version else f"{dataset} is as it saved it"

    def effects(self, node: str) -> str:
        """What this node had saved outside of the run and saves once more, as a sentence; "" for nothing."""
        mine = [event for event in self.saves.values() if event.node == node]
        names = sorted(str(event.data["dataset"]) for event in mine if self._is_outside(event))
        return f"It had saved {', '.join(names)} and saves it again." if names else ""

    def versions(self, nodes: set[str]) -> dict[str, str]:
        """The versions that these nodes saved, by dataset."""
        mine = (event.data for event in self.saves.values() if event.node in nodes)
        return {str(data["dataset"]): str(data["version"]) for data in mine if data.get("version")}

    @cached_property
    def saves(self) -> dict[str, Event]:
        """The last save of each dataset, by its name without a transcoding suffix."""
        found: dict[str, Event] = {}
        for event in _saves_of(self.run):
            found.setdefault(bare(str(event.data["dataset"])), event)
        return found

    def _is_in_memory(self, dataset: str, saved: Event | None) -> bool:
        return dataset not in self._persisted if saved is None else saved.data.get("type") == IN_MEMORY

    def _is_outside(self, event: Event) -> bool:
        return event.data.get("type") != IN_MEMORY or bool(event.data.get("kept"))

    def _lost_from_memory(self, dataset: str) -> str:
        if not (self.run.is_resumable or self.run.has_copies):
            return f"Its {dataset} was kept in memory only."
        if dataset in self.run.unshared:
            return f"Its {dataset} stayed in its process: it cannot be stored."
        if store_file(dataset) in self._stored:
            return ""
        if not self.run.is_resumable:
            return f"No copy of its {dataset} is there: it was too large, took too long, or is no plain value."
        return f"Its {dataset} is no longer in the run's store."

    @cached_property
    def _stored(self) -> set[str]:
        return stores.names(self.run)

    def _lost_from_disk(self, dataset: str, saved: Event) -> str:
        """Only where the project's folder can be seen from here: elsewhere it is not known."""
        project, path = self.run.pipeline.project, str(saved.data.get("path") or "")
        if not path or "://" in path or not project.folder.is_dir():
            return ""
        try:
            found = (project.folder / path).stat()
        except OSError:
            return f"The file of its {dataset} is gone."
        is_later = found.st_mtime > saved.at.timestamp() + CLOCKS_APART
        return f"The file of its {dataset} was changed since." if is_later and not _is_folder(found) else ""

    @cached_property
    def _saved_since(self) -> dict[str, int]:
        """Datasets without versions that another run of the project has overwritten: that run's number."""
        mine = {name: event for name, event in self.saves.items() if self._is_overwritable(event)}
        if not mine:
            return {}
        found: dict[str, int] = {}
        for dataset, path, at, number in self._later_saves(mine):
            known = mine.get(bare(dataset))
            if known and at > known.at and path == (known.data.get("path") or ""):
                found[bare(dataset)] = number
        return found

    @staticmethod
    def _is_overwritable(event: Event) -> bool:
        return event.data.get("type") != IN_MEMORY and not event.data.get("version")

    def _later_saves(self, mine: dict[str, Event]) -> QuerySet[Event, tuple[str, str, datetime, int]]:
        first = min(event.at for event in mine.values())
        own = {event.run_id for event in mine.values()}
        runs = Run.objects.filter(pipeline__project_id=self.run.pipeline.project_id).exclude(pk__in=own)
        later = runs.filter(Q(finished_at__isnull=True) | Q(finished_at__gte=first))
        names = [str(event.data["dataset"]) for event in mine.values()]
        events = Event.objects.filter(run__in=later.values("pk"), kind=SAVED, at__gt=first, data__dataset__in=names)
        return events.order_by("at").values_list("data__dataset", "data__path", "at", "run_id")


def _saves_of(run: Run) -> Iterator[Event]:
    """Saves of this run, the newest first, then those of reused nodes in the runs that they were taken from."""
    waiting: list[tuple[Run, set[str] | None]] = [(run, None)]
    while waiting:
        current, names = waiting.pop()
        events = Event.objects.filter(run=current, kind=SAVED)
        yield from (events if names is None else events.filter(node__in=sorted(names))).order_by("-seq")
        waiting += _taken_from(current, names)


def _taken_from(run: Run, names: set[str] | None) -> Iterator[tuple[Run, set[str] | None]]:
    """The runs that this run reused nodes of, each with those of the named nodes that it took from there."""
    found: dict[int, tuple[Run, set[str]]] = {}
    if not any(row.status == NodeStatus.REUSED for row in NodeRun.of(run)):
        return
    for row in run.node_runs.filter(status=NodeStatus.REUSED).select_related("taken_from__pipeline__project"):
        old = row.taken_from or run.retry_of
        if old is not None and (names is None or row.name in names):
            found.setdefault(old.pk, (old, set()))[1].add(row.name)
    yield from found.values()


def _is_folder(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode)
