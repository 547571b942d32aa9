"""Before a file of somebody else is looked at: little memory and time, no path that opens, and no network.

It is what the kernel gives here: limits everywhere, Landlock and a namespace of its own without a network where it has
them. The engine reads through files that are open already.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from contextlib import suppress
from typing import Final

ADDRESSES: Final = 8_000_000_000
"""Of address space, most of which is never touched; what is in use is watched from outside."""
CPU_SECONDS: Final = 180
FILE_BYTES: Final = 2_000_000_000
OPEN_FILES: Final = 64
NICENESS: Final = 5
CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000
PR_SET_NO_NEW_PRIVS: Final = 38
CREATE_RULESET, RESTRICT_SELF = 444, 446  # the same numbers on every machine
ALL_ACCESS: Final = (1 << 13) - 1
"""To files and folders, as Landlock's first version knows it; nothing is allowed of it."""


def confine() -> None:
    """Once all that is needed is loaded, and before there is a second thread."""
    for name, most in (
        ("RLIMIT_AS", ADDRESSES),
        ("RLIMIT_CPU", CPU_SECONDS),
        ("RLIMIT_FSIZE", FILE_BYTES),
        ("RLIMIT_NOFILE", OPEN_FILES),
        ("RLIMIT_CORE", 0),
    ):
        if limit := getattr(resource, name, None):
            with suppress(ValueError, OSError):
                resource.setrlimit(limit, (most, most))
    with suppress(OSError):
        os.nice(NICENESS)
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None, use_errno=True)
        library.unshare(CLONE_NEWUSER | CLONE_NEWNET)
        _open_nothing(library)


def _open_nothing(library: ctypes.CDLL) -> None:
    rules = struct.pack("=Q", ALL_ACCESS)
    number = library.syscall(CREATE_RULESET, rules, len(rules), 0)
    if number < 0:
        return
    if library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        library.syscall(RESTRICT_SELF, number, 0)
    os.close(number)
