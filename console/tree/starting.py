"""What `up` still has to do before runs can start: told by whoever does it, and forgotten with that process."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

NAME: Final = "starting.lock"


def begin(var: Path, left: Sequence[str]) -> int:
    """The descriptor that stands for "not ready yet", with a sentence for each thing that is left to do.

    It holds until it is closed, or the last process that has it ends, however it ends.
    """
    descriptor = os.open(var / NAME, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    tell(descriptor, left)
    return descriptor


def tell(descriptor: int, left: Sequence[str]) -> None:
    """Only this is left to do."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(list(left)).encode(), 0)


def left(var: Path) -> list[str]:
    """What is left to do, a sentence each; [] when nobody starts anything."""
    try:
        descriptor = os.open(var / NAME, os.O_RDONLY)
    except OSError:
        return []
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return []
    except OSError:
        return _read(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> list[str]:
    try:
        found = json.loads(os.pread(descriptor, 10_000, 0))
    except ValueError:  # it is being written
        found = []
    return [str(each) for each in found] or ["The console is being started."]
