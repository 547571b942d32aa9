"""Who gives a command, as the machine knows them."""

from __future__ import annotations

import getpass


def who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "command line"
