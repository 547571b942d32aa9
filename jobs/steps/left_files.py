"""What a step leaves behind for people: files that are kept, and those that are not, with why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobs.errors import PlatformError
from jobs.interpreters.artifacts import described, keep, unkept
from kedro_console import wire

Row = dict[str, Any]
"""What is written of a file."""


class LeftFiles:
    """Puts each file of a step's folder away as soon as it is heard of; nothing here waits for a store elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[tuple[str, str], Row] = {}
        self.uploads: list[Row] = []
        """Kept files that wait for the store."""
        self._unkept: dict[str, dict[str, Row]] = {}

    @property
    def artifacts(self) -> list[Row]:
        return list(self._kept.values())

    @property
    def unkept(self) -> list[Row]:
        return [row for rows in self._unkept.values() for row in rows.values()]

    def take(self, message: wire.Event) -> str:
        """Remember what it says of files; a sentence where one could not be kept."""
        match message:
            case wire.DatasetSaved():
                self._unkept.pop(message.dataset[:300], None)  # the last time counts
                return self._keep(message, message.kept) if message.kept else ""
            case wire.FileKept():
                dataset = message.dataset or message.kept.name
                given = wire.DatasetSaved(message.at, dataset=dataset, node=message.node, type="file", seconds=0)
                return self._keep(given, message.kept)
            case wire.FileUnkept():
                self._leave(message)
        return ""

    def keep_log(self, kept: wire.KeptFile) -> None:
        """The lines that rows do not hold; PlatformError when they cannot be kept."""
        waiting = keep(kept, Path(kept.path).parent)
        self.uploads += [waiting] if waiting else []

    def _keep(self, event: wire.DatasetSaved, kept: wire.KeptFile) -> str:
        try:
            waiting = keep(kept, self._folder)
        except PlatformError as error:
            self._leave(wire.FileUnkept(event.at, event.node, event.dataset, kept.name, event.path, str(error)))
            return str(error)
        self.uploads += [waiting] if waiting else []
        row = described(event, kept)
        key = (str(row["dataset"]), str(row["name"]))
        self._kept.pop(key, None)  # of one name given twice the last counts, and is the newer one
        self._kept[key] = row
        return ""

    def _leave(self, event: wire.FileUnkept) -> None:
        row = unkept(event)
        self._unkept.setdefault(row["dataset"], {})[row["name"]] = row
