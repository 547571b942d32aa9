"""A small Kedro project for the choices of `kedro run`, and what plain `kedro run` makes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.kedro_console.kedro_projects import make_project

NODES = """
from pathlib import Path

def _note(name):
    with Path("data/diary.txt").open("a") as diary:
        diary.write(name + "\\n")

def fetch():
    _note("fetch")
    return {"rows": 3}

def clean(raw, label):
    _note("clean")
    return {**raw, "label": label}

def count(clean):
    _note("count")
    return clean

def tell(counts):
    _note("tell")

def deck(counts):
    _note("deck")
    return {"deck of": counts}

def show(deck):
    _note("show")
    return {"shown": deck}
"""

PIPELINES = """
from kedro.pipeline import Pipeline, node
from .nodes import *

def register_pipelines():
    whole = Pipeline([
        node(fetch, None, "raw", name="fetch", tags=["io"]),
        node(clean, ["raw", "params:label"], "clean", name="clean", namespace="a"),
        node(count, "clean", "counts", name="count", namespace="a.b"),
        node(tell, "counts", None, name="tell", tags=["io"]),
        node(deck, "counts", "deck", name="deck", namespace="ab"),
        node(show, "deck", "shown", name="show"),
    ])
    return {"__default__": whole, "whole": whole, "empty": Pipeline([])}
"""

CATALOG = """
raw: {type: json.JSONDataset, filepath: data/raw.json}
counts: {type: json.JSONDataset, filepath: data/counts.json}
deck: {type: json.JSONDataset, filepath: data/deck.json, versioned: true}
shown: {type: json.JSONDataset, filepath: data/shown.json}
"""

OLD = "2020-01-01T00.00.00.000Z"


def write_project(folder: Path, version: str = "") -> Path:
    """Whole, with the outputs of an earlier run; the versioned deck has an old version beside a new one."""
    make_project(folder, "choices", NODES, PIPELINES, CATALOG, {"label": "base"}, version=version)
    prod = folder / "conf/prod"
    prod.mkdir()
    (prod / "parameters.yml").write_text("label: prod\n")
    (prod / "catalog.yml").write_text("counts: {type: json.JSONDataset, filepath: data/prod_counts.json}\n")
    _write(folder / "data/raw.json", '{"rows": 2}')
    _write(folder / "data/counts.json", '{"rows": 1}')
    _write(folder / "data/shown.json", "{}")
    for name, text in ((OLD, '"old"'), ("2020-01-02T00.00.00.000Z", '"new"')):
        _write(folder / "data/deck.json" / name / "deck.json", text)
    return folder


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def copied(folder: Path, place: Path, *lost: str) -> Path:
    """The project elsewhere, without some of its outputs."""
    shutil.copytree(folder, place)
    for name in lost:
        (place / "data" / name).unlink()
    return place


def left(folder: Path) -> dict[str, Any]:
    """What a run left: the nodes that ran, and the content of every file; of versions how many, and the newest."""
    data = folder / "data"
    diary = data / "diary.txt"
    files = {each.name: each.read_text() for each in data.glob("*.json") if each.is_file()}
    versions = sorted((data / "deck.json").iterdir())
    newest = (versions[-1] / "deck.json").read_text()
    nodes = sorted(diary.read_text().split()) if diary.exists() else []
    return {"nodes": nodes, "files": files, "decks": len(versions), "newest": newest}


def kedro_run(folder: Path, *options: str, python: str = sys.executable) -> int:
    """Plain `kedro run`; its exit code."""
    environment = {**os.environ, "KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    command = [python, "-m", "kedro", "run", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode
