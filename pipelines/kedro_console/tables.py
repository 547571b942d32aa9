"""Load rows into a table so that doing it again changes nothing: each row carries the run's id.

    from kedro_console import tables

    tables.load(rows, "keyword_metrics", connection="sqlite:///data/metrics.db", key="keyword")

In one transaction the rows of this run are deleted and the new ones inserted: a load that was killed, retried or run
twice leaves its rows once, and those of other runs as they were. In a catalog:

    metrics:
      type: kedro_console.tables.LoadedTable
      table: keyword_metrics
      connection: sqlite:///data/metrics.db     # or credentials: {con: postgresql://…}
      columns:
        keyword: {text: [strip, lower]}
        volume: {from: search_volume, cast: int}
"""

from __future__ import annotations

from typing import Any

from kedro_console.loading.columns import LoadError
from kedro_console.loading.load import Loaded, load

__all__ = ["LoadError", "Loaded", "load"]


def __getattr__(name: str) -> Any:
    """The dataset needs Kedro, the rest does not."""
    if name == "LoadedTable":
        from kedro_console.loading.loaded_table import LoadedTable

        return LoadedTable
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
