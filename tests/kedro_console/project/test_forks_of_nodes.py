"""A process that a node forks does not speak for it."""

from __future__ import annotations

from typing import Any

import pytest
from kedro_projects import one_node

from kedro_console import wire

FORK = """
import os

def work():
    pid = os.fork()
    if pid == 0:
        {copy}
    os.waitpid(pid, 0)
    {node}
"""
COPIES = {
    "returns": "return 1",
    "raises": "raise ValueError('only the copy fails')",
    "exits": "raise SystemExit(3)",
    "ends": "os._exit(0)",
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_what_a_copy_does_is_not_the_nodes_success(host_of: Any, copy: str) -> None:
    said = host_of(**one_node(FORK.format(copy=copy, node="raise ValueError('the node fails')"))).run(
        free_outputs=["result"]
    )
    assert said.one(wire.RunFailed).failure.message == "the node fails"
    assert said.one(wire.NodeFailed) and said.one(wire.ChildExited).exit_code == 1
    assert not said.all(wire.RunFinished) and not said.all(wire.DatasetSaved) and not said.all(wire.NodeFinished)


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_what_a_copy_does_is_not_the_nodes_failure(host_of: Any, copy: str) -> None:
    said = host_of(**one_node(FORK.format(copy=f"print('from the copy')\n        {copy}", node="return 2"))).run(
        free_outputs=["result"]
    )
    assert said.one(wire.DatasetSaved).value == 2
    assert said.one(wire.NodeFinished) and said.one(wire.RunFinished) and said.one(wire.ChildExited).exit_code == 0
    assert not said.all(wire.NodeFailed) and not said.all(wire.RunFailed)
    assert "from the copy" in said.text


def test_a_copy_never_takes_the_next_step(host_of: Any, tmp_path: Any) -> None:
    host = host_of(**one_node(FORK.format(copy="return 1", node="return 2")))
    said = host.begin(nodes=["work"], store_folder=str(tmp_path / "store"), may_go_on=True)
    said.wait_for(wire.ChildWaited)
    wire.send(said.connection, wire.LeaveAsked())
    assert len(said.finish().all(wire.ChildWaited)) == 1


def test_the_workers_of_a_pool_end_quietly(host_of: Any) -> None:
    body = (
        "import concurrent.futures, multiprocessing\n\ndef double(x):\n    print('doubled', x)\n    return 2 * x\n\n"
        "def work():\n    context = multiprocessing.get_context('fork')\n"
        "    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:\n"
        "        return sum(pool.map(double, range(4)))"
    )
    said = host_of(**one_node(body)).run(free_outputs=["result"])
    assert said.one(wire.DatasetSaved).value == 12 and "doubled" in said.text
    assert said.one(wire.NodeFinished) and said.one(wire.ChildExited).exit_code == 0
