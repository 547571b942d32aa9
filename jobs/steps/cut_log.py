"""Cut what a child writes into the lines of its log, up to a limit."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from jobs.steps.spill_log import GLIMPSE, SPILLED, Spill, StoredLine
from kedro_console import wire

LOG_LIMIT_BYTES: Final = 20 * 1024 * 1024
TAIL_LINES: Final = 200
GLIMPSE_SECONDS: Final = 10.0
"""Who follows a log of which no line is kept in rows any more sees its newest one so often."""
GLIMPSE_CHARACTERS: Final = 1_000


class Log:
    """Cuts a child's raw log bytes into lines; past a limit the spill has them, but for the last ones."""

    def __init__(self, spill: Spill | None = None) -> None:
        self._spill = spill
        self._reader = wire.LineReader()
        self._kept_bytes = 0
        self._dropped = 0
        self._tail: deque[StoredLine] = deque(maxlen=TAIL_LINES)
        self.lines: list[StoredLine] = []
        self._last_kept = ""
        self._glimpsed_at = 0.0

    def feed(self, data: bytes, at: float) -> None:
        for line in self._reader.feed(data):
            self._take(line, at)

    def say(self, level: str, text: str, at: float) -> None:
        """A line of the console itself."""
        self.lines.append((at, level, "console", "", text, ""))

    def spilled(self) -> wire.KeptFile | None:
        """No more will come: what is left over becomes lines; the file with those that rows do not hold."""
        for line in self._reader.close():
            self._take(line, time.time())
        return self._spill.close() if self._spill else None

    def close(self, at: float, problem: str = "") -> None:
        """Add the last lines, and say before them where the others are; `problem`: why the file was not kept."""
        self.spilled()
        missing, self._dropped = self._dropped - len(self._tail), 0
        if missing > 0:
            stream = SPILLED if self._spill and self._spill.held and not problem else "console"
            self.lines.append((at, "WARNING", stream, "", self._where(missing, problem), ""))
        self._spill = None
        while self._tail:
            self._keep(self._tail.popleft())

    def _where(self, missing: int, problem: str) -> str:
        held = self._spill.held if self._spill and not problem else 0
        rows = f"a step keeps {LOG_LIMIT_BYTES // 2**20} MB and its last lines here"
        if not held:
            return f"{missing:,} lines were not kept here: {rows}. {problem}".strip()
        lost = f" {missing - held:,} more were not kept: the file is full." if missing > held else ""
        return f"{held:,} lines are in the download: {rows}.{lost}"

    @property
    def last_line(self) -> str:
        return self._tail[-1][4] if self._tail else self._last_kept

    def take(self) -> list[StoredLine]:
        lines, self.lines = self.lines, []
        return lines

    def _take(self, line: wire.LogLine, at: float) -> None:
        stored = (at, line.level, line.stream, line.node, line.text, line.logger)
        if self._kept_bytes > LOG_LIMIT_BYTES:
            self._dropped += 1
            if self._spill and len(self._tail) == TAIL_LINES:
                self._spill.add(self._tail[0])
            self._tail.append(stored)
            if self._spill and at - self._glimpsed_at >= GLIMPSE_SECONDS:
                self._glimpse(stored)
        else:
            self._kept_bytes += len(line.text) + 1
            self._keep(stored)

    def _glimpse(self, line: StoredLine) -> None:
        at, level, _, node, text, logger = line
        more = f"{self._dropped:,} more lines go" if self._dropped > 1 else "The lines from here on go"
        self._glimpsed_at = at
        self.lines.append((at, level, GLIMPSE, node, f"{more} into a file: {text[:GLIMPSE_CHARACTERS]}", logger))

    def _keep(self, line: StoredLine) -> None:
        self._last_kept = line[4] or self._last_kept
        self.lines.append(line)
