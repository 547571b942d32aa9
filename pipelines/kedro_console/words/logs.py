"""What the child writes: print, stderr and logging, as marked lines in one pipe, each with the node that wrote it."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, TextIO

from kedro_console import wire
from kedro_console.words import masking
from kedro_console.words.progress import Bar, Progress, listen, read_bar

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
MOVES = re.compile(r"\x1b\[(?![0-9;:]*m)[0-?]*[ -/]*[@-~]")  # all but colours
CURSOR_UP = "\x1b[A"
PIPE = 1
UNMENDABLE = "register_new_resolver() is deprecated"
"""Kedro's own use of a renamed omegaconf function: several warnings in every run that nobody here can mend."""

_lock = threading.RLock()
_shown = threading.local()  # `record`: what this thread's log handler works on just now


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


class CurrentNode:
    """Which node this thread works on; a thread that a node started belongs to the only node that runs."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._only = ""
        self.running: dict[str, int] = {}

    def enter(self, node: str) -> None:
        self._local.node = node
        self.running[node] = threading.get_ident()
        self._tell()

    def leave(self, node: str) -> None:
        """What the node has left without a newline is written before the next one's first word."""
        finish(node)
        self.running.pop(node, None)
        if getattr(self._local, "node", "") == node:
            self._local.node = ""
        self._tell()

    def name(self) -> str:
        node: str | None = getattr(self._local, "node", None)
        if node is None and threading.current_thread() is not threading.main_thread():
            return self._only_one()
        return node or ""

    def _only_one(self) -> str:
        names = list(self.running)
        return names[0] if len(names) == 1 else ""

    def _tell(self) -> None:
        """Says whose the lines are that programs and libraries write past Python."""
        only = self._only_one()
        if only != self._only and stdout.progress is not None:
            self._only = only
            _put(wire.mark_node(only))


current = CurrentNode()


def write_line(level: str, stream: str, text: str, logger: str = "") -> None:
    """One marked line (or several, at newlines) into the pipe, its secrets masked, never torn by another thread."""
    _put(wire.mark_line(level, stream, current.name(), masking.text(text), logger))


def _put(line: bytes) -> None:
    rest = memoryview(line)
    with _lock:
        while rest:
            rest = rest[os.write(PIPE, rest) :]


class _Pending:
    """One thread's unfinished line of one stream."""

    def __init__(self) -> None:
        self.node = ""
        self.text = ""
        self.is_redraw = False
        self.held = ""  # a bar's line that the next redraw takes back


class Stream(io.TextIOBase):
    """Stands in for sys.stdout or sys.stderr: whole lines go out marked, redrawn lines become progress.

    Before there is a run to write for, what is written goes on as it is, and `overheard` hears it.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.buffer = io.FileIO(fd, "wb", closefd=False)
        self.progress: Progress | None = None
        self.overheard: Callable[[Stream, str], None] | None = None
        self._fd = fd
        self._pendings: dict[int, _Pending] = {}

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self.progress is None:
            self._pass_on(text)
            return len(text)
        with _lock:
            self._take(self._pending(), text)
        return len(text)

    def _pass_on(self, text: str) -> None:
        if self.overheard is not None:
            self.overheard(self, text)
        if echoes:
            self.buffer.write(text.encode("utf-8", "backslashreplace"))

    def _pending(self) -> _Pending:
        thread = threading.get_ident()
        pending = self._pendings.get(thread)
        if pending is None:
            pending = self._pendings[thread] = _Pending()
        if not (pending.text or pending.held):
            pending.node = current.name()
        return pending

    def _take(self, pending: _Pending, text: str) -> None:
        if pending.held:
            self._settle_held(pending, text)
        *lines, rest = text.split("\n")
        for line in lines:
            self._add(pending, line)
            self._end_line(pending)
        if rest:
            self._add(pending, rest)

    def _add(self, pending: _Pending, text: str) -> None:
        if "\r" in text:
            before, _, text = text.rpartition("\r")
            last = (pending.text + before).rpartition("\r")[2]
            if pending.is_redraw or not last:
                self._see(last)
            elif last.strip() and not self._see(last):
                self._write(MOVES.sub("", last))
            pending.text, pending.is_redraw = "", True
        pending.text += text
        while len(pending.text) > wire.MAX_LINE_BYTES:  # cut at a blank: no secret is torn
            end = pending.text.rfind(" ", wire.MAX_LINE_BYTES // 2, wire.MAX_LINE_BYTES) + 1 or wire.MAX_LINE_BYTES
            self._write(MOVES.sub("", pending.text[:end]))
            pending.text = pending.text[end:]

    def _end_line(self, pending: _Pending) -> None:
        text = MOVES.sub("", pending.text) if "\x1b" in pending.text else pending.text
        bar = read_bar(ANSI.sub("", text)) if pending.is_redraw else None
        was_redraw, pending.is_redraw = pending.is_redraw, False
        is_move = was_redraw and CURSOR_UP in pending.text  # to another bar's row: this line is not finished
        pending.text = ""
        if bar is not None and self.progress is not None:
            self.progress.see(current.name(), bar, is_last=not is_move)
            if is_move:
                return
            if not bar.is_complete:
                pending.held = text
                return
        if text.strip() or not was_redraw:
            self._write(text)

    def _settle_held(self, pending: _Pending, next_text: str) -> None:
        """A bar's unfinished line stays unless what follows moves back to redraw it (nested bars)."""
        if next_text in ("", "\n"):
            return
        held, pending.held = pending.held, ""
        if not next_text.startswith(("\r", CURSOR_UP)):
            self._write(held)

    def _write(self, text: str) -> None:
        """What a log handler prints has the level of its record."""
        record = getattr(_shown, "record", None)
        if record is None:
            write_line("INFO", self.name, text)
        else:
            write_line(record.levelname, "logging", text, record.name)

    def _see(self, text: str) -> bool:
        bar = read_bar(ANSI.sub("", text)) if "[" in text else None
        if bar is not None and self.progress is not None:
            self.progress.see(current.name(), bar)
        return bar is not None

    def flush(self) -> None:
        pending = self._pendings.get(threading.get_ident())
        if pending is not None and pending.is_redraw and pending.text:
            self._see(pending.text)

    def finish(self, node: str | None = None) -> None:
        """Writes what was left without a newline, by this node or (None) by anybody."""
        with _lock:
            for pending in list(self._pendings.values()):
                if node is None or pending.node == node:
                    if pending.held:
                        self._settle_held(pending, "end")
                    if pending.text:
                        self._end_line(pending)
            if node is None:
                self._pendings.clear()

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


stdout, stderr = Stream("stdout", 1), Stream("stderr", 2)
_originals: tuple[TextIO, ...] = ()
echoes = True
"""Whether what is written before there is a run goes on as it is: not where it is written again for the run."""


def is_console(stream: Any) -> bool:
    """Whether what is written there is seen by whoever started the program."""
    return isinstance(stream, Stream) or any(stream is one for one in (sys.stdout, sys.stderr, *_originals))


def stand_in() -> None:
    """From now on stdout and stderr are ours, also for code that keeps them while it is imported."""
    global _originals
    if sys.stdout is not stdout:
        _originals = tuple(one for one in (sys.stdout, sys.stderr) if one is not None)
        for one in _originals:
            one.flush()
        sys.stdout = sys.__stdout__ = stdout  # type: ignore[assignment,misc]
        sys.stderr = sys.__stderr__ = stderr  # type: ignore[assignment,misc]


def install(report: Callable[[str, Bar], None]) -> None:
    """From now on lines are marked and bars are reported: this process runs a step."""
    stand_in()
    stdout.progress = stderr.progress = progress = Progress(report)
    stdout.overheard = stderr.overheard = None
    listen(progress, current.name)
    ours = logging.getLogger("kedro_console")
    if ours.level == logging.NOTSET:  # why a node waits is told, whatever the project says of libraries
        ours.setLevel(logging.INFO)
    if warnings.showwarning is getattr(warnings, "_showwarning_orig", None):
        warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    text = warnings.formatwarning(message, category, filename, lineno, line)
    if file is None or is_console(file):
        if UNMENDABLE not in text:
            write_line("WARNING", "stderr", text.rstrip("\n"))
    else:
        file.write(text)


def finish(node: str | None = None) -> None:
    """Writes what stdout and stderr still hold, of this node or of all."""
    for stream in (stdout, stderr):
        stream.finish(node)


# ---- records -----------------------------------------------------------------------------------------


def begin_record(record: logging.LogRecord | None) -> logging.LogRecord | None:
    """What this thread prints until the next call belongs to that record; the one before."""
    before: logging.LogRecord | None = getattr(_shown, "record", None)
    _shown.record = record
    return before
