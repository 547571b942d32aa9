"""The project's own log handlers, as `kedro run` has them: only what goes to the console becomes marked lines.

A project is imported before there is a run. Its handlers are held meanwhile: no file is opened, no record is handled,
all is kept in order. The process of a run then opens the files and handles the records, as if the project had just been
imported there. A run has one first process; the later ones go on in the files that it has begun.
"""

from __future__ import annotations

import functools
import io
import logging
import logging.handlers
import os
import re
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro_console.words import logs

MOST_KEPT = 10_000
OUR_OWN = "kedro_console"
WARNINGS = "py.warnings"
STREAM, RICH, OTHER = "stream", "rich", "other"
PLAIN = logging.Formatter("%(message)s")
FIELD = re.compile(r"%\((\w+)\)|\{(\w+)|\$\{?(\w+)")
SHOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What a layout may name and a line of the console has a place for, or has no need of."""
LAYOUT = ("format", "formatMessage", "formatException", "formatStack")

_open_file = logging.FileHandler._open
_close_file = logging.FileHandler.close
_last = threading.local()  # `record`: the one whose line this thread has written last


class _Draft(io.TextIOWrapper):
    """Stands for a log file that is not opened yet."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull).open("wb"), encoding="utf-8")  # noqa: SIM115
        self.text = ""
        self.is_open = True

    def write(self, text: str) -> int:
        if self.is_open:
            self.text += text
        return len(text)


class _Held:
    """What a project has written, and which log files it has opened and closed, while it was imported."""

    def __init__(self) -> None:
        self.is_recording = True
        self.steps: list[Callable[[bool], None]] = []
        """Each does again what was done; True for the first process of a run."""
        self.drafts: list[_Draft] = []

    def keep(self, again: Callable[[bool], None]) -> None:
        if self.is_recording and len(self.steps) < MOST_KEPT:
            self.steps.append(again)

    def print(self, stream: logs.Stream, text: str) -> None:
        def again(is_first: bool) -> None:
            if is_first:
                stream.write(text)

        self.keep(again)

    def handle(self, handler: logging.Handler, record: logging.LogRecord) -> None:
        def again(is_first: bool) -> None:
            if is_first:
                _handle_late(handler, record)

        if record.name.partition(".")[0] != OUR_OWN:
            self.keep(again)

    def open(self, handler: logging.FileHandler) -> _Draft:
        draft = _Draft()
        self.drafts.append(draft)
        self.steps.append(lambda is_first: _open_late(handler, draft, is_first))
        return draft

    def close(self, handler: logging.FileHandler) -> None:
        self.steps.append(lambda _: _close_file(handler))


_held: _Held | None = None
_before_pipelines: _Held | None = None
"""What was done before the pipelines were imported: `kedro run` imports them when its session has begun."""
_is_first = True


# ---- while the project is imported --------------------------------------------------------------------


def hold(*, hears_prints: bool = False) -> None:
    """From now on, until `release`, log files stay closed and records are kept."""
    global _held
    _held = _Held()
    logging.Handler.handle = _handle  # type: ignore[method-assign]
    logging.FileHandler._open = _open  # type: ignore[method-assign]
    logging.FileHandler.close = _close  # type: ignore[method-assign,assignment]
    if hears_prints:
        logs.stand_in()
        logs.stdout.overheard = logs.stderr.overheard = lambda stream, text: (
            _held.print(stream, text) if _held else None
        )


def begin_pipelines() -> None:
    """The pipelines are imported now; `kedro run` has said its first words by then."""
    global _held, _before_pipelines
    if _held is not None:
        _before_pipelines, _held = _held, _Held()


def stop_recording() -> None:
    """What comes now is the console's doing, and a run does it again by itself."""
    if _held is not None:
        _held.is_recording = False


# ---- in the process of a run --------------------------------------------------------------------------


def release(*, is_first: bool) -> Callable[[], None]:
    """The handlers work from now on; what to call when the run takes its pipelines. Raises what opening a file does."""
    global _held, _before_pipelines, _is_first
    if _held is None:
        return _nothing
    before, after = (_before_pipelines, _held) if _before_pipelines is not None else (_held, _Held())
    _held, _before_pipelines, _is_first = None, None, is_first
    for draft in after.drafts:  # what the run writes until it takes its pipelines is not for these files
        draft.is_open = False
    for again in before.steps:
        again(is_first)
    rest = iter(after.steps)

    def take_pipelines() -> None:
        for again in rest:
            again(is_first)

    return take_pipelines if after.steps else _nothing


def _nothing() -> None:
    return None


def is_first_of_run(folder: str) -> bool:
    """Whether no process of this run has begun on this machine; `folder` is the step's own, below the run's."""
    if not folder:
        return True
    try:
        Path(folder).parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(Path(folder).with_name(".log-begun"), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def _handle_late(handler: logging.Handler, record: logging.LogRecord) -> None:
    """A record from the import, as if it were made now and here."""
    record.created = now = time.time()
    record.msecs = (now - int(now)) * 1000
    record.process = os.getpid()
    _emit(handler, record)


def _open_late(handler: logging.FileHandler, draft: _Draft, is_first: bool) -> None:
    is_closed = handler.stream is not draft
    if is_closed and not is_first:
        return
    try:
        stream = _open(handler)
    except OSError as error:
        raise ValueError(f"Unable to configure handler {handler.name!r}") from error
    if draft.text and is_first:
        stream.write(draft.text)
    draft.close()
    handler.stream = stream
    if isinstance(handler, logging.handlers.WatchedFileHandler):
        handler._statstream()
    if isinstance(handler, logging.handlers.TimedRotatingFileHandler):
        handler.rolloverAt = handler.computeRollover(int(Path(handler.baseFilename).stat().st_mtime))


# ---- in the place of logging's own --------------------------------------------------------------------


def _open(self: logging.FileHandler) -> Any:
    if _held is not None:
        return _held.open(self)
    mode = self.mode
    if _is_first or mode[:1] not in ("w", "x") or logs.current.running:
        return _open_file(self)
    self.mode = f"a{mode[1:]}"  # another process of this run has begun the file
    try:
        return _open_file(self)
    finally:
        self.mode = mode


def _close(self: logging.FileHandler) -> None:
    if _held is not None and isinstance(self.stream, _Draft):
        _held.close(self)
    _close_file(self)


def _handle(self: logging.Handler, record: logging.LogRecord) -> Any:
    kept: Any = self.filter(record)
    if isinstance(kept, logging.LogRecord):
        record = kept
    if kept:
        if _held is not None:
            _held.handle(self, record)
            _show_in_the_host(self, record)
        else:
            _emit(self, record)
    return kept


def _emit(handler: logging.Handler, record: logging.LogRecord) -> None:
    handler.acquire()
    try:
        if _is_for_console(handler):
            _show(handler, record)
            return
        before = logs.begin_record(record)
        try:
            handler.emit(record)
        finally:
            logs.begin_record(before)
    finally:
        handler.release()


def _show_in_the_host(handler: logging.Handler, record: logging.LogRecord) -> None:
    if logs.stderr.progress is None and _is_for_console(handler) and sys.stderr is not None:
        overheard, logs.stderr.overheard = logs.stderr.overheard, None
        sys.stderr.write(f"{record.levelname} {record.name}: {_text(handler, record)}\n")
        logs.stderr.overheard = overheard


# ---- lines of the console -----------------------------------------------------------------------------


_kinds: dict[type[logging.Handler], str] = {}


def _kind(cls: type[logging.Handler]) -> str:
    """How handlers of this class write: only those that have no way of their own are known."""
    kind = _kinds.get(cls)
    if kind is None:
        kind = _kinds[cls] = _read_kind(cls)
    return kind


def _read_kind(cls: type[logging.Handler]) -> str:
    if cls.emit is logging.StreamHandler.emit:
        return STREAM
    is_rich = any((base.__module__, base.__name__) == ("rich.logging", "RichHandler") for base in cls.__mro__)
    return RICH if is_rich and cls.emit.__module__ in ("rich.logging", "kedro.logging") else OTHER


def _is_for_console(handler: Any) -> bool:
    kind = _kind(type(handler))
    if kind == OTHER:
        return False
    return logs.is_console(handler.stream if kind == STREAM else handler.console.file)


def _show(handler: logging.Handler, record: logging.LogRecord) -> None:
    """One line for a record, however many handlers would show it."""
    last = getattr(_last, "record", None)
    if last is not None and last() is record:
        return
    _last.record = weakref.ref(record)
    try:
        text = _text(handler, record)
        if record.name != WARNINGS or logs.UNMENDABLE not in text:
            logs.write_line(record.levelname, "logging", text, record.name)
    except Exception:  # noqa: BLE001  (logging's own way: a broken log call is told on stderr, the run goes on)
        handler.handleError(record)


def _text(handler: logging.Handler, record: logging.LogRecord) -> str:
    """The message with its traceback; a formatter of the project's own says it in its words."""
    cls = type(handler.formatter or PLAIN)
    if any(getattr(cls, name) is not getattr(logging.Formatter, name) for name in LAYOUT) or (
        _names_more(getattr(handler.formatter, "_fmt", None) or "")
    ):
        return handler.format(record)
    before = record.exc_text
    text = PLAIN.format(record)
    record.exc_text = before
    if record.name == WARNINGS:
        text = text.rstrip("\n")
    if "[" in text and getattr(record, "markup", False) and _kind(type(handler)) == RICH:
        return _without_markup(text)
    return text


@functools.lru_cache
def _names_more(layout: str) -> bool:
    """Whether it shows what only the project's own calls put into a record."""
    return any(name not in SHOWN for found in FIELD.findall(layout) for name in found if name)


def _without_markup(text: str) -> str:
    from rich.markup import render  # whoever has the handler has it

    try:
        return render(text, emoji=False).plain
    except Exception:  # noqa: BLE001  (brackets that are no markup)
        return text
