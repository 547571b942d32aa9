"""What one host learned serves the next one, and a spoilt file serves nobody but harms nobody."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from kedro_console.project import learned
from kedro_console.project.learned import Learned

PROJECT = Path("/projects/one")


def test_the_next_host_reads_what_was_learned(tmp_path):
    first = Learned.read(tmp_path, PROJECT, "")
    first.add(["b", "a"])
    first.add(["c", "a"])
    first.remember_mode("standby")
    again = Learned.read(tmp_path, PROJECT, "")
    assert (again.modules, again.mode) == (["a", "b", "c"], "standby")


def test_projects_and_environments_learn_by_themselves(tmp_path):
    Learned.read(tmp_path, PROJECT, "").add(["a"])
    assert Learned.read(tmp_path, PROJECT, "prod").modules == []
    assert Learned.read(tmp_path, Path("/projects/two"), "").modules == []


def test_a_slower_mode_is_forgotten_after_a_day(tmp_path):
    slow = Learned.read(tmp_path, PROJECT, "")
    slow.remember_mode("cold")
    raw = json.loads(slow.path.read_text())
    slow.path.write_text(json.dumps({**raw, "mode_at": time.time() - learned.MODE_SECONDS - 1}))
    assert Learned.read(tmp_path, PROJECT, "").mode == "fork"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"modules": 7}', '{"modules": [], "mode": "x", "mode_at": "y"}'])
def test_a_spoilt_file_is_an_empty_one(tmp_path, text):
    path = Learned.read(tmp_path, PROJECT, "").path
    path.write_text(text)
    found = Learned.read(tmp_path, PROJECT, "")
    assert (found.modules, found.mode) == ([], "fork")


def test_only_new_modules_that_are_safe_before_a_fork_are_learned(monkeypatch):
    before = len(sys.modules)
    for name in ("wave", "torch", "demo.nodes", "no_spec"):
        module = type(sys)(name)
        module.__spec__ = None if name == "no_spec" else sys.__spec__
        monkeypatch.setitem(sys.modules, name, module)
    assert learned.newly_imported(before, "demo") == ["wave"]
