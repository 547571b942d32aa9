"""The processes of an earlier tree: found by the mark in their environment, or, where that is private, by a note."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from console.env import CHILD_MARK, mark_of

MARK: Final = "CONSOLE_TREE"
NOTES: Final = "processes"
POLL_SECONDS: Final = 0.05
PROC: Final = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process of this machine; the start time tells it from a later one with the same number."""

    pid: int
    parent: int
    started: int
    name: str

    @property
    def is_alive(self) -> bool:
        now = look(self.pid)
        return now is not None and now.started == self.started

    def signal(self, number: signal.Signals) -> None:
        if self.is_alive:
            with suppress(ProcessLookupError):  # it ended in between, as was wanted
                os.kill(self.pid, number)


def look(pid: int) -> Process | None:
    """This process, None when it is not there or has already ended."""
    try:
        head, _, tail = (PROC / str(pid) / "stat").read_text().rpartition(")")
    except OSError:
        return None
    facts = tail.split()
    if facts[0] in "ZX":
        return None
    return Process(pid, int(facts[1]), int(facts[19]), head.partition("(")[2])


def note(tree: Path) -> None:
    """Leave a note of this process, whose environment nobody will be able to read."""
    me = look(os.getpid())
    if me:
        (tree / NOTES).mkdir(exist_ok=True)
        (tree / NOTES / str(me.pid)).write_text(str(me.started))


def _noted(tree: Path) -> set[int]:
    """The processes with a note that are still there; notes of others are thrown away."""
    found = set()
    for file in (tree / NOTES).glob("*"):
        process = look(int(file.name)) if file.name.isdigit() else None
        if process and file.read_text() == str(process.started):
            found.add(process.pid)
        else:
            file.unlink(missing_ok=True)
    return found


def left_behind(tree: Path) -> list[Process]:
    """Every process that carries the mark of this tree, with its descendants; never ourselves or who started us.

    Only Linux shows the environment of a process: elsewhere the list is empty.
    """
    everyone = {process.pid: process for process in map(look, _pids()) if process}
    ours = {os.getpid(), *_line_of(os.getpid(), everyone)}  # in a container we may be the first process ourselves
    noted = _noted(tree)
    found = {pid for pid in everyone if pid not in ours and (pid in noted or _has_mark(pid, tree))}
    for pid in everyone:
        if pid not in ours and found & _line_of(pid, everyone):
            found.add(pid)
    return [everyone[pid] for pid in sorted(found)]


def end(processes: Iterable[Process], *, patience_seconds: float) -> None:
    """Ask them to end, wait, and kill those that did not; afterwards none of them is left."""
    waiting = list(processes)
    for process in waiting:
        process.signal(signal.SIGTERM)
    waiting = _still_alive(waiting, patience_seconds)
    for process in waiting:
        process.signal(signal.SIGKILL)
    _still_alive(waiting, patience_seconds)


def _still_alive(processes: list[Process], patience_seconds: float) -> list[Process]:
    deadline = time.monotonic() + patience_seconds
    while (alive := [process for process in processes if process.is_alive]) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return alive


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()] if PROC.is_dir() else []


def _line_of(pid: int, everyone: dict[int, Process]) -> set[int]:
    """This process and all that it descends from, without the first of the machine."""
    line: set[int] = set()
    while pid > 1 and pid not in line:
        line.add(pid)
        pid = everyone[pid].parent if pid in everyone else 0
    return line


def _has_mark(pid: int, tree: Path) -> bool:
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False  # another user's, or just ended
    marks = {f"{MARK}={tree}".encode(), f"{CHILD_MARK}={mark_of(str(tree))}".encode()}
    return not marks.isdisjoint(environment.split(b"\0"))
