"""A step leaves what `kedro run` leaves: also what only the end of an interpreter completes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from host_client import Conversation, HostProcess
from kedro_projects import one_node
from open_projects import KEPT, LIBRARIES, make_open, make_open_everywhere

from kedro_console import wire

ABROAD = {name: open_one for name, open_one in LIBRARIES.items() if importlib.util.find_spec(name.strip())}
EVERYWHERE = "a dataset, a hook, the context and the catalog"
ONE_PROCESS_ONLY = ("a file that the import makes anew", EVERYWHERE)
"""What an import, a context and a catalog do, they do once in each process."""
Make = Callable[[Path], Path]


def plainly(project: Path) -> dict[str, bytes]:
    environment = {**os.environ, "KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    command = [sys.executable, "-m", "kedro", "run"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return left_in(project)


def left_in(project: Path) -> dict[str, bytes]:
    files = (file for file in (project / "data").rglob("*") if file.is_file())
    return {str(file.relative_to(project)): _content(file) for file in files}


def _content(file: Path) -> bytes:
    """Of a database its size: its header is another one each time."""
    return b"%d" % file.stat().st_size if file.suffix in (".db", ".duckdb") else file.read_bytes()


def distributed(host: HostProcess, number: int) -> None:
    """Each node a step of its own: in the same process when that goes on, else in a new one."""
    request: dict[str, Any] = {"store_folder": str(host.socket.parent / f"store-{number}"), "may_go_on": True}
    said = host.begin(nodes=["one"], **request)
    while not said.all(wire.ChildWaited) and said.read():
        continue
    if not said.all(wire.ChildWaited):
        host.run(nodes=["two"], **request)
        return
    folder = str(host.socket.parent / "step")
    more = {"run_id": "run", "step_id": "two", "pipeline": "__default__", "folder": folder, "nodes": ["two"]}
    wire.send(said.connection, wire.StepStarted(**more, **request))
    said.messages.clear()
    while not said.all(wire.ChildWaited) and said.read():
        continue
    wire.send(said.connection, wire.LeaveAsked())
    said.finish()


def makers() -> dict[str, Make]:
    found: dict[str, Make] = {EVERYWHERE: make_open_everywhere}
    for name, (setup, body) in {**KEPT, **ABROAD}.items():
        found[name] = lambda folder, setup=setup, body=body: make_open(folder, setup, body)  # type: ignore[misc]
    return found


MAKERS = makers()


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_run_leaves_what_kedro_run_leaves(tmp_path: Path, start_host: Any, name: str) -> None:
    make = MAKERS[name]
    plain, console, apart = (make(tmp_path / sub) for sub in ("plain", "console", "apart"))
    wanted = [plainly(plain), plainly(plain)]
    host = start_host(console)
    for expected in wanted:
        said = host.run()
        if said.all(wire.StepRefused):  # its import reads what runs write: a worker starts another host then
            host = start_host(console)
            said = host.run()
        assert said.one(wire.ChildExited).exit_code == 0
        assert left_in(console) == expected
    for number, expected in enumerate(wanted if name not in ONE_PROCESS_ONLY else []):
        distributed(start_host(apart), number)
        assert left_in(apart) == expected


# ---- what is told of it ------------------------------------------------------------------------------

LINES = """
FILES = []

def work():
    FILES.append(open("data/out.csv", "w"))
    FILES[0].write("a,b\\n1,2\\n")
    return "data/out.csv"
"""


def test_the_file_that_is_kept_is_the_one_that_the_end_completed(host_of: Any) -> None:
    host = host_of(**one_node(LINES))
    said = host.run(free_outputs=["result"])
    first, last = said.all(wire.DatasetSaved)
    assert first.kept and last.kept and first.kept.size_bytes == 0
    assert Path(last.kept.path).read_bytes() == (host.project / "data/out.csv").read_bytes() == b"a,b\n1,2\n"
    assert (last.dataset, last.node, last.has_value) == ("result", "work", True)
    assert said.kinds.index("run_finished") < len(said.kinds) - 2, "after the end, before the exit"
    assert said.kinds[-1] == "child_exited"


def test_what_an_exit_handler_completes_is_kept_too(host_of: Any) -> None:
    body = LINES.replace("    return", "    import atexit\n    atexit.register(FILES[0].close)\n    return")
    said = host_of(**one_node(body)).run(free_outputs=["result"])
    assert [event.kept and event.kept.size_bytes for event in said.all(wire.DatasetSaved)] == [0, 8]


def test_a_step_after_which_nothing_is_open_ends_at_once(playground: HostProcess) -> None:
    said = playground.run("chain")
    assert said.one(wire.ChildExited).cpu_seconds < 0.3
    assert not [event for event in said.all(wire.DatasetSaved) if event.kept]


def test_classes_that_answer_in_their_own_way_are_seen_too(host_of: Any) -> None:
    """A metaclass may make its classes unhashable, or have an answer to every name."""
    body = (
        "class Meta(type):\n    def __eq__(cls, other):\n        return True\n"
        "    def __getattr__(cls, name):\n        return name\n"
        "class Will(metaclass=Meta):\n    def __del__(self):\n        print('my last will')\n"
        "class Quiet(metaclass=Meta):\n    pass\n"
        "KEPT = []\n\ndef work():\n    KEPT.extend([Quiet(), Will()])\n    return 1"
    )
    said = host_of(**one_node(body)).run()
    assert said.one(wire.RunFinished) and said.one(wire.ChildExited).exit_code == 0
    assert "my last will" in said.text


def test_what_an_object_prints_when_it_dies_is_in_the_log(host_of: Any) -> None:
    body = (
        "class Will:\n    def __del__(self):\n        print('my last will')\n        raise ValueError('too late')\n"
        "KEPT = []\n\ndef work():\n    KEPT.append(Will())\n    return 1"
    )
    said = host_of(**one_node(body)).run()
    assert "my last will" in said.text and "Exception ignored in" in said.text and "ValueError: too late" in said.text


@pytest.mark.parametrize(
    ("last_will", "signal", "is_stuck"),
    [("time.sleep(600)", 9, True), ("os.kill(os.getpid(), 11)", 11, False)],
    ids=["hangs", "crashes"],
)
def test_an_end_that_hangs_or_crashes_is_told(host_of: Any, last_will: str, signal: int, is_stuck: bool) -> None:
    body = (
        f"import os, time\nclass Will:\n    def __del__(self, os=os, time=time):\n        {last_will}\n"
        "KEPT = []\n\ndef work():\n    KEPT.append(Will())\n    return 1"
    )
    said = host_of("--end-seconds", "1", **one_node(body)).run()
    left = said.one(wire.ChildExited)
    assert said.one(wire.RunFinished) and (left.signal, left.is_stuck) == (signal, is_stuck)


# ---- projects that are not copied --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()", "threads"),
        ("import subprocess\nPROGRAM = subprocess.Popen(['sleep', '600'])", "processes"),
        ("import socket\nLINE = socket.socketpair()", "a connection"),
        ("FILE = open('data/out.txt', 'a')", "data/out.txt and keeps it open"),
        ("FILE = open('pyproject.toml')", "pyproject.toml and keeps it open"),
        (
            "import sqlite3\nBASE = sqlite3.connect('data/a.db')\nBASE.execute('CREATE TABLE IF NOT EXISTS a (b)')",
            "a.db",
        ),
        ("import tempfile\nFOLDER = tempfile.TemporaryDirectory()", "a temporary folder"),
    ],
    ids=["thread", "process", "socket", "writer", "reader", "database", "temporary folder"],
)
def test_what_copies_would_share_makes_the_host_start_new_processes(host_of: Any, line: str, reason: str) -> None:
    host = host_of(**one_node(f"{line}\n\ndef work():\n    return 1"))
    started = host.run().one(wire.ChildStarted)
    assert started.mode == "standby" and reason in started.note


def test_the_way_of_a_project_is_remembered_until_its_code_is_another(host_of: Any) -> None:
    host = host_of(**one_node("FILE = open('data/out.txt', 'a')\n\ndef work():\n    return 1"))
    assert host.run().one(wire.ChildStarted).mode == "standby"
    _again(host, "standby")
    (host.project / "src/demo/nodes.py").write_text("def work():\n    return 1")
    _again(host, "fork")


def _again(host: HostProcess, mode: str) -> Conversation:
    host.stop()
    again = HostProcess(host.project, host.socket).start()
    try:
        said = again.run()
        assert said.one(wire.ChildStarted).mode == mode
        return said
    finally:
        again.stop()
