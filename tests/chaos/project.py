"""The pipelines of the chaos test: every node writes its start and its end into a file outside of everything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.toys import write_toy

NODES = '''
import json, os, time


def note(ledger, word, key, node):
    """One line by one write: lines of processes that write at once never mix, and a kill leaves a line whole or out."""
    line = json.dumps({"word": word, "key": key, "node": node, "pid": os.getpid(), "at": time.time()}) + "\\n"
    handle = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line.encode())
    os.close(handle)


def works(node):
    """A node that naps between two lines and hands on who ran which node."""
    def work(ledger, key, seconds, *before):
        note(ledger, "start", key, node)
        time.sleep(seconds)
        note(ledger, "end", key, node)
        return {name: pid for one in before for name, pid in one.items()} | {node: os.getpid()}
    work.__name__ = node
    return work


def refuses(ledger, key, before):
    note(ledger, "start", key, "refuses")
    raise ValueError("the shelf is empty")


def stumbles(ledger, key, before):
    """Raises once for each key, then works."""
    note(ledger, "start", key, "stumbles")
    with open(ledger) as lines:
        is_first = not any(json.loads(line)["word"] == "stumble" for line in lines if f'"{key}"' in line)
    if is_first:
        note(ledger, "stumble", key, "stumbles")
        raise ConnectionResetError("nobody answered")
    note(ledger, "end", key, "stumbles")
    return before | {"stumbles": os.getpid()}
'''

PIPELINES = """
from kedro.pipeline import node, pipeline
from . import nodes as f

GIVEN = ["params:ledger", "params:key"]


def work(name, output, *before):
    return node(f.works(name), [*GIVEN, "params:seconds", *before], output, name=name)


def register_pipelines():
    parts = [f"part_{number}" for number in range(4)]
    return {
        "__default__": pipeline([]),
        "line": pipeline([work("first", "a"), work("second", "b", "a"), work("third", "out", "b")]),
        "single": pipeline([work("only", "out")]),
        "long": pipeline([work("only", "out")]),
        "ticked": pipeline([work("only", "out")]),
        "fan": pipeline(
            [work("split", "words")] + [work(p, f"d_{p}", "words") for p in parts]
            + [work("join", "out", *[f"d_{p}" for p in parts])]
        ),
        "refusing": pipeline([work("first", "a"), node(f.refuses, [*GIVEN, "a"], "out", name="refuses")]),
        "stumbling": pipeline([work("first", "a"), node(f.stumbles, [*GIVEN, "a"], "out", name="stumbles")]),
    }
"""

PARAMETERS = """
ledger: /dev/null
key: none
seconds: 0.1
"""


@dataclass(frozen=True)
class Kind:
    """A pipeline of the test: what its runs have to come to, and how often it is started (0: by the clock alone)."""

    nodes: tuple[str, ...]
    end: str = "succeeded"
    weight: int = 1
    naps: tuple[float, float] = (0.05, 0.5)
    settings: tuple[tuple[str, Any], ...] = ()


KINDS: Final[dict[str, Kind]] = {
    "line": Kind(("first", "second", "third"), weight=4),
    "single": Kind(("only",), weight=3, naps=(0.1, 3.0)),
    "long": Kind(("only",), naps=(5.0, 9.0)),
    "fan": Kind(
        ("split", "part_0", "part_1", "part_2", "part_3", "join"), weight=2, settings=(("runner", "distributed"),)
    ),
    "ticked": Kind(("only",), weight=0),
    "refusing": Kind(("first",), end="failed"),
    "stumbling": Kind(("first", "stumbles"), settings=(("retries", 1), ("retry_wait_seconds", 1))),
}


def write_project(folder: Path) -> Path:
    """The Kedro project below this folder; its path."""
    path = write_toy(folder, package="chaos")
    source = path / "src" / "chaos"
    (source / "nodes.py").write_text(NODES)
    (source / "pipeline_registry.py").write_text(PIPELINES)
    (path / "conf" / "base" / "parameters.yml").write_text(PARAMETERS)
    (path / "conf" / "base" / "catalog.yml").write_text("")
    return path
