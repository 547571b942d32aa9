"""Warm start and whole run of a three-node project: the console against `kedro run` as a process, in turn.

Usage: python -m bench.warm_start [ROUNDS]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from bench.stage import Console, conditions, console, table
from tests.toys import write_toy

STAMP_HOOKS = """
import os, time
from kedro.framework.hooks import hook_impl


class FirstNode:
    @hook_impl
    def before_node_run(self, node):
        path = os.environ.get("FIRST_NODE_STAMP")
        if path and not os.path.exists(path):
            with open(path, "w") as stamp:
                stamp.write(str(time.time()))
"""


def by_process(project: Path, stamp: Path) -> tuple[float, float]:
    """Seconds from the call to the first node's start, and to the end, of `kedro run`."""
    stamp.unlink(missing_ok=True)
    environment = {**os.environ, "KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "FIRST_NODE_STAMP": str(stamp)}
    kedro = Path(sys.executable).with_name("kedro")
    began = time.time()
    subprocess.run(
        [sys.executable, str(kedro), "run", "--pipelines", "chain"], cwd=project, env=environment, check=True,
        capture_output=True,
    )  # fmt: skip
    return float(stamp.read_text()) - began, time.time() - began


def by_console(stage: Console, word: str) -> tuple[float, float, float]:
    """Seconds of the submit call, from it to the first node's start, and to the end, of a run of the console."""
    began = time.time()
    job = stage.call("POST", "/jobs", {"pipeline_name": "chain", "parameters": {"word": word}})
    submitted = time.time() - began
    job = stage.ended(job)
    assert job["status"] == "completed", job["error_message"]
    assert job["results"]["c"]["value"]["word"] == word, "the work was not done"
    nodes = stage.call("GET", f"/jobs/{job['id']}/nodes")
    first = min(datetime.fromisoformat(node["started_at"]).timestamp() for node in nodes)
    return submitted, first - began, datetime.fromisoformat(job["completed_at"]).timestamp() - began


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with console("--no-demo") as stage:
        project = write_toy(stage.folder / "toy")
        (project / "src" / "toy" / "hooks.py").write_text(STAMP_HOOKS)
        (project / "src" / "toy" / "settings.py").write_text(
            "from toy.hooks import FirstNode\nHOOKS = (FirstNode(),)\n"
        )
        stage.manage("project", "add", str(project))
        by_console(stage, "warm-up")
        by_process(project, stage.folder / "stamp")
        ours, theirs = [], []
        for number in range(rounds):
            ours.append(by_console(stage, f"word-{number}"))
            theirs.append(by_process(project, stage.folder / "stamp"))
    report(ours, theirs)


def report(ours: list[tuple[float, float, float]], theirs: list[tuple[float, float]]) -> None:
    submit, first, done = (statistics.median(column) for column in zip(*ours, strict=True))
    cli_first, cli_done = (statistics.median(column) for column in zip(*theirs, strict=True))
    print(f"Three nodes, medians of {len(ours)} rounds in turn; {conditions()}\n")
    rows = [
        ["submit call", f"{submit * 1000:.0f} ms", "–", "–"],
        ["start → first node", f"{first * 1000:.0f} ms", f"{cli_first * 1000:.0f} ms", f"{cli_first / first:.1f} ×"],
        ["start → done", f"{done * 1000:.0f} ms", f"{cli_done * 1000:.0f} ms", f"{cli_done / done:.1f} ×"],
    ]
    print(table(["", "console (isolated)", "kedro run", "faster"], rows))
    print(json.dumps({"first_ratio": round(cli_first / first, 1), "done_ratio": round(cli_done / done, 1)}))


if __name__ == "__main__":
    main()
