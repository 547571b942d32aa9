"""Worker and beat are alive by what they tell their machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.steps import pulse
from jobs.steps.pulse import Pulse
from tests.live import ROOT


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / "var"


def make_old(var: Path, role: str, pid: int = os.getpid()) -> None:
    long_ago = time.time() - pulse.STALE_SECONDS - 5
    os.utime(pulse.folder(var) / f"{role}-{pid}", (long_ago, long_ago))


def test_who_tells_is_alive_until_silent_and_until_its_end(var: Path) -> None:
    assert pulse.silence("worker", var) == "There is no worker of this console on this machine."
    told = Pulse("worker", var)
    told.tell()
    assert pulse.silence("worker", var) == ""
    assert pulse.silence("beat", var) and pulse.silence("worker", var / "another")
    make_old(var, "worker")
    assert "The worker has been silent for" in pulse.silence("worker", var)
    told.end()
    assert "There is no worker" in pulse.silence("worker", var)


def test_a_silent_one_is_not_hidden_by_another_that_lives(var: Path) -> None:
    Pulse("worker", var).tell()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (pulse.folder(var) / f"worker-{other.pid}").write_text(pulse.began(other.pid))
        make_old(var, "worker", other.pid)
        assert "silent" in pulse.silence("worker", var)
        other.communicate(b"\n")
    assert pulse.silence("worker", var) == ""  # it has ended: nobody misses it


def test_what_a_killed_worker_left_is_not_taken_for_whoever_has_its_number_now(var: Path) -> None:
    told = Pulse("worker", var)
    told.tell()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (pulse.folder(var) / f"worker-{other.pid}").write_text("of an earlier process")
        make_old(var, "worker", other.pid)
        assert pulse.silence("worker", var) == ""
        told.end()
        assert "There is no worker" in pulse.silence("worker", var)
        other.communicate(b"\n")


def test_the_command_answers_before_the_console_is_loaded(var: Path, tmp_path: Path) -> None:
    Pulse("beat", var).tell()

    def asked(*words: str) -> subprocess.CompletedProcess[str]:
        code = f"import sys; sys.argv[1:] = {['alive', *words]!r}; import manage\ntry: manage.main()\n" + (
            "finally: assert not {'django', 'celery'} & {*sys.modules}"
        )
        environment = {"PATH": os.environ["PATH"], "CONSOLE_VAR": str(var), "TMPDIR": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )

    assert asked("beat").returncode == 0
    silent = asked("worker")
    assert (silent.returncode, silent.stdout.strip()) == (1, "There is no worker of this console on this machine.")
    assert asked("web").returncode == 2 and asked().returncode == 2
