"""Worker and beat tell their own machine that they live, whether the database does or not: by the age of a file.

Of the standard library alone: a probe that asks each few seconds must not load all of the console.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import Final

ROLES: Final = ("worker", "beat")
STALE_SECONDS: Final = 90.0
"""Longer than one question to a database that is away may take."""
TELL_SECONDS: Final = 1.0


class Pulse:
    """What a process of this role tells; every process has a file of its own, beside the sockets of its machine."""

    def __init__(self, role: str, var: Path) -> None:
        self._file = folder(var) / f"{role}-{os.getpid()}"
        self._told_at = float("-inf")

    def tell(self) -> None:
        """We live. Cheap enough for every turn of a loop."""
        if time.monotonic() - self._told_at < TELL_SECONDS:
            return
        self._told_at = time.monotonic()
        self._file.parent.mkdir(mode=0o700, exist_ok=True)
        if not self._file.exists():
            self._file.write_text(began(os.getpid()))
        self._file.touch()

    def end(self) -> None:
        self._file.unlink(missing_ok=True)


def folder(var: Path) -> Path:
    """Of this user, this machine (or container) and this console."""
    digest = hashlib.sha256(str(var.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"kc-pulse-{os.getuid()}-{digest}"


def silence(role: str, var: Path) -> str:
    """Why this role is not alive on this machine, "" when it is: one that lives and is silent counts for none."""
    ages = [age for file in folder(var).glob(f"{role}-*") if (age := _age(file)) is not None]
    if not ages:
        return f"There is no {role} of this console on this machine."
    oldest = max(ages)
    return f"The {role} has been silent for {oldest:.0f} s." if oldest > STALE_SECONDS else ""


def main(words: list[str], var: Path) -> int:
    """`alive worker|beat`: 0 when it is, 1 and the reason when not, 2 for wrong use."""
    if len(words) != 1 or words[0] not in ROLES:
        print("Write `alive worker` or `alive beat`; the pages answer at /live and /ready.")  # noqa: T201
        return 2
    if why := silence(words[0], var):
        print(why)  # noqa: T201 - for who watches
    return int(bool(why))


def _age(file: Path) -> float | None:
    """Seconds since it was told; None when its process is gone, or its number is another's by now."""
    try:
        told, noted = file.stat().st_mtime, file.read_text()
    except OSError:
        return None
    pid = int(file.name.rpartition("-")[2])
    return time.time() - told if _is_running(pid) and noted == began(pid) else None


def began(pid: int) -> str:
    """When the process of this number began, in the kernel's count; "" where nobody says."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def mark() -> str:
    """What tells this process from every other of any machine: kernel, pid namespace, number and beginning.

    "" where that cannot be told.
    """
    where, began_at = _where(), began(os.getpid())
    return f"{where} {os.getpid()} {began_at}" if where and began_at else ""


def is_dead(marked: str) -> bool:
    """Whether the process with this mark is certainly gone; False where only another machine could know."""
    where, _, process = marked.rpartition(" ")[0].rpartition(" ")
    if not where or where != _where():
        return False
    pid = int(process)
    return not _is_running(pid) or began(pid) not in ("", marked.rpartition(" ")[2]) or _state(pid) in ("Z", "X")


def _where() -> str:
    """This start of this kernel, and this one's own count of processes: a container has its own."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
