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
from pathlib import Path
from typing import Any

from kedro_console import masking, wire
from kedro_console.progress import Bar, Progress, listen, read_bar

CONFIG = Path(__file__).with_name("logging.yml")
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
CURSOR_UP = "\x1b[A"
PIPE = 1

_lock = threading.RLock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


class CurrentNode:
    """Which node this thread works on; a thread that a node started belongs to the only node that runs."""

    def __init__(self) -> None:
        self._local = threading.local()
        self.running: dict[str, int] = {}

    def enter(self, node: str) -> None:
        self._local.node = node
        self.running[node] = threading.get_ident()

    def leave(self, node: str) -> None:
        self.running.pop(node, None)
        if getattr(self._local, "node", "") == node:
            self._local.node = ""

    def name(self) -> str:
        node: str | None = getattr(self._local, "node", None)
        if node is None and threading.current_thread() is not threading.main_thread():
            names = list(self.running)
            return names[0] if len(names) == 1 else ""
        return node or ""


current = CurrentNode()


def write_line(level: str, stream: str, text: str) -> None:
    """One marked line (or several, at newlines) into the pipe, its secrets masked, never torn by another thread."""
    rest = memoryview(wire.mark_line(level, stream, current.name(), masking.text(text)))
    with _lock:
        while rest:
            rest = rest[os.write(PIPE, rest) :]


class _Pending(threading.local):
    """One thread's unfinished line of one stream."""

    text = ""
    cut = 0  # bytes of this line that are not kept
    is_redraw = False
    held = ""  # a bar's line that the next redraw takes back


class Stream(io.TextIOBase):
    """Stands in for sys.stdout or sys.stderr: whole lines go out marked, redrawn lines become progress."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name: str, fd: int, progress: Progress) -> None:
        self.name = name
        self.buffer = io.FileIO(fd, "wb", closefd=False)
        self._fd = fd
        self._progress = progress
        self._pending = _Pending()

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        pending = self._pending
        if pending.held:
            self._settle_held(text)
        *lines, rest = text.split("\n")
        for line in lines:
            self._add(line)
            self._end_line()
        if rest:
            self._add(rest)
        return len(text)

    def _add(self, text: str) -> None:
        pending = self._pending
        if "\r" in text:
            before, _, text = text.rpartition("\r")
            last = (pending.text + before).rpartition("\r")[2]
            if pending.is_redraw or not last:
                self._see(last)
            elif last.strip() and not self._see(last):
                write_line("INFO", self.name, ANSI.sub("", last))
            pending.text, pending.cut, pending.is_redraw = "", 0, True
        room = wire.MAX_LINE_BYTES - len(pending.text)
        pending.text += text[:room]
        pending.cut += max(0, len(text) - room)

    def _end_line(self) -> None:
        pending = self._pending
        text = ANSI.sub("", pending.text) if "\x1b" in pending.text else pending.text
        bar = read_bar(text) if pending.is_redraw else None
        if pending.cut:
            text += f" … ({pending.cut:,} further bytes of this line were not kept)"
        was_redraw, pending.is_redraw = pending.is_redraw, False
        is_move = was_redraw and CURSOR_UP in pending.text  # to another bar's row: this line is not finished
        pending.text, pending.cut = "", 0
        if bar is not None:
            self._progress.see(current.name(), bar, is_last=not is_move)
            if is_move:
                return
            if not bar.is_complete:
                pending.held = text
                return
        if text.strip() or not was_redraw:
            write_line("INFO", self.name, text)

    def _settle_held(self, next_text: str) -> None:
        """A bar's unfinished line stays unless what follows moves back to redraw it (nested bars)."""
        if next_text in ("", "\n"):
            return
        held, self._pending.held = self._pending.held, ""
        if not next_text.startswith(("\r", CURSOR_UP)):
            write_line("INFO", self.name, held)

    def _see(self, text: str) -> bool:
        bar = read_bar(ANSI.sub("", text)) if "[" in text else None
        if bar is not None:
            self._progress.see(current.name(), bar)
        return bar is not None

    def flush(self) -> None:
        if self._pending.is_redraw and self._pending.text:
            self._see(self._pending.text)

    def finish(self) -> None:
        """Writes what this thread left without a newline."""
        if self._pending.held:
            self._settle_held("end")
        if self._pending.text:
            self._end_line()

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


class LineHandler(logging.Handler):
    """Writes log records as marked lines; the logger's name stands before the lines of libraries."""

    def __init__(self, package: str) -> None:
        super().__init__()
        self._plain = ("kedro", package or "kedro", "root", "py")
        self._formatter = logging.Formatter("%(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self._formatter.format(record).rstrip("\n")
            if record.name.partition(".")[0] not in self._plain:
                text = f"{record.name}: {text}"
            write_line(record.levelname, "logging", ANSI.sub("", text) if "\x1b" in text else text)
        except Exception:  # noqa: BLE001  (logging's own way: a broken log call is told on stderr, the run goes on)
            self.handleError(record)


def install(package: str, report: Callable[[str, Bar], None]) -> None:
    """Takes over stdout, stderr and logging of this process; every other log handler is removed."""
    progress = Progress(report)
    listen(progress, current.name)
    sys.stdout, sys.stderr = Stream("stdout", 1, progress), Stream("stderr", 2, progress)
    for logger in _loggers():
        for handler in list(logger.handlers):
            if isinstance(handler, (logging.StreamHandler, LineHandler)) or logger is logging.root:
                logger.removeHandler(handler)
                logger.propagate = True
    logging.root.addHandler(LineHandler(package))
    logging.captureWarnings(True)
    # Kedro's own use of a renamed omegaconf function: five warnings in every run that nobody here can mend.
    warnings.filterwarnings("ignore", message=".*register_new_resolver", category=UserWarning)


def _loggers() -> list[logging.Logger]:
    named = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    return [logging.root, *named]


def finish() -> None:
    """Writes what stdout and stderr still hold."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Stream):
            stream.finish()


def honour_levels(project_path: Path) -> None:
    """The levels (only those) that the project's conf/logging.yml gives to its loggers."""
    import yaml  # Kedro's own dependency

    path = next((p for p in (project_path / "conf" / f"logging.{end}" for end in ("yml", "yaml")) if p.is_file()), None)
    if path is None:
        return
    try:
        config: Any = yaml.safe_load(path.read_text("utf-8"))
        loggers = {**config.get("loggers", {}), "": config.get("root", {})}
        for name, options in loggers.items():
            if isinstance(options, dict) and "level" in options:
                logging.getLogger(name or None).setLevel(options["level"])
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        logging.getLogger(__name__).warning("The levels in %s are not used: %s", path.name, error)
