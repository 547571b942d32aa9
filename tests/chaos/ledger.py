"""Append-only files outside of the console: what was accepted, what nodes did, and when the pages answered."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Accepted:
    """A run that was promised to somebody; `end` is what it has to come to when nobody cancels it."""

    key: str
    nodes: list[str]
    end: str = "succeeded"


@dataclass(frozen=True)
class Line:
    """A node's word (start, end, stumble) in seconds since the epoch."""

    word: str
    key: str
    node: str
    pid: int
    at: float


@dataclass(frozen=True)
class Answer:
    """The pages were asked at this time; whether they said anything."""

    at: float
    is_there: bool


@dataclass(frozen=True)
class Ledger:
    """The folder with the files."""

    folder: Path

    @property
    def lines_path(self) -> Path:
        return self.folder / "lines"

    @property
    def accepted_path(self) -> Path:
        return self.folder / "accepted"

    @property
    def answers_path(self) -> Path:
        return self.folder / "answers"

    def accept(self, accepted: Accepted) -> None:
        _append(self.accepted_path, asdict(accepted))

    def note(self, answer: Answer) -> None:
        _append(self.answers_path, asdict(answer))

    def accepted(self) -> list[Accepted]:
        return [Accepted(**row) for row in _rows(self.accepted_path)]

    def lines(self) -> list[Line]:
        return [Line(**row) for row in _rows(self.lines_path)]

    def answers(self) -> list[Answer]:
        return [Answer(**row) for row in _rows(self.answers_path)]


def _append(path: Path, row: dict[str, Any]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, (json.dumps(row) + "\n").encode())
    os.close(handle)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
