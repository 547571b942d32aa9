"""A child goes on with the next step of its run: as if it were new, and no further than that."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from host_client import Conversation, HostProcess
from kedro_projects import make_project

from kedro_console import wire
from kedro_console.line import processes

NODES = """
def work(code):
    scope = {}
    exec("def body():\\n" + "".join(f"    {line}\\n" for line in code.splitlines()), scope)
    return scope["body"]()
"""
PIPELINES = """
from kedro.pipeline import Pipeline, node
from . import nodes

def register_pipelines():
    three = [node(nodes.work, f"params:{name}", f"of_{name}", name=name) for name in ("one", "two", "three")]
    return {"__default__": Pipeline(three)}
"""
CATALOG = "of_two: {type: json.JSONDataset, filepath: data/two.json, versioned: true}"
DONE = {"one": "return 1", "two": "return 2", "three": "return 3"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", nodes=NODES, pipelines=PIPELINES, catalog=CATALOG, parameters=DONE)


@pytest.fixture
def host(project: Path, start_host: Any) -> HostProcess:
    return start_host(project)


class Steps:
    """Steps of one run for one child; what each of them said."""

    def __init__(self, host: HostProcess, **code: str) -> None:
        self.host, self.parameters = host, {**DONE, **code}
        self.said = self._began(host)

    def _began(self, host: HostProcess) -> Conversation:
        return host.begin(**self._request("one"), parameters=self.parameters)

    def _request(self, node: str) -> dict[str, Any]:
        store = str(self.host.socket.parent / "store")
        return {"nodes": [node], "store_folder": store, "free_outputs": [f"of_{node}"], "may_go_on": True}

    def wait(self) -> wire.ChildWaited:
        return self.said.wait_for(wire.ChildWaited)

    def go_on(self, node: str, **request: Any) -> Conversation:
        """Have the waiting child run this node; from now on only that step's messages are seen."""
        self.said.messages.clear()
        self.said.raw.clear()
        more = {"run_id": "run", "step_id": node, "pipeline": "__default__", **self._request(node), **request}
        wire.send(self.said.connection, wire.StepStarted(**more))
        return self.said

    def leave(self) -> wire.ChildExited:
        wire.send(self.said.connection, wire.LeaveAsked())
        return self.said.finish().one(wire.ChildExited)


def value(said: Conversation) -> object:
    return said.one(wire.DatasetSaved).value


def test_a_child_runs_one_step_after_another_in_the_same_process(host: HostProcess) -> None:
    steps = Steps(host, one="print('from one')\nreturn 1", three="print('from three')\nreturn 3")
    steps.wait()
    first = steps.said.one(wire.ChildStarted)
    assert "from one" in steps.said.text, "its lines come before the word that it is done"
    said = steps.go_on("three")
    steps.wait()
    started = said.one(wire.ChildStarted)
    assert (started.pid, started.has_gone_on, first.has_gone_on) == (first.pid, True, False)
    assert said.one(wire.RunStarted).nodes == ["three"]
    assert (value(said), said.one(wire.NodeFinished).node) == (3, "three")
    assert {line.node for line in said.lines() if line.text == "from three"} == {"three"}
    assert "from one" not in said.text
    assert steps.leave().exit_code == 0


def test_a_child_that_may_not_go_on_ends(host: HostProcess) -> None:
    said = host.run(nodes=["one"])
    assert said.one(wire.ChildExited).exit_code == 0 and not said.all(wire.ChildWaited)


def test_a_child_never_serves_two_runs(host: HostProcess) -> None:
    steps = Steps(host)
    steps.wait()
    said = steps.go_on("two", run_id="another")
    refusal = said.wait_for(wire.StepRefused)
    assert (refusal.reason, refusal.sentence) == ("bad_request", "A child serves one run only.")


def test_a_step_that_fails_is_the_last_of_its_process(host: HostProcess) -> None:
    steps = Steps(host, two="raise ValueError('no')")
    steps.wait()
    said = steps.go_on("two").finish()
    assert said.one(wire.RunFailed).node == "two"
    assert said.one(wire.ChildExited).exit_code == 1 and not said.all(wire.ChildWaited)


def test_a_kill_in_the_second_step_is_told_of_that_step(host: HostProcess) -> None:
    steps = Steps(host, two="import os\nos.kill(os.getpid(), 9)")
    steps.wait()
    left = steps.go_on("two").finish().one(wire.ChildExited)
    assert (left.signal, steps.said.one(wire.NodeStarted).node) == (signal.SIGKILL, "two")


def test_a_child_that_died_while_it_waited_is_told_and_takes_nothing_more(host: HostProcess) -> None:
    steps = Steps(host)
    steps.wait()
    os.kill(steps.said.one(wire.ChildStarted).pid, signal.SIGKILL)
    assert steps.said.wait_for(wire.ChildExited).signal == signal.SIGKILL
    said = steps.go_on("two").finish()
    assert not said.all(wire.ChildStarted)


def test_the_process_is_put_back_between_two_steps(host: HostProcess, project: Path) -> None:
    look = "import os, signal\nreturn [os.getcwd(), os.environ.get('LEFT'), signal.getsignal(15) is signal.SIG_DFL]"
    spoil = (
        "import os, random, signal\nos.environ['LEFT'] = 'x'\nos.chdir('/')\nrandom.seed(1)\n"
        "signal.signal(15, signal.SIG_IGN)\nreturn random.random()"
    )
    steps = Steps(host, one=spoil, two=look, three="import random\nreturn random.random()")
    steps.wait()
    drawn = value(steps.said)
    said = steps.go_on("two")
    steps.wait()
    assert value(said) == [str(project), None, True]
    said = steps.go_on("three")
    steps.wait()
    assert value(said) != drawn


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess\nsubprocess.Popen(['sleep', '60'])",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(0.2,)).start()",
    ],
    ids=["a process", "a thread"],
)
def test_a_child_in_which_a_node_left_something_alive_ends(host: HostProcess, code: str) -> None:
    said = Steps(host, one=f"{code}\nreturn 1").said.finish()
    assert said.one(wire.ChildExited).exit_code == 0 and not said.all(wire.ChildWaited)


def test_a_child_that_has_grown_heavy_ends(host: HostProcess) -> None:
    code = "import builtins\nbuiltins.kept = bytearray(b'x' * (300 * 1024 * 1024))\nreturn 1"
    said = Steps(host, one=code).said.finish()
    assert said.one(wire.ChildExited).exit_code == 0 and not said.all(wire.ChildWaited)


def test_the_peak_of_memory_and_the_processor_time_are_of_the_step(host: HostProcess) -> None:
    hungry = "import time\ndata = bytearray(b'x' * (150 * 1024 * 1024))\nend = time.process_time() + 0.3\n"
    steps = Steps(host, one=f"{hungry}while time.process_time() < end:\n    pass\nreturn 1")
    first = steps.wait()
    said = steps.go_on("two")
    second = steps.wait()
    assert first.cpu_seconds > 0.3 > second.cpu_seconds > 0
    if processes.forget_peak(said.one(wire.ChildStarted).pid):
        assert second.peak_memory_bytes < first.peak_memory_bytes - 100 * 1024 * 1024


def test_each_step_saves_its_own_version_and_reads_the_pinned_ones(host: HostProcess, project: Path) -> None:
    steps = Steps(host)
    steps.wait()
    for version in ("2026-01-01T00.00.00.000001Z", "2026-01-01T00.00.00.000002Z"):
        said = steps.go_on("two", save_version=version)
        steps.wait()
        assert said.one(wire.DatasetSaved).version == version
    assert len(list((project / "data/two.json").iterdir())) == 2


def test_a_child_goes_on_in_the_code_that_its_run_began_with(host: HostProcess, project: Path) -> None:
    steps = Steps(host, one="return 1")
    steps.wait()
    (project / "src/demo/nodes.py").write_text(NODES + "\n# changed\n")
    steps.go_on("two").wait_for(wire.RunFinished)


def test_a_node_of_a_later_step_gets_its_answers(host: HostProcess) -> None:
    asks = "from kedro_console import here\nreturn here.ask('weather')"
    steps = Steps(host, two=asks, three=asks)
    steps.wait()
    for node in ("two", "three"):
        said = steps.go_on(node)
        question = said.wait_for(wire.Asked)
        wire.send(said.connection, wire.Answered(question.number, f"for {node}"))
        steps.wait()
        assert value(said) == f"for {node}"
    assert steps.leave().exit_code == 0


def test_the_lease_of_the_second_step_ends_its_child_too(host: HostProcess) -> None:
    steps = Steps(host, two="import time\ntime.sleep(60)")
    steps.wait()
    said = steps.go_on("two", held_until=1.0).finish()
    assert said.one(wire.ChildExited).is_unheld


def test_a_standing_by_process_goes_on_too(project: Path, start_host: Any) -> None:
    steps = Steps(start_host(project, "--mode", "standby"))
    steps.wait()
    said = steps.go_on("three")
    steps.wait()
    assert (value(said), said.one(wire.ChildStarted).mode) == (3, "standby")
    assert steps.leave().exit_code == 0
