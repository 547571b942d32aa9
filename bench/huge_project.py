"""A Kedro project of two pipelines of 500 nodes: one in namespaces two deep, one without any."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench.lay_out import lay_out

REGISTRY: Final = """
from kedro.pipeline import Pipeline, node

REGIONS = ("emea", "apac", "amer", "nordics", "iberia", "balkans", "maghreb", "andes", "pacific", "baltic")
PLACES = ("north", "east", "south", "west", "centre")
STEPS = ("fetch", "check", "clean", "join", "weigh", "split", "train", "score", "compare", "report")


def step(*tables):
    return tables


def in_namespaces():
    for region in REGIONS:
        before = "survey"
        for place in PLACES:
            for name in STEPS:
                table = f"{region}.{place}.{name}d"
                yield node(step, before, table, name=name, namespace=f"{region}.{place}")
                before = table


def without_namespaces():
    for number in range(500):
        reads = "survey" if number == 0 else f"table_{(number - 1) // 3}"
        yield node(step, reads, f"table_{number}", name=f"{STEPS[number % 10]}_{number:03}")


def register_pipelines():
    spaces, flat = Pipeline(list(in_namespaces())), Pipeline(list(without_namespaces()))
    return {"in_namespaces": spaces, "without_namespaces": flat, "__default__": spaces}
"""


def make(folder: Path) -> Path:
    """The project's path."""
    catalog = {"catalog": "survey: {type: kedro.io.MemoryDataset, data: [1]}\n"}
    return lay_out(folder, "atlas", modules={"pipeline_registry": REGISTRY}, configuration=catalog)
