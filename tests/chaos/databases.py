"""What can go wrong with a database, by its kind; and patience with one that it went wrong with."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
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
        except Error:
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


def _other() -> psycopg.Connection[tuple[object, ...]]:
    parameters = connection.get_connection_params()
    wanted = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if parameters.get(name)}
    return psycopg.connect(**wanted, autocommit=True)
