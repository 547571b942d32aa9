"""The end of a step's process, as an interpreter's end: what is closed there is closed here too.

Threads are joined and exit handlers run. What is still open then is only completed by the interpreter itself, when it
takes its objects apart: a file whose writer nobody has closed, an object that acts when it dies. Without such a sign
the process ends at once, which is far cheaper.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import inspect
import io
import logging
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from itertools import compress
from pathlib import Path
from types import CoroutineType, GeneratorType
from typing import Any, NoReturn

from kedro_console.words import logs

IN_MEMORY = (io.BytesIO, io.StringIO, tempfile.SpooledTemporaryFile, logs.Stream)
HARMLESS = (*IN_MEMORY, subprocess.Popen, socket.socket, type(os.scandir(Path(__file__).parent)))
"""Types that have something to do when they die, of which nothing is seen from outside that `os._exit` would not do."""
HARMLESS_MODULES = ("asyncio", "_asyncio")
PAUSED: dict[type, Callable[[Any], str]] = {
    GeneratorType: inspect.getgeneratorstate,
    CoroutineType: inspect.getcoroutinestate,
}
STANDARD_FDS = 2


def close_up() -> None:
    """The first half of an interpreter's end: its threads are joined and its exit handlers run."""
    for act in (getattr(threading, "_shutdown", None), getattr(atexit, "_run_exitfuncs", None)):
        if act is not None:
            with contextlib.suppress(BaseException):  # it has told its errors itself; also SystemExit changes nothing
                act()
    with contextlib.suppress(BaseException):
        logs.finish()


def unfinished() -> str:
    """What only the end of the interpreter completes, in a few words; "" when nothing of that kind is left."""
    if not _seen():
        return ""
    gc.collect()
    return _seen()


def keep_streams() -> None:
    """Lets stdout and stderr work to the last: the interpreter empties only the modules that it still knows."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "kedro_console"]:
        del sys.modules[name]


def leave_now(code: int) -> NoReturn:
    """Ends the process; nothing is left that an interpreter's end would complete."""
    os._exit(code)


def _seen() -> str:
    return _open_files() or _open_objects()


# ---- files -----------------------------------------------------------------------------------------


def _open_files() -> str:
    """Ordinary files that are open for writing, whoever opened them; a log handler writes each line at once."""
    of_handlers = handler_files()
    for fd in open_fds():
        if fd > STANDARD_FDS and fd not in of_handlers and is_written(fd):
            return f"the file {target(fd)} is open"
    return ""


def open_fds() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  (names only)


def is_written(fd: int) -> bool:
    """Whether it is an ordinary file, with a name, that is open for writing."""
    return is_file(fd) and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


def is_file(fd: int) -> bool:
    try:
        found = os.fstat(fd)
    except OSError:  # the one that listed them
        return False
    return stat.S_ISREG(found.st_mode) and found.st_nlink > 0


def target(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115  (no file of the disk)
    except OSError:
        return "?"


def handler_files() -> set[int]:
    """The files of logging's handlers."""
    found: set[int] = set()
    for reference in list(getattr(logging, "_handlerList", [])):
        handler = reference() if isinstance(reference, weakref.ref) else reference
        stream = getattr(handler, "stream", None)
        with contextlib.suppress(Exception):
            if isinstance(handler, logging.FileHandler) and stream is not None:
                found.add(stream.fileno())
    return found


# ---- objects ---------------------------------------------------------------------------------------


def _open_objects() -> str:
    """Objects that act when they die: writers without a file of their own, suspended generators, any `__del__`."""
    known = gc.get_objects()
    acting = _acting(known)
    for each in acting:
        if is_unfinished(each):
            return f"an object of type {type(each).__name__} is not closed"
    return ""


def _acting(known: list[Any]) -> list[Any]:
    """Those whose class acts at its end. Asked at each step: no loop of Python's own over all."""
    try:
        acting = {cls for cls in set(map(type, known)) if acts_at_its_end(cls)}
        return list(compress(known, map(acting.__contains__, map(type, known))))
    except Exception:  # noqa: BLE001  (a metaclass may forbid to compare or to hash its classes)
        return [each for each in known if acts_at_its_end(type(each))]


def acts_at_its_end(cls: type) -> bool:
    if not any("__del__" in vars(each) for each in cls.__mro__):
        return False
    return not (_is_one_of(cls, HARMLESS) or str(cls.__module__).partition(".")[0] in HARMLESS_MODULES)


def _is_one_of(cls: type, known: tuple[type, ...]) -> bool:
    """As `issubclass`, but nothing of the class's own is asked: its metaclass may forbid to compare or to hash it."""
    return any(base is each for base in cls.__mro__ for each in known)


def is_unfinished(each: Any) -> bool:
    """Whether this object, whose type acts at its end, still has something to do then."""
    for cls, state_of in PAUSED.items():
        if type(each) is cls:
            return state_of(each).endswith("SUSPENDED")
    try:
        if getattr(each, "closed", False) is True:
            return False
        return _holds_data(each) if issubclass(type(each), io.IOBase) else True
    except Exception:  # noqa: BLE001  (a foreign class may do anything)
        return True


def _holds_data(each: io.IOBase) -> bool:
    """Of what is open: whether it writes, and to what nobody has looked at as a file."""
    if not each.writable():
        return False
    try:
        fd = each.fileno()
    except (OSError, AttributeError):
        return True
    if fd <= STANDARD_FDS or is_file(fd):
        return False
    return not isinstance(each, io.RawIOBase) and not stat.S_ISCHR(os.fstat(fd).st_mode)
