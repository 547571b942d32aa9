"""`manage.py up` as a person uses it: real processes, in a folder with an awkward name."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.env import embedded_socket
from console.tree import processes
from tests.live import until
from tests.up import PATIENCE_SECONDS, Up

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    tree = Up(tmp_path / "a tree")
    yield tree
    processes.end(tree.living, patience_seconds=20)
    if (sockets := embedded_socket(tree.var).parent) != tree.var:
        shutil.rmtree(sockets, ignore_errors=True)


def test_it_serves_refuses_a_second_start_and_leaves_nothing_behind(up: Up) -> None:
    parent = up.started()
    assert up.page() == 200
    password = re.search(r"Log in as admin with the password (\S+)", up.said)
    assert password
    names = {process.name for process in up.living}
    assert {"valkey-server", "console-web", "console-worker", "console-beat"} <= names or "redis-server" in names
    assert not any(password[1] in log.read_text(errors="replace") for log in (up.var / "log").iterdir())
    assert up.var.stat().st_mode & 0o077 == 0

    first = up.said
    second = up.refused()
    assert f"already runs on http://127.0.0.1:{up.port} (process {parent.pid})" in second
    assert "password" in first and "password" not in second
    assert up.page() == 200

    parent.send_signal(signal.SIGTERM)
    assert parent.wait(PATIENCE_SECONDS) == 0
    until(lambda: not up.living, seconds=PATIENCE_SECONDS, what="nothing is left behind")
    assert up.page() == 0


def test_the_first_thing_that_health_calls_ok_can_be_started(up: Up) -> None:
    parent = up.start()
    seen: list[dict[str, Any]] = []

    def is_ok() -> bool:
        has_said = "serves on" in up.said  # before it is asked: it may say so meanwhile
        status, answer = up.ask("GET", "/health")
        seen.extend([answer] if status else [])
        assert not has_said or answer.get("status") == "ok"
        return status == 200

    until(lambda: parent.poll() is not None or is_ok(), seconds=PATIENCE_SECONDS, what="health is ok")
    assert seen[-1]["status"] == "ok" and seen[-1]["workers"] == 1
    assert all(answer["missing"] for answer in seen[:-1]), "what is not ready is named"
    status, job = up.ask("POST", "/jobs", '{"pipeline_name": "subcollectors"}')
    assert (status, job.get("status")) == (201, "pending"), job
    until(lambda: up.ask("GET", f"/jobs/{job['id']}")[1]["status"] != "pending", seconds=60, what="a worker took it")
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(PATIENCE_SECONDS) == 0


def test_a_project_that_cannot_be_read_keeps_nobody_waiting(up: Up) -> None:
    project = up.folder / "broken"
    project.mkdir()
    (project / "pyproject.toml").write_text("[tool.kedro\n")
    parent = up.started("--no-demo", KEDRO_PROJECT_PATH=str(project))
    until(lambda: "pyproject.toml" in up.said.partition("serves on")[2], seconds=10, what="the reason")
    status, answer = up.ask("GET", "/health")
    assert (status, answer["status"]) == (200, "degraded")
    assert "broken" in answer["missing"][0]
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(PATIENCE_SECONDS) == 0


def test_a_killed_parent_leaves_orphans_that_the_next_start_ends(up: Up) -> None:
    killed = up.started("--no-demo")
    orphans = [process for process in up.living if process.pid != killed.pid]
    killed.kill()
    killed.wait()
    assert any(process.is_alive for process in orphans)

    parent = up.started("--no-demo")
    assert "left" in up.said and "password" not in up.said
    assert not any(process.is_alive for process in orphans)
    assert up.page() == 200

    parent.send_signal(signal.SIGINT)
    assert parent.wait(PATIENCE_SECONDS) == 0
    until(lambda: not up.living, seconds=PATIENCE_SECONDS, what="nothing is left behind")


def test_a_killed_program_is_started_again(up: Up) -> None:
    parent = up.started("--no-demo")
    killed = next(process for process in up.living if process.name == "console-beat")
    killed.signal(signal.SIGKILL)
    until(
        lambda: any(process.name == "console-beat" and process.pid != killed.pid for process in up.living),
        seconds=PATIENCE_SECONDS,
        what="another beat",
    )
    os.killpg(parent.pid, signal.SIGHUP)  # the terminal is closed
    assert parent.wait(PATIENCE_SECONDS) == 0
    until(lambda: not up.living, seconds=PATIENCE_SECONDS, what="nothing is left behind")


def test_a_taken_port_is_named(up: Up) -> None:
    with socket.create_server(("127.0.0.1", up.port)):
        assert f"Port {up.port} cannot be used" in up.refused()
    assert f"PORT={up.port + 1}" in up.said


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("KEDRO_PROJECT_PATH", "/nowhere/at all", "KEDRO_PROJECT_PATH=/nowhere/at all: there is no pyproject.toml"),
        ("DEBUG", "ture", "DEBUG=ture: write true or false."),
        ("DATABASE_URL", "postgres://nobody:none@127.0.0.1:1/none", "The database cannot be reached"),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(up: Up, name: str, value: str, sentence: str) -> None:
    assert sentence in up.refused(**{name: value})
    assert not up.living
