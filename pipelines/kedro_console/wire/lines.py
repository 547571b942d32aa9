"""The lines of a child's log pipe.

A line is `\\x1e{level}\\x1f{stream}\\x1f{node}\\x1f{logger}\\x1f{text}\\n`; a line without the mark was written by
something that is not Python (a C library, a program that a node started) and belongs to the only node that runs: the
child says which one that is as `\\x1e\\x1f{node}\\n`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_LINE_BYTES: Final = 64 * 1024
MARK: Final = "\x1e"
SPLIT: Final = "\x1f"
HEAD: Final = re.compile(rb"\x1e[^\x1e\x1f]{0,80}\x1f")


@dataclass(frozen=True)
class LogLine:
    level: str  # DEBUG INFO WARNING ERROR CRITICAL, or the project's own
    stream: str  # stdout | stderr | logging | raw
    node: str  # "" = the step as a whole
    text: str
    logger: str = ""  # of stream "logging": its name


def mark_line(level: str, stream: str, node: str, text: str, logger: str = "") -> bytes:
    """One log line as the child writes it into the pipe: several at newlines, and where it is very long."""
    head = f"{MARK}{level}{SPLIT}{stream}{SPLIT}{node}{SPLIT}{logger}{SPLIT}"
    parts = text.split("\n")
    if len(text) > MAX_LINE_BYTES:
        parts = [part[at : at + MAX_LINE_BYTES] for part in parts for at in range(0, len(part) or 1, MAX_LINE_BYTES)]
    return (head + f"\n{head}".join(parts) + "\n").encode("utf-8", "backslashreplace")


def mark_node(node: str) -> bytes:
    """From here on this node alone runs ("": none, or several)."""
    return f"{MARK}{SPLIT}{node}\n".encode("utf-8", "backslashreplace")


class LineReader:
    """The opposite of `mark_line`, for whatever comes out of a child's pipe: nothing of it is lost."""

    def __init__(self) -> None:
        self._rest = b""
        self._node = ""

    def feed(self, data: bytes) -> list[LogLine]:
        """The lines that these bytes end."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        found = [line for raw in whole for line in self._read(raw)]
        if len(self._rest) > 5 * MAX_LINE_BYTES:
            found += self._read(self._rest)
            self._rest = b""
        return found

    def close(self) -> list[LogLine]:
        """What is left over without a newline."""
        rest, self._rest = self._rest, b""
        return self._read(rest) if rest else []

    def _read(self, raw: bytes) -> list[LogLine]:
        marked = HEAD.search(raw)
        if marked is None:
            return self._read_raw(raw)
        if marked.start():
            return self._read_raw(raw[: marked.start()]) + self._read(raw[marked.start() :])
        parts = _as_text(raw)[1:].split(SPLIT, 4)
        if len(parts) == 5:
            level, stream, node, logger, text = parts
            return [LogLine(level, stream, node, text, logger)]
        if len(parts) == 2 and not parts[0]:
            self._node = parts[1]
            return []
        return self._read_raw(raw)

    def _read_raw(self, raw: bytes) -> list[LogLine]:
        raw = raw[:-1] if raw.endswith(b"\r") else raw
        parts = [raw] if len(raw) <= MAX_LINE_BYTES else list(_cut(raw))
        return [LogLine("INFO", "raw", self._node, _as_text(part)) for part in parts]


def _cut(raw: bytes) -> Iterator[bytes]:
    """Pieces of a long line, none of which ends within a character."""
    start = 0
    while start < len(raw):
        end = start + MAX_LINE_BYTES
        while end < len(raw) and end > start + MAX_LINE_BYTES - 4 and raw[end] & 0xC0 == 0x80:
            end -= 1
        yield raw[start:end]
        start = end


def _as_text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
