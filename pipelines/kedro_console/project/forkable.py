"""Whether a warm process may be copied: not when copies would share what a process should have for itself."""

from __future__ import annotations

import ctypes
import gc
import io
import os
import stat
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path
from types import GeneratorType
from typing import Any

from kedro_console.line import processes
from kedro_console.project import ending

NEVER_FORKED = ("torch", "tensorflow", "pyspark", "jpype", "ray")
TRIAL_SECONDS = 5.0
FORK_SAFE_THREADS = ("jemalloc",)
"""Threads of libraries that look after themselves in a fork, by the beginning of their names."""


class Before:
    """What the process held before it imported the project."""

    def __init__(self) -> None:
        self._fds = _targets()
        self._children = set(processes.children_of(os.getpid()))

    def why_not(self) -> str:
        """Why a process that has imported the project cannot be copied, as the rest of a sentence; "" when it can."""
        library = next((name for name in NEVER_FORKED if name in sys.modules), "")
        if library:
            return f"it imports {library}"
        if threading.active_count() > 1:
            return "its import starts threads"
        if set(processes.children_of(os.getpid())) - self._children - {_tracker("_pid")}:
            return "its import starts processes"
        return self._opened() or _temporary_folder() or _native_threads()

    def _opened(self) -> str:
        files = [each for each in gc.get_objects() if issubclass(type(each), io.FileIO)]
        readers = {each.fileno() for each in files if not each.closed}
        skipped = {*ending.handler_files(), _tracker("_fd"), *range(3)}
        for fd, target in _targets().items():
            if fd in skipped or self._fds.get(fd) == target:
                continue
            if ending.is_file(fd) and (fd in readers or ending.is_written(fd)):
                return f"its import opens {target} and keeps it open"
            if not ending.is_file(fd) and _is_line(fd):
                return "its import opens a connection"
        return ""


def _targets() -> dict[int, str]:
    return {fd: ending.target(fd) for fd in ending.open_fds()}


def _is_line(fd: int) -> bool:
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return False
    return stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode)


def _tracker(name: str) -> Any:
    """The process (or pipe) in which multiprocessing watches over shared memory: all copies may use the same one."""
    module = sys.modules.get("multiprocessing.resource_tracker")
    return getattr(getattr(module, "_resource_tracker", None), name, None)


def _temporary_folder() -> str:
    return "its import makes a temporary folder" if temporary_folders() else ""


def temporary_folders() -> list[Any]:
    """The finalizers of the temporary folders that this process would remove at its end."""
    known = dict(getattr(weakref.finalize, "_registry", {}))
    cleanup = getattr(tempfile.TemporaryDirectory, "_cleanup", None)
    return [each for each, info in known.items() if getattr(info, "func", None) == cleanup]


def _native_threads() -> str:
    """Threads that a fork leaves behind: those of a library that knows forks are gone after the first one."""
    if _count_threads() == 1:
        return ""
    pid = ctypes.PyDLL(None).fork()  # not Python's: what the project does at a fork is for its steps
    if pid == 0:
        os._exit(0)
    deadline = time.monotonic() + TRIAL_SECONDS
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            processes.kill(pid)
            os.waitpid(pid, 0)
            return "a copy of it does not start"
        time.sleep(0.001)
    return "its import starts threads of a library" if _count_threads() > 1 else ""


def _count_threads() -> int:
    return sum(not name.startswith(FORK_SAFE_THREADS) for name in map(_name, Path("/proc/self/task").iterdir()))


def _name(task: Path) -> str:
    try:
        return (task / "comm").read_text("utf-8", "replace")
    except OSError:
        return ""


def acts_at_its_end(project_path: Path) -> bool:
    """Whether something made by now does something of its own when it dies; to be asked before `gc.freeze`."""
    library: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())
    for each in gc.get_objects():
        if type(each) is GeneratorType:  # not isinstance, which wakes lazy objects
            is_its_own = each.gi_code.co_filename.startswith(f"{project_path}{os.sep}")
        else:
            is_its_own = ending.acts_at_its_end(type(each)) and type(each).__module__.partition(".")[0] not in library
        if is_its_own and ending.is_unfinished(each):
            return True
    return False
