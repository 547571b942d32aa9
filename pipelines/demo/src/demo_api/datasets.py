"""The public data that comes with the vega-datasets package, read once and kept in memory."""

from __future__ import annotations

import csv
import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Row = dict[str, Any]

WHOLE_NUMBER = re.compile(r"-?(0|[1-9]\d*)")
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")


def package_folder() -> Path:
    """Where vega-datasets keeps its files. The package is located, not imported: importing it loads pandas."""
    spec = find_spec("vega_datasets")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("The demo API serves the files of vega-datasets: run `pip install vega-datasets`.")
    return Path(spec.submodule_search_locations[0])


@cache
def sources() -> dict[str, Path]:
    """The data sets' names and files."""
    files = (package_folder() / "_data").iterdir()
    return {file.stem: file for file in sorted(files) if file.suffix in {".csv", ".json"}}


@cache
def descriptions() -> dict[str, str]:
    """What the package says about each data set; not all have a description."""
    facts: dict[str, dict[str, str]] = json.loads((package_folder() / "dataset_info.json").read_text("utf-8"))
    return {name: fact.get("description", "") for name, fact in facts.items()}


@cache
def rows(name: str) -> list[Row]:
    """All rows of a data set in the file's order; KeyError when there is none of that name."""
    file = sources()[name]
    if file.suffix == ".json":
        return list(json.loads(file.read_text("utf-8")))
    with file.open(encoding="utf-8", newline="") as lines:
        return typed(list(csv.DictReader(lines)))


def typed(records: list[dict[str, str]]) -> list[Row]:
    """CSV text as JSON values, one type a column: whole numbers, numbers or text; an empty cell is null."""
    convert = {column: converter(record[column] for record in records) for column in records[0]}
    return [{column: convert[column](text) if text else None for column, text in row.items()} for row in records]


def converter(texts: Any) -> Any:
    """The narrowest type that holds every cell of a column."""
    filled = [text for text in texts if text]
    if all(WHOLE_NUMBER.fullmatch(text) for text in filled):
        return int
    return float if all(NUMBER.fullmatch(text) for text in filled) else str
