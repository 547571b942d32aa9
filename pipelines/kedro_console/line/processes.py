"""Processes as Linux shows them in /proc: who descends from whom, how much memory they hold, and how to end them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

STATFS_BYTES = 512  # more than the structure has on any machine; the kind comes first

_libc = ctypes.CDLL(None, use_errno=True)


def signal_at_parents_death(number: int) -> None:
    """Asks the kernel for that signal when the thread that started this process ends."""
    _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def adopt_orphans() -> None:
    """Descendants that lose their parent become children of this process instead of init's."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def hold_interrupts() -> None:
    """Around the birth of a child: an interrupt that comes too early waits until the child can be interrupted."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def hear_interrupts() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def open_notices() -> int:
    """An inotify instance that never blocks; -1 when the kernel gives none."""
    return int(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))


def watch(fd: int, path: str, events: int) -> bool:
    """Has an inotify instance tell of these events there; False when it cannot."""
    return bool(_libc.inotify_add_watch(fd, os.fsencode(path), events) >= 0)


def file_system(path: str) -> int:
    """The kind of file system that a path is on, as the kernel numbers it; 0 when that cannot be told."""
    found = ctypes.create_string_buffer(STATFS_BYTES)
    if _libc.statfs(os.fsencode(path), found):
        return 0
    return ctypes.c_long.from_buffer(found).value & 0xFFFFFFFF


def children_of(pid: int) -> list[int]:
    """The direct children of a process; [] when it is gone."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  (names only, ten times a second)
        found: list[int] = []
        for task in tasks:
            found += map(int, _read(f"/proc/{pid}/task/{task}/children").split())
    except FileNotFoundError:
        return [] if not Path(f"/proc/{pid}").exists() else _children_by_scan(pid)
    except (ProcessLookupError, PermissionError):
        return []
    return found


def _children_by_scan(parent: int) -> list[int]:
    """For kernels without /proc/PID/task/TID/children."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208
        with contextlib.suppress(OSError, IndexError, ValueError):
            if name.isdigit() and int(_read(f"/proc/{name}/stat").rpartition(b")")[2].split()[1]) == parent:
                found.append(int(name))
    return found


def tree(pid: int) -> list[int]:
    """That process and all its descendants, parents first."""
    found, seen = [pid], {pid}
    for each in found:  # grows while it is read
        fresh = [child for child in children_of(each) if child not in seen]
        seen.update(fresh)
        found += fresh
    return found


def memory_bytes(pids: list[int]) -> int:
    """Resident memory of these processes together; pages they share count for each."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            total += int(_read(f"/proc/{pid}/statm").split()[1]) * PAGE_BYTES
    return total


def cpu_ticks(pids: list[int]) -> int:
    """Processor time that these processes have used so far."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            total += sum(map(int, _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[11:13]))
    return total


def peak_bytes(pid: int) -> int:
    """The most resident memory that this process ever had, or has had since `forget_peak`; 0 when it is gone."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(_read(f"/proc/{pid}/status").partition(b"VmHWM:")[2].split()[0]) * 1024
    return 0


def forget_peak(pid: int) -> bool:
    """From now on the peak is counted again; False where the kernel does not do that."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def data_bytes() -> int:
    """The private writable memory of this process, as RLIMIT_DATA counts it."""
    return int(_read("/proc/self/statm").split()[5]) * PAGE_BYTES


def available_bytes() -> int:
    """The machine's memory that is free, or can be freed at once."""
    found = [line for line in _read("/proc/meminfo").splitlines() if line.startswith(b"MemAvailable:")]
    return int(found[0].split()[1]) * 1024 if found else 0


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def kill_group(group: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def is_group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 65_536)
    finally:
        os.close(fd)
