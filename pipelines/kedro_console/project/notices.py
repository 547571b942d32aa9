"""The kernel's word that nothing has been written in some folders: cheaper than a look at each of their files.

It tells of what this machine writes to its own file systems; for what others can write to there are no notices.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from kedro_console.line import processes

MODIFY, ATTRIB, CLOSE_WRITE, MOVED, CREATE, DELETE, DELETE_SELF, MOVE_SELF = 2, 4, 8, 0xC0, 0x100, 0x200, 0x400, 0x800
WRITTEN = MODIFY | ATTRIB | CLOSE_WRITE | MOVED | CREATE | DELETE | DELETE_SELF | MOVE_SELF
LOCAL = {
    0xEF53: "ext2, ext3, ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x2FC12FC1: "zfs",
    0xF2F52010: "f2fs",
    0xCA451A4E: "bcachefs",
    0x01021994: "tmpfs",
    0x794C7630: "overlay",
}
"""File systems that no other machine writes to, by the number that the kernel gives their kind."""
BLOCK = 65_536


class Notices:
    """Of the folders in which these files lie. Without them, `are_quiet` is never true."""

    def __init__(self, files: Iterable[str]) -> None:
        self.fd = processes.open_notices()
        self._is_whole = self.fd >= 0 and all(
            processes.file_system(place) in LOCAL and processes.watch(self.fd, place, WRITTEN)
            for place in _places(files)
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
