"""One tree per var/: its parent holds a lock that ends with it, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from jobs.errors import RequestError
from jobs.telling.links import LOCK


class AlreadyUp(RequestError):
    """Another tree lives in this folder; the sentence says where it answers and how it is stopped."""


def take(var: Path, address: str) -> int:
    """The descriptor of the lock; it is ours until the process that inherits it ends. AlreadyUp names the holder."""
    file = var / LOCK
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise AlreadyUp(_sentence(file)) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps({"pid": os.getpid(), "address": address}).encode())
    os.set_inheritable(descriptor, True)
    return descriptor


def give(held: int) -> None:
    os.close(held)


def _sentence(file: Path) -> str:
    try:
        holder = json.loads(file.read_text())
    except ValueError:
        return f"Kedro Console is just being started from {file.parent}: wait a moment."
    return (
        f"Kedro Console already runs on {holder['address']} (process {holder['pid']}): "
        f"stop it with Ctrl-C there or `kill {holder['pid']}`, or start another with its own CONSOLE_VAR and PORT."
    )
