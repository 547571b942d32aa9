"""The hosts of a worker: which one a step is sent to, and when another is started in its place."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.errors import ProjectError
from jobs.interpreters import hosts
from jobs.interpreters.hosts import Host, Hosts
from jobs.models import Project
from tests.live import until
from tests.toys import write_toy


@pytest.fixture
def known() -> Iterator[Hosts]:
    found = Hosts()
    yield found
    found.stop_all()


def project(tmp_path: Path, interpreter: str = sys.executable) -> Project:
    return Project(pk=1, name="toy", path=str(write_toy(tmp_path / "toy")), interpreter=interpreter)


def test_a_host_that_leaves_while_its_children_run_makes_room_at_once(known: Hosts, tmp_path: Path) -> None:
    toy = project(tmp_path)
    first, connection = known.connect(toy)
    with connection:
        until(lambda: first.let_go() or not first.socket_path.exists(), what="the first host's door to close")
        began = time.monotonic()
        second, other = known.connect(toy)
        other.close()
        assert first.is_alive and second is not first
        assert time.monotonic() - began < hosts.START_SECONDS / 2


def test_a_host_that_has_just_ended_is_no_reason_to_fail(
    known: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = project(tmp_path)
    first, connection = known.connect(toy)
    connection.close()
    alive = property(lambda host: host is first or host.process.poll() is None)
    monkeypatch.setattr(Host, "is_alive", alive)  # in the moment in which it was looked at
    first.let_go()
    assert first.process.wait(60) == 0
    second, other = known.connect(toy)
    other.close()
    assert second is not first and second.process.poll() is None


def test_a_host_that_never_answers_is_not_asked_again(
    known: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "START_SECONDS", 0.5)
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec cat\n")
    silent.chmod(0o755)
    toy = project(tmp_path, str(silent))
    first = known.of(toy)
    with pytest.raises(ProjectError, match="did not answer within"):
        known.connect(toy)
    assert not first.is_alive
    assert known.of(toy) is not first


def test_an_older_host_that_refuses_its_own_runs_is_let_go(known: Hosts, tmp_path: Path) -> None:
    toy = project(tmp_path)
    first, connection = known.connect(toy)
    connection.close()
    first.code = "code of the first"
    known.replace(first, begun_with=first.code)
    known.replace(first)  # another step of it was refused too
    assert known.of(toy, begun_with=first.code) is first
    known.replace(first, begun_with=first.code)
    assert known.of(toy, begun_with=first.code) is not first
