"""A Kedro project of 60 nodes in namespaces three deep, with 400 parameters, nested ones and dotted ones among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from bench.lay_out import lay_out

REGIONS: Final = {"emea": ("dach", "uk", "nordics"), "apac": ("anz", "japan", "india")}
PARTS: Final = {
    "load": ("fetch", "check", "clean", "join", "weigh"),
    "model": ("split", "train", "score", "compare", "report"),
}

REGISTRY: Final = '''
import time
from functools import partial

from kedro.pipeline import Pipeline, node

REGIONS = {regions!r}
PARTS = {parts!r}


def step(*tables, label=""):
    """Pass on how many rows there are, a little later."""
    time.sleep(0.02)
    options = tables[-1]
    if label.endswith("uk.model.score") and options.get("is_strict"):
        raise ValueError(f"{{label}}: 12 of 480 rows have no weight")
    return {{"rows": 480 + len(tables)}}


def raw():
    return {{"rows": 480}}


def register_pipelines():
    nodes = []
    for region, places in REGIONS.items():
        for place in places:
            before = "survey"
            for part, names in PARTS.items():
                for name in names:
                    space = f"{{region}}.{{place}}.{{part}}"
                    table = f"{{space}}.{{name}}d"
                    reads = [before, f"params:{{region}}.{{place}}.{{part}}.{{name}}"]
                    nodes.append(node(partial(step, label=f"{{space}}.{{name}}"), reads, table, name=name,
                                      namespace=space, tags=[region]))
                    before = table
    everything = Pipeline([node(raw, None, "survey", name="read_survey"), *nodes])
    return {{"markets": everything, "__default__": everything}}
'''


def parameters() -> dict[str, Any]:
    """400 leaves: seven of each node, and a few of all."""
    found: dict[str, Any] = {"2026.preprocessing.scouts:": {"top": 5}, "currency": "EUR", "is_dry_run": False}
    for region, places in REGIONS.items():
        for place in places:
            for part, names in PARTS.items():
                for number, name in enumerate(names):
                    own = found.setdefault(region, {}).setdefault(place, {}).setdefault(part, {})
                    own[name] = {
                        "is_strict": False,
                        "rows": 480 + number,
                        "weights": {"age": 0.4, "income": 0.6, "by.region": number},
                        "label": f"{name} of {place}",
                    }
    return found


def make(folder: Path) -> Path:
    """The project's path."""
    registry = REGISTRY.format(regions=REGIONS, parts=PARTS)
    configuration = {"parameters": yaml.safe_dump(parameters(), sort_keys=False)}
    return lay_out(folder, "markets", modules={"pipeline_registry": registry}, configuration=configuration)


if __name__ == "__main__":
    import sys

    make(Path(sys.argv[1]))
