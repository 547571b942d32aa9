"""A Kedro project with two fans for the benchmark: one node, a hundred beside each other, and one that joins them."""

from __future__ import annotations

from pathlib import Path

WIDTH = 100
NAP_SECONDS = 0.1

NODES = """
import time


def seed(start):
    return [start] * WIDTH


def pass_on(numbers):
    return numbers[0]


def nap(numbers):
    time.sleep(NAP_SECONDS)
    return numbers[0]


def total(*numbers):
    return sum(numbers)
"""

REGISTRY = """
from kedro.pipeline import node, pipeline

from fans import nodes


def fan(middle):
    parts = [f"part_{number:03}" for number in range(nodes.WIDTH)]
    return pipeline(
        [node(nodes.seed, "params:start", "numbers", name="seed")]
        + [node(middle, "numbers", part, name=f"node_{part}") for part in parts]
        + [node(nodes.total, parts, "total", name="total")]
    )


def register_pipelines():
    return {"__default__": fan(nodes.pass_on), "noops": fan(nodes.pass_on), "naps": fan(nodes.nap)}
"""


def write(folder: Path) -> Path:
    """The project in this folder; its path. Every pipeline's `total` is WIDTH × `start`."""
    source = folder / "src" / "fans"
    source.mkdir(parents=True)
    for name in ("base", "local"):
        (folder / "conf" / name).mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "fans"\nproject_name = "fans"\nkedro_init_version = "1.7.0"\n'
    )
    (source / "__init__.py").write_text("")
    (source / "settings.py").write_text("")
    (source / "nodes.py").write_text(f"{NODES}\n\nWIDTH, NAP_SECONDS = {WIDTH}, {NAP_SECONDS}\n")
    (source / "pipeline_registry.py").write_text(REGISTRY)
    (folder / "conf" / "base" / "parameters.yml").write_text("start: 1\n")
    (folder / "conf" / "base" / "catalog.yml").write_text("{}\n")
    return folder
