"""Cut what a child writes into the lines of its log, up to a limit."""

from __future__ import annotations

from collections import deque
from typing import Final

from kedro_console import wire

LOG_LIMIT_BYTES: Final = 20 * 1024 * 1024
TAIL_LINES: Final = 200

StoredLine = tuple[float, str, str, str, str, str]
"""at, level, stream, node, text, logger; its number comes when it is written."""


class Log:
    """Cuts a child's raw log bytes into lines; past a limit it counts them and keeps the last ones."""

    def __init__(self) -> None:
        self._reader = wire.LineReader()
        self._kept_bytes = 0
        self._dropped = 0
        self._tail: deque[StoredLine] = deque(maxlen=TAIL_LINES)
        self.lines: list[StoredLine] = []
        self._last_kept = ""

    def feed(self, data: bytes, at: float) -> None:
        for line in self._reader.feed(data):
            self._take(line, at)

    def close(self, at: float) -> None:
        """No more will come: what is left over becomes lines."""
        for line in self._reader.close():
            self._take(line, at)
        missing = self._dropped - len(self._tail)
        if missing > 0:
            text = (
                f"{missing:,} lines were not kept here: a step keeps {LOG_LIMIT_BYTES // 2**20} MB and its last lines."
            )
            self.lines.append((at, "WARNING", "console", "", text, ""))
        while self._tail:
            self._keep(self._tail.popleft())

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
            self._tail.append(stored)
        else:
            self._kept_bytes += len(line.text) + 1
            self._keep(stored)

    def _keep(self, line: StoredLine) -> None:
        self._last_kept = line[4] or self._last_kept
        self.lines.append(line)
