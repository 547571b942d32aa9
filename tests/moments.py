"""Tests at a moment of their own, whichever clock is asked for it: the process's, or the database's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from unittest.mock import patch

import time_machine

from jobs import clock


@contextmanager
def at_moment(when: datetime) -> Iterator[None]:
    with time_machine.travel(when, tick=False), patch.object(clock, "now", return_value=when):
        yield
