"""An upgrade under a beat that ticks: no due time is lost, and none starts twice, whatever kind of rule it has."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests import live

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]
OUTAGE = 29.0
"""Seconds; due times that are later than half a minute are made up for as their schedule says."""
SLACK = 0.7
"""Seconds that may pass, on a busy machine, between a start of the beat before and its note of it."""


class Database:
    """A database of its own, which begins as the version before left it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "old.sqlite3"
        self.settings = {"DATABASE_URL": f"sqlite:///{self.file}"}

    def process(self, *command: str) -> Any:
        return live.process(sys.executable, *command, log=self.folder / "log.txt", **self.settings)

    def run(self, *command: str) -> None:
        subprocess.run(
            [sys.executable, *command], env=live.environment(**self.settings), cwd=live.ROOT, check=True, timeout=120
        )

    def one(self, question: str) -> Any:
        with closing(sqlite3.connect(self.file, timeout=20)) as link:
            return link.execute(question).fetchone()[0]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with live.redis():
        yield Database(tmp_path)


def minutes(database: Database) -> int:
    return int(database.one("SELECT COUNT(DISTINCT due_at) FROM jobs_run WHERE cause_detail LIKE 'each minute%'"))


def test_thirty_schedules_of_the_version_before_lose_nothing_while_beat_ticks(database: Database) -> None:
    earlier, told = "tests.e2e.earlier", database.folder / "told.json"
    database.run("-m", earlier, "make", str(told))
    with ExitStack() as stack:
        old = stack.enter_context(database.process("-m", earlier, "beat", str(told)))
        live.until(lambda: minutes(database) == 1, seconds=100, what="a minute begins under the old beat")
        new = stack.enter_context(database.process("-m", "console", "beat"))  # it waits for its tables
        database.run("manage.py", "migrate", "--verbosity", "0")
        starter = stack.enter_context(database.process("-m", earlier, "begin", str(told)))
        live.until(lambda: database.one("SELECT COUNT(*) FROM jobs_lead WHERE holder != ''"), what="the new beat leads")
        led_at = time.time()
        live.end(old)
        live.until(lambda: minutes(database) == 2, seconds=100, what="a minute begins under the new beat")
        live.end(new)
        live.end(starter)
    came_of: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    assert len(came_of) == 30
    faults = {name: why for name, facts in came_of.items() if (why := fault(name, facts, led_at))}
    assert faults == {}


def fault(name: str, facts: dict[str, Any], led_at: float) -> str:
    """What is wrong with what came of a schedule; "" when all is right.

    Where the tables took so long to change that it counts as an outage, the newest of its due times starts alone.
    """
    runs, ticks = facts["runs"], facts["ticks"]
    dues = [due for _, _, due in runs]
    if name.startswith("off"):
        return "" if not runs and all(tick[1] == "paused" for tick in ticks) else f"{runs}, {ticks}"
    missed = [tick for tick in ticks if tick[1] == "missed"]
    ticks = [tick for tick in ticks if tick not in missed]
    if missed and led_at - missed[0][0] < OUTAGE:
        return f"missed although a beat was there: {missed}"
    if lost := [tick for tick in ticks if tick[2] is None]:
        return f"due times without a run: {lost}"
    if name.startswith(("not now", "the sun")):
        return f"{len(runs)} runs" if runs else ""
    if name.startswith(("once before", "the first time only")):
        return "" if len(runs) == 1 else f"{len(runs)} runs instead of one"
    if name == "once after":
        return "" if len(runs) == (1 if dues else 0) else f"{len(runs)} runs"
    if name.startswith("each minute"):
        steps = [after - before for before, after in pairwise(dues)]
        return "" if set(steps) == {60.0} else f"minutes apart: {steps}"
    return uneven(float(name.split()[1]), facts, ticks)


def uneven(seconds: float, facts: dict[str, Any], ticks: list[Any]) -> str:
    """The due times follow a start of the beat before, or begin with its first, without a gap; each has its own run.

    That beat counted an interval from its last start: while the tables change, one may come late, and moves the next.
    """
    runs = facts["runs"]
    starts = [created for _, created, _ in runs]
    of_ticks = [tick[2] for tick in ticks]
    alone = [created for number, created, _ in runs if number not in of_ticks]
    dues = [due for due, _, _ in facts["ticks"]]
    apart = {round(after - before, 3) for before, after in pairwise(dues)} - {seconds}
    twice = [due for due, _, _ in ticks for created in alone if abs(created - due) < seconds / 2 - SLACK]
    early = [gap for before, after in pairwise(alone) if (gap := after - before) < seconds - SLACK]
    follows = any(abs(dues[0] - seconds - created) < SLACK for created in starts) or abs(dues[0] - starts[0]) < SLACK
    if apart or twice or early or not follows or len(set(of_ticks)) < len(of_ticks):
        return f"apart {apart}, twice {twice}, early {early}, starts {starts}, ticks {ticks}"
    return ""
