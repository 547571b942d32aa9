"""Processes of ours next to one of the same user that would like to know more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.env import CHILD_MARK, mark_of, passed_on
from console.tree import processes

NOBODY = 65534
OURS = """
import ctypes, importlib.util, os, sys
spec = importlib.util.spec_from_file_location("private", "console/tree/private.py")
private = importlib.util.module_from_spec(spec)
spec.loader.exec_module(private)
os.setgid({nobody})
os.setuid({nobody})
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as if it had been this user's from its start
private.be_named("console-secretive")
if {is_private}:
    private.be_private()
print(open("/proc/self/comm").read().strip(), flush=True)
sys.stdin.read()
"""
CURIOUS = (
    "import os, sys; os.setgid({nobody}); os.setuid({nobody}); print(open('/proc/' + sys.argv[1] + '/environ').read())"
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows an environment")
@pytest.mark.parametrize("is_private", [False, True])
def test_the_environment_of_a_private_process_is_its_own(is_private: bool) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", OURS.format(is_private=is_private, nobody=NOBODY)]
    with subprocess.Popen(command, env={"SECRET_KEY": "hunter22"}, **pipes) as ours:
        assert ours.stdout and ours.stdout.readline() == "console-secreti\n"
        command = [sys.executable, "-c", CURIOUS.format(nobody=NOBODY), str(ours.pid)]
        looked = subprocess.run(command, capture_output=True, text=True)
        assert ("hunter22" in looked.stdout) is not is_private
        assert ("Permission denied" in looked.stderr) is is_private
        ours.communicate()


def test_a_projects_process_does_not_learn_where_our_folder_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONSOLE_TREE", str(tmp_path))
    seen = passed_on(("PATH",))
    assert seen[CHILD_MARK] == mark_of(str(tmp_path))
    assert "CONSOLE_TREE" not in seen and str(tmp_path) not in str(seen)


@pytest.mark.parametrize("name", [processes.MARK, CHILD_MARK])
def test_a_marked_process_and_one_with_a_note_are_found(tmp_path: Path, name: str) -> None:
    value = str(tmp_path) if name == processes.MARK else mark_of(str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", "input()"], env={name: value}, stdin=subprocess.PIPE) as marked:
        found = [process.pid for process in processes.left_behind(tmp_path)]
        assert marked.pid in found
        marked.communicate(b"\n")
    note = f"""
import sys; sys.path[:0] = {sys.path!r}
from pathlib import Path
from console.tree import processes
processes.note(Path({str(tmp_path)!r}))
print("ready", flush=True); input()
"""
    with subprocess.Popen([sys.executable, "-c", note], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as noted:
        assert noted.stdout and noted.stdout.readline() == b"ready\n"
        assert [process.pid for process in processes.left_behind(tmp_path)] == [noted.pid]
        noted.communicate(b"\n")
    assert processes.left_behind(tmp_path) == [] and not list((tmp_path / processes.NOTES).iterdir())
