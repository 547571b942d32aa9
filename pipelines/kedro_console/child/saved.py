"""What a step saved, and how its files looked then: a file that its writer completes later is kept once more.

    python -m kedro_console.child.saved

tells it after the end of the process that saved: it reads `Task`s and writes the events, both as lines of JSON.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Union

from kedro_console import wire
from kedro_console.child import facts
from kedro_console.line import report
from kedro_console.line.keep import MAX_NAMED, Keeper
from kedro_console.words import masking

MAX_FILES = 10_000
MAX_NOTE = 1_000
Mark = list[Any]
Named = Union[str, list[str]]


@dataclass(frozen=True)
class Saved:
    """One save, as it was told, and the marks of its files at that moment."""

    event: wire.DatasetSaved
    path: str  # as the dataset names it, for the keeper
    value: Named  # the paths that the value itself names; "" when it names none
    marks: dict[str, Mark]

    @property
    def is_changed(self) -> bool:
        return are_changed(self.marks)


@dataclass
class Ledger:
    """The saves of one step, the last one of each file."""

    keeper: Keeper
    saves: dict[str, Saved] = field(default_factory=dict)

    def add(self, event: wire.DatasetSaved, path: str, value: object) -> None:
        named = _named(value)
        paths = [path, *([named] if isinstance(named, str) else named)]
        places = {str(self.keeper.project_path / each) for each in paths if each and "://" not in each}
        if places:
            key = "\0".join(sorted(places))
            self.saves[key] = Saved(event, path, named, {place: mark_of(place) for place in places})

    def renewed(self) -> Iterator[wire.Event]:
        """The saves whose files have changed since, told again; each is told once."""
        for key, saved in list(self.saves.items()):
            if saved.is_changed:
                self.saves[key] = dataclasses.replace(saved, marks={place: mark_of(place) for place in saved.marks})
                yield from told_anew(self.keeper, saved, saved.event.path)

    def tasks(self) -> Iterator[dict[str, Any]]:
        """The ledger as JSON, a save each."""
        keeper = dataclasses.asdict(self.keeper)
        for saved in self.saves.values():
            yield {
                "keeper": {**keeper, "project_path": str(self.keeper.project_path), "folder": str(self.keeper.folder),
                           "free_outputs": sorted(self.keeper.free_outputs)},
                "event": json.loads(masking.packet(report.fit(saved.event))),
                "place": saved.event.path,
                "path": saved.path,
                "value": saved.value,
                "marks": saved.marks,
            }  # fmt: skip


def told_anew(keeper: Keeper, saved: Saved, place: str) -> Iterator[wire.Event]:
    """The save as its file, which is at that place, is now."""
    event = dataclasses.replace(saved.event, at=time.time(), size_bytes=facts.local_size(place))
    return told(keeper, event, saved.path, saved.value)


def told(keeper: Keeper, event: wire.DatasetSaved, path: str, value: object) -> Iterator[wire.Event]:
    """The save with what is kept of it, and what is not, as an event each."""
    kept, unkept = keeper.keep(event.dataset, path, value)
    note = " ".join(each.reason for each in unkept)[:MAX_NOTE]
    yield dataclasses.replace(event, kept=kept[0] if kept else None, note=note)
    for file in kept[1:]:
        yield wire.FileKept(time.time(), event.node, file, event.dataset)
    for each in unkept:
        yield wire.FileUnkept(time.time(), event.node, event.dataset, each.name, each.path, each.reason)


def are_changed(marks: dict[str, Mark]) -> bool:
    """Whether one of these files is not as it was when it was marked."""
    return any(mark_of(path) != mark for path, mark in marks.items())


def mark_of(path: str) -> Mark:
    """What changes when that file, or one in that folder, is written; [] when it is not there."""
    try:
        found = Path(path).stat()
        if not Path(path).is_dir():
            return [found.st_ino, found.st_size, found.st_mtime_ns]
        inside = [each.stat() for each in islice(Path(path).rglob("*"), MAX_FILES)]
    except (OSError, ValueError):
        return []
    return [len(inside), sum(each.st_size for each in inside), max((each.st_mtime_ns for each in inside), default=0)]


def _named(value: object) -> Named:
    """The paths that a saved value may be."""
    if isinstance(value, (list, tuple, set)) and len(value) <= MAX_NAMED:
        found = [_path(each) for each in value]
        return found if all(found) else ""
    if isinstance(value, dict) and len(value) <= MAX_NAMED:
        return _named(list(value.values()))
    return _path(value)


def _path(value: object) -> str:
    if not isinstance(value, (str, os.PathLike)):
        return ""
    text = os.fspath(value)
    return text if isinstance(text, str) and 0 < len(text) <= 4_096 and not set(text) & {"\n", "\0"} else ""


# ---- after the end of the process that saved -------------------------------------------------------


def renew(tasks: Iterable[dict[str, Any]]) -> Iterator[wire.Event]:
    for task in tasks:
        event = wire.parse(json.dumps(task["event"]).encode())
        if isinstance(event, wire.DatasetSaved):
            saved = Saved(event, task["path"], task["value"], task["marks"])
            yield from told_anew(_keeper(task["keeper"]), saved, task["place"])


def _keeper(known: dict[str, Any]) -> Keeper:
    return Keeper(
        **{
            **known,
            "project_path": Path(known["project_path"]),
            "folder": Path(known["folder"]),
            "free_outputs": frozenset(known["free_outputs"]),
        }
    )


def main() -> None:
    for event in renew(map(json.loads, sys.stdin.buffer)):
        sys.stdout.buffer.write(event.to_json() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
