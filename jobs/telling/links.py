"""Where people find the console, for what is read outside of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from django.conf import settings

LOCK: Final = "up.lock"
"""What a tree that was started in this folder left there: its process and its address."""


def served_at(var: Path) -> str:
    """Where the tree of this folder answers, or answered last; "" before its first start."""
    try:
        return str(json.loads((var / LOCK).read_text())["address"])
    except (OSError, ValueError, KeyError):
        return ""


def own_address() -> str:
    """The address that people use: the one that was set, else where `up` serves."""
    is_set = settings.CONSOLE_URL != settings.CONSOLE_DEFAULT_URL
    return str(settings.CONSOLE_URL) if is_set else served_at(settings.VAR) or settings.CONSOLE_DEFAULT_URL


def link(path: str) -> str:
    return f"{own_address()}{path}"
