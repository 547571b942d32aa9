"""Makes Python load what is in a source file, not what was compiled from an earlier text of it.

Python trusts compiled code whose note of the source's size and second fits. An edit of the same size within a second,
or one whose old time was put back, leaves them as they were; the time of the inode's last change tells it.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
from collections.abc import Callable
from typing import Any

from kedro_console.project import record

_plain: list[Callable[[Any, str], Any]] = []


def distrust_old_bytecode() -> None:
    """Of the project's own sources only code counts that was compiled after the source was last touched."""
    loader: Any = importlib.machinery.SourceFileLoader
    if not _plain:
        _plain.append(loader.path_stats)
        loader.path_stats = _path_stats


def _path_stats(loader: Any, path: str) -> Any:
    known = _plain[0](loader, path)
    if record.is_own(path) and not _is_younger(path):
        known["size"] = -1  # fits no compiled file: it is compiled again, and written with the true size
    return known


def _is_younger(path: str) -> bool:
    """Whether the compiled code was written after the source came to be what it is."""
    try:
        return os.stat(importlib.util.cache_from_source(path)).st_mtime_ns > os.stat(path).st_ctime_ns
    except (OSError, NotImplementedError, ValueError):
        return True  # nothing is compiled
