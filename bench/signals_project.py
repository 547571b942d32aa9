"""A Kedro project for the benchmarks of signals: one pipeline that starts itself while items wait, one by the clock."""

from __future__ import annotations

from pathlib import Path

from bench.lay_out import lay_out

NODES = '''
import os, random, signal, time
from kedro_console import batches, here
from kedro_console.http import Client
from kedro_console.tables import load


def fill(number):
    rows = ({"word": f"word {n:07}", "n": n} for n in range(number))
    return batches.put("words", rows, key="word").added


def ask(api, count):
    """One request for each item taken, each under the quota."""
    with Client(api, quota="bench", retries=5) as client:
        for item in (items := batches.take("words", count)):
            client.post_json("/metrics", {"keywords": [item.key]}, is_repeatable=True)
    return len(items)


def work(count, folder, bad_luck):
    """A batch into the table; the node raises, kills its own process and refuses words, until the file is there."""
    chance, rows = random.Random(), []
    items = batches.take("words", count)
    if chance.random() < bad_luck:
        raise ConnectionError("The API is away.")
    for item in items:
        if item.body["n"] % 500 == 7 and not os.path.exists(f"{folder}/mended"):
            item.fail(f"422: {item.key} is not a word")
        else:
            rows.append({"word": item.key, "length": len(item.key)})
    load(rows, "words", connection=f"sqlite:///{folder}/table.db", key="word", columns=["word", "length"])
    if chance.random() < bad_luck:
        os.kill(os.getpid(), signal.SIGKILL)
    return len(rows)
'''

PIPELINES = """
from kedro.pipeline import node, pipeline
from . import nodes as f


def register_pipelines():
    fill = pipeline([node(f.fill, "params:number", "filled", name="fill")])
    asking = ["params:api", "params:count"]
    working = ["params:count", "params:folder", "params:bad_luck"]
    return {
        "__default__": fill,
        "fill": fill,
        "by_events": pipeline([node(f.ask, asking, "asked", name="ask")]),
        "by_the_clock": pipeline([node(f.ask, asking, "asked", name="ask")]),
        "loop": pipeline([node(f.work, working, "loaded", name="work")]),
    }
"""

CONSOLE = """
quotas:
  bench: {{windows: [1 request per {seconds} seconds]}}
batch_queues:
  words: {{max_attempts: 5}}
rules:
  Events go on:
    when: [by_events]
    start: by_events
    outcome: finished
    condition: batches.words.waiting > `0`
    mapping: {{api: parameters.api, count: parameters.count}}
    max_iterations: 1000000
  The loop goes on:
    when: [loop]
    start: loop
    outcome: finished
    condition: batches.words.waiting > `0`
    mapping: {{count: parameters.count, folder: parameters.folder, bad_luck: parameters.bad_luck}}
    max_iterations: 1000000
"""

PARAMETERS = "number: 30\napi: http://127.0.0.1:1\ncount: 1\nfolder: data\nbad_luck: 0.0\n"


def write_signals_project(folder: Path, seconds: int) -> Path:
    """The project below this folder, under a quota of one request in so many seconds; its path."""
    (folder / "data").mkdir(parents=True)
    configuration = {"parameters": PARAMETERS, "console": CONSOLE.format(seconds=seconds)}
    return lay_out(
        folder, "signals", modules={"nodes": NODES, "pipeline_registry": PIPELINES}, configuration=configuration
    )
