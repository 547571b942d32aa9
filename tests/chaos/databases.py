"""What can go wrong with a database, by its kind; and patience with one that it went wrong with."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import psycopg
from django.db import Error, connection

T = TypeVar("T")

HOLD: Final = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
held.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
held.execute("ROLLBACK")
"""


def is_postgres() -> bool:
    return connection.vendor == "postgresql"


def patiently(ask: Callable[[], T], *, seconds: float = 120) -> T:
    """The answer of a database that may be locked or cut off for a while."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except (Error, psycopg.Error):
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def lock(seconds: float) -> None:
    """Nobody else writes (on PostgreSQL: nobody touches the steps) for so long; returns after it."""
    if is_postgres():
        with _other() as other, other.transaction():
            other.execute("LOCK TABLE jobs_step IN ACCESS EXCLUSIVE MODE")
            time.sleep(seconds)
    else:
        database = str(connection.settings_dict["NAME"])
        subprocess.run([sys.executable, "-c", HOLD, database, str(seconds)], check=False)


def cut_off() -> None:
    """End every session of the PostgreSQL database but this one, as a restart does."""
    with _other() as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


class Server:
    """The PostgreSQL server on this machine that holds our database; its processes are stopped and started again."""

    def __init__(self) -> None:
        with _other() as session:
            row = session.execute("SHOW data_directory").fetchone()
        assert row is not None
        self._folder = Path(str(row[0]))
        written = (self._folder / "postmaster.opts").read_text()  # the program as it is, its options quoted
        program, options = re.split(r'(?= ")', written.strip(), maxsplit=1)
        self._command = [program, *shlex.split(options)]

    @property
    def pid(self) -> int:
        return int((self._folder / "postmaster.pid").read_text().split()[0])

    def restart(self, *, is_crash: bool, away_seconds: float) -> None:
        """End it, sessions and all (`is_crash`: it has to recover from its log then), and start it after a while."""
        pid = self.pid
        os.kill(pid, signal.SIGQUIT if is_crash else signal.SIGINT)
        while _is_there(pid):
            time.sleep(0.05)
        time.sleep(away_seconds)
        owner = self._folder.stat()
        with (self._folder / "restarts.log").open("ab") as log:
            subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                cwd=self._folder, user=owner.st_uid, group=owner.st_gid,
            )  # fmt: skip
        patiently(lambda: _other().close(), seconds=60)

    def hang(self, seconds: float) -> None:
        """None of its processes does anything for so long; connections look sound meanwhile."""
        family = [self.pid, *_children(self.pid)]
        try:
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
        finally:
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]


def _is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _other() -> psycopg.Connection[tuple[object, ...]]:
    parameters = connection.get_connection_params()
    wanted = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if parameters.get(name)}
    return psycopg.connect(**wanted, autocommit=True)
