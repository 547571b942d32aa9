"""The kernel's word that nothing has been written in some folders: cheaper than a look at each of their files.

It tells of what this machine writes to its own file systems; for what others can write to there are no notices.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from kedro_console import processes

MODIFY, ATTRIB, CLOSE_WRITE, MOVED, CREATE, DELETE, DELETE_SELF, MOVE_SELF = 2, 4, 8, 0xC0, 0x100, 0x200, 0x400, 0x800
WRITTEN = MODIFY | ATTRIB | CLOSE_WRITE | MOVED | CREATE | DELETE | DELETE_SELF | MOVE_SELF
LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "tmpfs", "overlay"})
MOUNTS = Path("/proc/self/mountinfo")
BLOCK = 65_536


class Notices:
    """Of the folders in which these files lie. Without them, `are_quiet` is never true."""

    def __init__(self, files: Iterable[str]) -> None:
        self.fd = processes.open_notices()
        mounts = _mounts()
        self._is_whole = self.fd >= 0 and all(
            _is_local(place, mounts) and processes.watch(self.fd, place, WRITTEN) for place in _places(files)
        )
        if not self._is_whole:
            self.close()

    def are_quiet(self) -> bool:
        """Whether nothing was told since this was asked last; the first time, since they were made."""
        if not self._is_whole:
            return False
        is_quiet = True
        try:
            while os.read(self.fd, BLOCK):
                is_quiet = False
        except BlockingIOError:
            return is_quiet
        except OSError:
            self.close()
        return False

    def close(self) -> None:
        self._is_whole = False
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _places(files: Iterable[str]) -> set[str]:
    """The folders to watch, and each file that can be written by another name as well."""
    found = set()
    for path in files:
        folder = os.path.dirname(path)
        try:
            named = os.lstat(path)
        except OSError:
            found.add(folder)
            continue
        if os.path.islink(path):
            target = os.path.realpath(path)
            found |= {folder, os.path.dirname(target), target}
        elif named.st_nlink > 1:
            found |= {folder, path}
        else:
            found.add(folder)
    return found


def _mounts() -> dict[str, str]:
    """Where each file system of this process is mounted, and of which type it is; the last one there counts."""
    found = {}
    for line in MOUNTS.read_text("utf-8", "replace").splitlines():
        words, _, rest = line.partition(" - ")
        found[words.split()[4].encode().decode("unicode_escape")] = rest.split()[0]
    return found


def _is_local(path: str, mounts: dict[str, str]) -> bool:
    place = Path(os.path.realpath(path))
    return next((mounts[str(each)] for each in (place, *place.parents) if str(each) in mounts), "") in LOCAL
