"""Keep our memory and environment to ourselves: they hold the keys, and a project's code runs as the same user."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

from console.env import ENV
from jobs.errors import PlatformError
from jobs.interpreters.confine import CANNOT_SWITCH, may_switch

PR_SET_DUMPABLE: Final = 4
PR_SET_NAME: Final = 15


def be_private() -> None:
    """From now on no process of this user looks into this one (`/proc/PID/environ`, ptrace), and no core is written."""
    _prctl(PR_SET_DUMPABLE, 0)


def be_alone() -> None:
    """With CONSOLE_RUN_AS nobody else may read what this process writes; PlatformError when it cannot switch users."""
    if ENV.run_as is None:
        return
    if not may_switch():
        raise PlatformError(CANNOT_SWITCH.format(ENV.run_as.name))
    os.umask(0o077)


def be_named(name: str) -> None:
    """The name that `ps` shows; a private process may not write it into its own /proc."""
    _prctl(PR_SET_NAME, ctypes.create_string_buffer(name.encode()[:15]))


def _prctl(option: int, value: object) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
