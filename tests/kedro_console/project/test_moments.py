"""What a project takes while it is imported is the run's own, as under `kedro run`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from host_client import PIPELINES
from kedro_projects import make_project, one_node
from snapshots import snapshot

from kedro_console import wire

TAKES = {
    "an id": "import uuid\nTAKEN = str(uuid.uuid4())\n",
    "the time": "from datetime import datetime as dt\nTAKEN = dt.now().isoformat()\n",
    "in a class": "import time\nclass Settings:\n    taken = time.time_ns()\nTAKEN = Settings.taken\n",
    "as a default": "import os\ndef one(taken=os.urandom(4).hex()):\n    return taken\nTAKEN = one()\n",
    "by a function": "import secrets\ndef one():\n    return secrets.token_hex(4)\nTAKEN = one()\n",
    "a draw": "import random\nTAKEN = random.randint(0, 10**9)\n",
}
TAKES_NOTHING = (
    "import time, uuid\ndef f():\n    return uuid.uuid4(), time.time()\nclass A:\n"
    "    def b(self):\n        return time.time()\n"
    "g = lambda: uuid.uuid4()\nif __name__ == '__main__':\n    print(time.time())\nTAKEN = 1\n"
)
WORK = "\ndef work():\n    print('taken:', TAKEN)\n    return 1\n"


@pytest.mark.parametrize("source", TAKES.values(), ids=TAKES)
def test_what_the_import_takes_is_another_in_each_run(host_of, source):
    host = host_of(**one_node(source + WORK))
    said = [next(each for each in host.run().text.splitlines() if "taken:" in each) for _ in range(2)]
    assert said[0] != said[1]


def test_what_a_function_takes_later_costs_no_process(tmp_path: Path) -> None:
    assert _found(make_project(tmp_path / "project", **one_node(TAKES_NOTHING + WORK))) == ""


def test_the_place_is_named_in_the_picture(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", **one_node(TAKES["an id"] + WORK))
    found = [each for each in snapshot(project).hooks if not each.name]
    assert found == [wire.SnapshotHook("", "", [], ["its import takes uuid.uuid4 (src/demo/nodes.py, line 2)"])]


def _found(project: Path) -> str:
    code = f"import sys; sys.path.insert(0, {str(project / 'src')!r}); import demo.nodes, pathlib\n"
    code += f"from kedro_console.project import moments; print(moments.found(pathlib.Path({str(project)!r})), end='')"
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": PIPELINES}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
