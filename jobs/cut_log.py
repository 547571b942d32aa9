"""Cut what a child writes into the lines of its log, up to a limit."""

from __future__ import annotations

from collections import deque
from typing import Final

from kedro_console import wire

LOG_LIMIT_BYTES: Final = 20 * 1024 * 1024
TAIL_LINES: Final = 200

StoredLine = tuple[float, str, str, str, str]
"""at, level, stream, node, text; its number comes when it is written."""


class Log:
    """Cuts a child's raw log bytes into lines; past a limit it counts them and keeps the last ones."""

    def __init__(self) -> None:
        self._rest = b""
        self._kept_bytes = 0
        self._dropped = 0
        self._tail: deque[tuple[bytes, float]] = deque(maxlen=TAIL_LINES)
        self.lines: list[StoredLine] = []
        self._last_kept = ""

    def feed(self, data: bytes, at: float) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > wire.MAX_LINE_BYTES * 4:
            whole.append(self._rest)
            self._rest = b""
        for raw in whole:
            self._take(raw, at)

    def close(self, at: float) -> None:
        """No more will come: what is left over becomes lines."""
        if self._rest:
            self._take(self._rest, at)
            self._rest = b""
        missing = self._dropped - len(self._tail)
        if missing > 0:
            text = (
                f"{missing:,} lines were not kept here: a step keeps {LOG_LIMIT_BYTES // 2**20} MB and its last lines."
            )
            self.lines.append((at, "WARNING", "console", "", text))
        while self._tail:
            self._keep(*self._tail.popleft())

    @property
    def last_line(self) -> str:
        return wire.read_line(self._tail[-1][0]).text if self._tail else self._last_kept

    def take(self) -> list[StoredLine]:
        lines, self.lines = self.lines, []
        return lines

    def _take(self, raw: bytes, at: float) -> None:
        if self._kept_bytes > LOG_LIMIT_BYTES:
            self._dropped += 1
            self._tail.append((raw, at))
        else:
            self._kept_bytes += len(raw) + 1
            self._keep(raw, at)

    def _keep(self, raw: bytes, at: float) -> None:
        line = wire.read_line(raw)
        self._last_kept = line.text or self._last_kept
        self.lines.append((at, line.level, line.stream, line.node, line.text))
