"""A failure is one readable line with the project's own frames marked, whatever the exception does."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from kedro_console.words import failures


def failing(folder: Path, source: str) -> BaseException:
    path = folder / "code.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("code_of_the_test", path)
    assert spec and spec.loader
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


def test_frames_of_the_project_are_marked_and_short(tmp_path):
    failure = failures.describe(failing(tmp_path, "import json\ndef f():\n    json.loads('{')\nf()"), tmp_path)
    ours = [frame for frame in failure.frames if frame.is_project]
    assert [(frame.file, frame.line, frame.function) for frame in ours] == [
        ("code.py", 4, "<module>"),
        ("code.py", 3, "f"),
    ]
    assert ours[-1].code == "json.loads('{')" and not failure.frames[-1].is_project
    assert failure.exception == "json.decoder.JSONDecodeError" and "JSONDecodeError" in failure.traceback


def test_the_cause_shows_where_the_project_failed(tmp_path):
    error = RuntimeError("wrapped")
    error.__cause__ = failing(tmp_path, "1 / 0")
    failure = failures.describe(error, tmp_path)
    assert failure.exception == "RuntimeError" and failure.frames[-1].file == "code.py"
    assert "ZeroDivisionError" in failure.traceback


UNREADABLE = "class E(Exception):\n    def __str__(self): return 1 / 0\nraise E"


@pytest.mark.parametrize(("source", "message"), [
    ("raise KeyError('b')", "Key 'b' is missing."),
    ("raise ValueError()", "ValueError"),
    (UNREADABLE, "(its message cannot be read: ZeroDivisionError)"),
])  # fmt: skip
def test_the_message_can_be_read_aloud(tmp_path, source, message):
    assert failures.describe(failing(tmp_path, source), tmp_path).message == message


def test_a_syntax_error_names_its_line(tmp_path):
    failure = failures.describe(failing(tmp_path, "x = (\n"), tmp_path)
    assert (failure.frames[-1].file, failure.frames[-1].is_project) == ("code.py", True)


ENDLESS = """
def f(n):
    return f(n + 1)

try:
    f(0)
except RecursionError as error:
    raise ValueError("y" * 10**6) from error
"""


def test_endless_recursion_and_endless_messages_are_cut(tmp_path):
    failure = failures.describe(failing(tmp_path, ENDLESS), tmp_path)
    assert len(json.dumps([failure.message, failure.traceback])) < 60_000 and len(failure.frames) <= 60


def test_installed_packages_inside_the_project_are_not_the_project(tmp_path):
    folder = tmp_path / ".venv/lib/python3.11/site-packages/library"
    folder.mkdir(parents=True)
    failure = failures.describe(failing(folder, "1 / 0"), tmp_path)
    assert not any(frame.is_project for frame in failure.frames) and failure.frames[-1].file == "library/code.py"
