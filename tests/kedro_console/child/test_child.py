"""What a step's process does, and how each of its ends is told."""

from __future__ import annotations

import signal
import time

import pytest
from host_client import HostProcess
from kedro_projects import one_node

from kedro_console import wire

MB = 1024 * 1024


# ---- what the project sees of its process ------------------------------------------------------------

SEEN = "import sys\nAT_IMPORT = sys.argv[1:]\n\ndef work(*given):\n    print(AT_IMPORT, sys.argv[1:])\n    return 1\n"


@pytest.mark.parametrize("mode", ["fork", "standby", "cold"])
def test_the_command_line_is_that_of_kedro_run(host_of, mode):
    host = host_of("--mode", mode, "--env", "local", **one_node(SEEN))
    said = host.run(parameters={"a": {"b": 1, "c": "x"}}, choices={"to_nodes": ["work"]})
    assert "['run', '--env=local'] ['run', '--env=local', '--to-nodes=work', '--params=a.b=1,a.c=x']" in said.text


# ---- ends ------------------------------------------------------------------------------------------


def test_a_node_that_raises_fails_with_the_projects_frame(host_of):
    said = host_of(**one_node("def work():\n    raise ValueError('no such customer')")).run()
    failed = said.one(wire.NodeFailed)
    assert failed.node == "work" and failed.failure.exception == "ValueError"
    assert failed.failure.message == "no such customer"
    last = [frame for frame in failed.failure.frames if frame.is_project][-1]
    assert (last.file, last.function) == ("src/demo/nodes.py", "work") and "raise ValueError" in last.code
    assert said.one(wire.RunFailed).node == "work"
    assert said.one(wire.ChildExited).exit_code == 1 and not said.all(wire.RunFinished)


def test_a_node_that_exits_the_interpreter_ends_with_its_exit_code(run_body):
    said = run_body("import os\nprint('last words')\nos._exit(7)")
    assert said.one(wire.ChildExited).exit_code == 7
    assert not said.all(wire.RunFailed) and "last words" in said.text


def test_sys_exit_in_a_node_is_a_failure_of_that_node(run_body):
    said = run_body("import sys\nsys.exit(3)")
    assert said.one(wire.RunFailed).failure.exception == "SystemExit"
    assert said.one(wire.NodeFailed).node == "work"


def test_a_segfault_is_told_as_its_signal(run_body):
    said = run_body("import ctypes\nctypes.string_at(0)")
    assert said.one(wire.ChildExited).signal == signal.SIGSEGV
    assert said.one(wire.NodeStarted).node == "work"


def test_a_node_that_eats_memory_is_killed_at_its_limit_and_told_with_its_peak(run_body):
    body = "import time\nkept = []\nwhile True:\n    kept.append(bytearray(b'x') * 20_000_000)\n    time.sleep(0.01)"
    said = run_body(body, memory_limit_bytes=400 * MB)
    ended = said.one(wire.ChildExited)
    assert ended.signal == signal.SIGKILL and ended.memory_limit_bytes == 400 * MB
    assert 400 * MB < ended.peak_memory_bytes < 900 * MB
    assert said.all(wire.MemoryMeasured)


def test_memory_taken_in_one_gulp_meets_the_backstop(run_body):
    said = run_body("return len(bytearray(10_000_000_000))", memory_limit_bytes=300 * MB)
    failed = said.all(wire.RunFailed)
    assert failed[0].failure.exception == "MemoryError" if failed else said.one(wire.ChildExited).memory_limit_bytes


def test_memory_of_a_program_that_the_node_started_counts_too(run_body):
    program = "import time; kept = b'x' * 500_000_000; time.sleep(600)"
    body = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {program!r}])"
    ended = run_body(body, memory_limit_bytes=400 * MB).one(wire.ChildExited)
    assert ended.memory_limit_bytes == 400 * MB and ended.peak_memory_bytes > 400 * MB


# ---- failures around nodes -------------------------------------------------------------------------


def test_a_dataset_that_cannot_be_loaded_fails_the_node_that_needed_it(playground):
    said = playground.run("loads")
    assert said.one(wire.NodeFailed).node == "work"
    failed = said.one(wire.RunFailed)
    assert failed.node == "work" and failed.reason == "missing_dataset"


def test_a_dataset_that_cannot_be_saved_fails_the_node_that_made_it(playground):
    said = playground.run("saves")
    assert said.one(wire.NodeFailed).node == "work"
    assert not said.all(wire.NodeFinished) and "DatasetError" in said.one(wire.RunFailed).failure.exception


def test_with_threads_the_failing_load_is_found_too(playground):
    said = playground.run("loads", runner="threads")
    assert said.one(wire.RunFailed).node == "work"


def test_a_broken_catalog_fails_the_run_outside_any_node(host_of):
    said = host_of(catalog={"a": {"type": "no.such.Dataset"}}).run()
    failed = said.one(wire.RunFailed)
    assert failed.node == "" and "no.such.Dataset" in failed.failure.message


def test_a_missing_input_is_named(playground):
    said = playground.run("unmade")
    failed = said.one(wire.RunFailed)
    assert failed.reason == "missing_dataset" and "nobody_made_this" in failed.failure.message


def test_a_project_hook_that_raises_is_a_failure_of_the_run(host_of):
    settings = """
from kedro.framework.hooks import hook_impl
class Strict:
    @hook_impl
    def after_pipeline_run(self, run_result):
        raise RuntimeError("not good enough")
HOOKS = (Strict(),)
"""
    said = host_of(settings=settings).run()
    assert said.one(wire.RunFailed).failure.message == "not good enough"
    assert not said.all(wire.RunFinished)


# ---- versions --------------------------------------------------------------------------------------


def test_the_save_version_is_ours(playground):
    version = "2030-01-02T03.04.05.678Z"
    saved = playground.run("versioned_save", save_version=version, free_outputs=["versioned"]).one(wire.DatasetSaved)
    assert saved.version == version and saved.size_bytes
    assert saved.path.endswith(f"data/result.json/{version}/result.json")
    assert saved.kept and saved.kept.name == "result.json"


def test_load_versions_are_pinned(playground):
    for number, version in enumerate(("2031-01-01T00.00.00.000Z", "2032-01-01T00.00.00.000Z")):
        folder = playground.project / "data/result.json" / version
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(str(number))
    pinned = {"versioned": "2031-01-01T00.00.00.000Z"}
    said = playground.run("versioned_load", load_versions=pinned, free_outputs=["result"])
    assert said.one(wire.DatasetLoaded).version == "2031-01-01T00.00.00.000Z"
    assert said.one(wire.DatasetSaved).value == 1


# ---- datasets --------------------------------------------------------------------------------------


def test_a_table_is_told_with_its_size_and_first_rows(host_of):
    nodes = "import pandas\ndef work():\n    return pandas.DataFrame({'n': range(1000), 'x': [float('nan')] * 1000})"
    catalog = {"result": {"type": "pandas.CSVDataset", "filepath": "data/table.csv"}}
    said = host_of(**one_node(nodes, catalog=catalog)).run(free_outputs=["result"])
    saved = said.one(wire.DatasetSaved)
    assert (saved.type, saved.rows, saved.columns) == ("pandas.CSVDataset", 1000, 2)
    assert saved.sample[:2] == [{"n": 0, "x": "nan"}, {"n": 1, "x": "nan"}] and len(saved.sample) == 5
    assert saved.size_bytes and saved.kept and saved.kept.media_type == "text/csv" and not saved.has_value


def test_a_node_that_yields_is_one_node_with_one_save(playground):
    said = playground.run("streams")
    assert said.one(wire.NodeFinished).node == "work"
    assert said.one(wire.DatasetSaved).rows == 5


def test_a_big_event_is_cut_not_lost(playground):
    many = {f"p{number}": "x" * 1000 for number in range(500)}
    said = playground.run(parameters={"code": "return 1", **many})
    assert said.one(wire.RunStarted).nodes == ["work"] and said.one(wire.RunFinished)


# ---- the process -----------------------------------------------------------------------------------


def test_unseeded_random_numbers_differ_between_runs(run_body):
    body = "import random\nimport numpy\nreturn [random.random(), float(numpy.random.random())]"
    one, two = (run_body(body).one(wire.DatasetSaved).value for _ in range(2))
    assert one[0] != two[0] and one[1] != two[1]


def test_random_numbers_that_the_project_seeds_are_the_same_in_each_run(host_of):
    nodes = "import random\nrandom.seed(1)\ndef work():\n    return random.random()"
    host = host_of(**one_node(nodes))
    one, two = (host.run(free_outputs=["result"]).one(wire.DatasetSaved).value for _ in range(2))
    assert one == two


SELF = """
import os, signal, sys
paths = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
targets = [os.readlink(path) for path in paths if os.path.exists(path)]
return {
    "stdin": sys.stdin.read(), "is_leader": os.getsid(0) == os.getpid(), "cwd": os.getcwd(),
    "epoll": sum("eventpoll" in target for target in targets),
    "sockets": sum("socket" in target for target in targets),
    "can_be_interrupted": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "telemetry": os.environ["KEDRO_DISABLE_TELEMETRY"], "backend": os.environ["MPLBACKEND"],
}
"""


def test_a_child_is_a_session_of_its_own_with_nothing_of_the_hosts(run_body, playground):
    value = run_body(SELF).one(wire.DatasetSaved).value
    assert value == {"stdin": "", "is_leader": True, "cwd": str(playground.project), "epoll": 0, "sockets": 1,
                     "can_be_interrupted": True, "telemetry": "1", "backend": "Agg"}  # fmt: skip


def test_exit_handlers_of_the_run_are_called(run_body):
    body = "import atexit\natexit.register(lambda: print('flushed at exit'))"
    said = run_body(body)
    assert "flushed at exit" in said.text and said.one(wire.ChildExited).exit_code == 0


def test_the_project_is_left_as_it_was(host_of):
    host = host_of()
    before = {path for path in host.project.rglob("*") if "__pycache__" not in path.parts}
    text = (host.project / "pyproject.toml").read_text()
    host.run()
    assert {path for path in host.project.rglob("*") if "__pycache__" not in path.parts} == before
    assert (host.project / "pyproject.toml").read_text() == text


def test_a_warm_run_of_three_nodes_is_quick(playground):
    best = min(_seconds(playground) for _ in range(6))
    assert best < 0.5  # 0.06 on an idle machine; this only sees a run that went cold


def _seconds(host: HostProcess) -> float:
    started = time.perf_counter()
    assert host.run("chain").one(wire.RunFinished)
    return time.perf_counter() - started
