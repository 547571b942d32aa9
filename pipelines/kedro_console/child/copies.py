"""Copies of what passes between the nodes of a run in one process, kept on disk while that costs little.

The run itself uses its values as ever; when it does not succeed, a later one goes on with the copies.
"""

from __future__ import annotations

import copyreg
import os
import pickle
import shutil
import sys
import threading
import time
import uuid
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from kedro_console import wire
from kedro_console.child import kept_values
from kedro_console.child.store import is_in_memory
from kedro_console.line import processes
from kedro_console.project import record
from kedro_console.reading.registry import is_parameter

FLOOR_SECONDS = 0.02
SHARE = 0.05
"""Of the run's time that copies may take, beyond the first moments."""
ROOM = 4
"""How many times what copies may still take has to be free on their disk."""
RAM_SHARE = 0.6
"""Of a memory limit: beyond it nothing is copied, as a copy takes memory while it is written."""
LAZY = frozenset({"ibis", "pyspark", "dask", "sqlalchemy", "snowflake", "duckdb", "torch", "tensorflow", "jax",
                  "polars"})  # fmt: skip
"""Libraries whose values may be a question still to be asked, or be elsewhere than in memory."""


WAYS = ("__reduce_ex__", "__reduce__", "__getstate__", "__getnewargs_ex__", "__getnewargs__",
        "__getattr__", "__getattribute__", "__dict__", "__iter__", "items")  # fmt: skip
"""What of a class is asked while one of its values is pickled."""


class TooMuch(Exception):
    """A copy that would cost more than it may."""


class Copies:
    """The hooks that keep them, within so many bytes and a small share of the run's time."""

    def __init__(self, folder: Path, limit_bytes: int, memory_limit_bytes: int = 0) -> None:
        self._folder, self._left = folder, limit_bytes
        self._most_memory = int(memory_limit_bytes * RAM_SHARE)
        self._began, self._spent = time.monotonic(), 0.0
        self._lock = threading.Lock()
        self._in_memory: set[str] = set()
        self._seen: set[str] = set()

    @hook_impl
    def before_pipeline_run(self, pipeline: Any, catalog: Any) -> None:
        self._began = time.monotonic()
        with suppress(Exception):  # a dataset that cannot be made is the run's business, not ours
            names = (name for name in pipeline.all_outputs() if not is_parameter(name))
            self._in_memory = {name for name in names if is_in_memory(catalog, name)}

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """What is saved piece by piece is no one value; whatever goes wrong here is none of the run's business."""
        if dataset_name not in self._in_memory:
            return
        with self._lock, suppress(Exception):  # too much, or a value that cannot be copied: resuming says so
            began = time.monotonic()
            try:
                if dataset_name in self._seen:
                    (self._folder / wire.store_file(dataset_name)).unlink(missing_ok=True)
                else:
                    self._seen.add(dataset_name)
                    self._copy(wire.store_file(dataset_name), data, began)
            finally:
                self._spent += time.monotonic() - began

    def drop(self) -> None:
        """The run has succeeded: nothing goes on from here."""
        if self._seen:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _copy(self, name: str, data: Any, began: float) -> None:
        until = began + FLOOR_SECONDS + SHARE * (began - self._began) - self._spent
        if until <= began or self._is_lazy(data) or kept_values.plain_bytes(data) > self._left or self._is_full():
            return
        if not self._has_room():
            return
        part = self._folder / f".{uuid.uuid4().hex}.part"
        try:
            with part.open("xb") as file:
                bounded = _Bounded(file, self._left, until)
                _Quiet(bounded, protocol=pickle.HIGHEST_PROTOCOL).dump(data)
            part.replace(self._folder / name)
            self._left = bounded.left
        finally:
            part.unlink(missing_ok=True)

    def _has_room(self) -> bool:
        """Make the folder on a disk that has room: copies must not take the place of what the run leaves."""
        self._folder.mkdir(parents=True, exist_ok=True)
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize > ROOM * self._left

    @staticmethod
    def _is_lazy(data: Any) -> bool:
        return any(cls.__module__.partition(".")[0] in LAZY for cls in type(data).__mro__)

    def _is_full(self) -> bool:
        return bool(self._most_memory) and processes.data_bytes() > self._most_memory


class _Quiet(pickle.Pickler):
    """Breaks off at an object that the project's own code would have a say in: it may print, count, or open files."""

    def reducer_override(self, value: Any) -> Any:
        kind: Any = type(value)
        if _speaks(kind):
            raise TooMuch
        return NotImplemented


@lru_cache(maxsize=4096)
def _speaks(cls: type) -> bool:
    """Whether pickling one of these runs code that is not of an installed package."""
    ways = (vars(base)[name] for base in cls.__mro__ for name in WAYS if name in vars(base))
    return any(_is_own(_module(way)) for way in (*ways, copyreg.dispatch_table.get(cls)))


def _module(way: Any) -> str:
    return getattr(getattr(way, "fget", way), "__module__", None) or ""


def _is_own(module: str) -> bool:
    file = getattr(sys.modules.get(module), "__file__", None)
    return isinstance(file, str) and record.is_own(os.path.abspath(file))  # noqa: PTH100 - links stay, as `record` has them


class _Bounded:
    """A file that takes so many bytes, until then."""

    def __init__(self, file: Any, left: int, until: float) -> None:
        self._file, self.left, self._until = file, left, until

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.left -= size
        if self.left < 0 or time.monotonic() > self._until:
            raise TooMuch
        self._file.write(data)
        return size
