"""A Kedro project with two fans for the benchmark: one node, a hundred beside each other, and one that joins them."""

from __future__ import annotations

from pathlib import Path

from bench.lay_out import lay_out

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
    modules = {"nodes": f"{NODES}\n\nWIDTH, NAP_SECONDS = {WIDTH}, {NAP_SECONDS}\n", "pipeline_registry": REGISTRY}
    return lay_out(folder, "fans", modules=modules, configuration={"parameters": "start: 1\n"})
