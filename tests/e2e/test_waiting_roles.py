"""Started before its database is migrated, each role waits, says so, and goes on by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import live
from tests.chaos.fleet import free_port

pytestmark = pytest.mark.live

ROLES = ("web", "worker", "beat")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "KEDRO_PROJECT_PATH")}
    return {
        **kept,
        "CONSOLE_VAR": str(tmp_path / "var"),
        "PYTHONUNBUFFERED": "1",
        "CONSOLE_ADMIN_PASSWORD": "ready 4 work",
    }


def start(role: str, environment: dict[str, str], folder: Path, *words: str) -> subprocess.Popen[bytes]:
    with (folder / f"{role}.log").open("ab") as log:
        command = [sys.executable, "-m", "console", role, *words]
        return subprocess.Popen(command, env=environment, cwd=live.ROOT, stdout=log, stderr=log)


def status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except OSError:
        return 0


@pytest.fixture
def started(environment: dict[str, str], tmp_path: Path) -> Iterator[tuple[str, dict[str, subprocess.Popen[bytes]]]]:
    """The pages' address and the three roles, on a database without a table."""
    port = free_port()
    words = {"web": ("--host", "127.0.0.1", "--port", str(port))}
    processes = {role: start(role, environment, tmp_path, *words.get(role, ())) for role in ROLES}
    yield f"http://127.0.0.1:{port}/login/", processes
    for process in processes.values():
        live.end(process)


def test_each_role_waits_and_goes_on(
    started: tuple[str, dict[str, subprocess.Popen[bytes]]], environment: dict[str, str], tmp_path: Path
) -> None:
    address, processes = started

    def has_said(words: str) -> bool:
        return all(words in (tmp_path / f"{role}.log").read_text() for role in ROLES)

    live.until(lambda: has_said("The database is not migrated yet: "), what="that each waits")
    live.until(lambda: status(address) == 503, what="a page that says so")
    assert all(process.poll() is None for process in processes.values())
    assert all((tmp_path / f"{role}.log").read_text().count("not migrated yet") == 1 for role in ROLES)
    command = [sys.executable, "manage.py", "prepare"]
    done = subprocess.run(command, env=environment, cwd=live.ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    live.until(lambda: status(address) == 200, what="the pages")
    live.until(lambda: has_said("waited for the database and go"), what="that each goes on")


def test_a_role_that_waits_stops_at_once_when_told_to(environment: dict[str, str], tmp_path: Path) -> None:
    waiting = [start(role, environment, tmp_path) for role in ("worker", "beat")]
    for role, process in zip(("worker", "beat"), waiting, strict=True):
        log = tmp_path / f"{role}.log"
        live.until(lambda log=log: "not migrated yet" in log.read_text(), what=f"that {role} waits")  # type: ignore[misc]
        process.terminate()
        assert process.wait(10) == 0
