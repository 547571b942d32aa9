"""What a look at the ground found lately: a page gets the last one, and does not wait for the next."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from django.core.cache import cache
from django.db import connections

from jobs.insight.examine import Finding

logger: Final = logging.getLogger(__name__)
FRESH_SECONDS: Final = 10.0
"""Many open pages must not ask the broker and the disks all the time."""
OLD_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 0.2
"""So long a page waits for a look when nobody has looked for so long."""
LOOKING: Final[dict[str, threading.Thread]] = {}
LOCK: Final = threading.Lock()

Look = Callable[[], list[Finding]]


def lately(name: str, look: Look) -> list[Finding]:
    """Only the first page of a process waits for a whole look: it asks other machines, and takes its turn to write."""
    known: tuple[float, list[Finding]] | None = cache.get(name)
    if known is None:
        return _look(name, look)
    age = time.monotonic() - known[0]
    if age < FRESH_SECONDS:
        return known[1]
    thread = _begun(name, look)
    if age >= OLD_SECONDS:
        thread.join(PATIENCE_SECONDS)
    return (cache.get(name) or known)[1]


def _look(name: str, look: Look) -> list[Finding]:
    found = look()
    cache.set(name, (time.monotonic(), found), None)
    return found


def _begun(name: str, look: Look) -> threading.Thread:
    """The one thread that looks."""
    with LOCK:
        thread = LOOKING.get(name)
        if thread is None or not thread.is_alive():
            thread = LOOKING[name] = threading.Thread(target=_aside, args=(name, look), daemon=True)
            thread.start()
        return thread


def _aside(name: str, look: Look) -> None:
    try:
        _look(name, look)
    except Exception:
        logger.exception("The look at what runs stand on failed; pages show what was found before.")
    finally:
        connections.close_all()
