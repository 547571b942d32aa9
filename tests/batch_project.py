"""A Kedro project that works through a batch queue and is unlucky: nodes that raise, processes that kill themselves."""

from __future__ import annotations

from pathlib import Path

NODES = '''
import os, random, signal, sqlite3
from pathlib import Path
from kedro_console import batches, here


def fill(number):
    words = ({"word": f"word {n:07}", "n": n} for n in range(number))
    put = batches.put("words", words, key="word")
    return {"added": put.added, "known": put.known}


def ask(count, folder, bad_luck):
    """The batch's rows; some words are refused until the file `mended` is there."""
    chance, rows = random.Random(), []
    with (Path(folder) / "handed.log").open("a") as log:
        for item in (items := batches.take("words", count)):
            log.write(f"{here.run_id()} {item.attempt} {item.key}\\n")
    if chance.random() < bad_luck:
        raise ConnectionError("The API is away.")
    if chance.random() < bad_luck:
        os.kill(os.getpid(), signal.SIGKILL)
    for item in items:
        if item.body["n"] % 500 == 7 and not (Path(folder) / "mended").exists():
            item.fail(f"422: {item.key} is not a word")
        else:
            rows.append(item.key)
    return rows


def load(rows, folder, bad_luck):
    """Idempotent: the run's own rows are deleted before they are written."""
    with sqlite3.connect(Path(folder) / "table.db", timeout=60) as table:
        table.execute("CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, run TEXT)")
        table.execute("DELETE FROM words WHERE run = ?", [here.run_id()])
        table.executemany("INSERT OR REPLACE INTO words VALUES (?, ?)", [(row, here.run_id()) for row in rows])
    if random.Random().random() < bad_luck:
        os.kill(os.getpid(), signal.SIGKILL)
    return len(rows)


def drain(count, folder):
    with (Path(folder) / "drained.log").open("a") as log:
        for batch in batches.drain("words", count):
            log.writelines(f"{item.key}\\n" for item in batch)
            log.flush()
            if (Path(folder) / "stumble").exists():
                (Path(folder) / "stumble").unlink()
                os.kill(os.getpid(), signal.SIGKILL)
    return batches.describe("words").done
'''

PIPELINES = """
from kedro.pipeline import node, pipeline
from . import nodes as f


def register_pipelines():
    ask = node(f.ask, ["params:count", "params:folder", "params:bad_luck"], "rows", name="ask")
    load = node(f.load, ["rows", "params:folder", "params:bad_luck"], "loaded", name="load")
    fill = pipeline([node(f.fill, "params:number", "filled", name="fill")])
    drain = pipeline([node(f.drain, ["params:count", "params:folder"], "drained", name="drain")])
    return {"fill": fill, "work": pipeline([ask, load]), "drain": drain, "__default__": fill}
"""

PARAMETERS = "number: 100\ncount: 10\nfolder: data\nbad_luck: 0.0\n"


def write_batch_project(folder: Path) -> Path:
    """The project below this folder; its path."""
    source = folder / "src" / "unlucky"
    for place in (source, folder / "conf" / "base", folder / "conf" / "local", folder / "data"):
        place.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "unlucky"\nproject_name = "unlucky"\nkedro_init_version = "1.7.0"\n'
    )
    (source / "__init__.py").write_text("")
    (source / "settings.py").write_text("")
    (source / "nodes.py").write_text(NODES)
    (source / "pipeline_registry.py").write_text(PIPELINES)
    (folder / "conf" / "base" / "parameters.yml").write_text(PARAMETERS)
    (folder / "conf" / "base" / "catalog.yml").write_text("{}\n")
    return folder
