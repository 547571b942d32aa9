"""The pipelines of this project by name."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from demo.pipelines import data_loading, reporting, subcollectors


def register_pipelines() -> dict[str, Pipeline]:
    """`data_loading` fetches and processes; `reporting` is the whole way to the delivered files, and the default;
    `subcollectors` collects from many sources at once."""
    loading = data_loading.create_pipeline()
    whole = loading + reporting.create_pipeline()
    collecting = subcollectors.create_pipeline(subcollectors.collect_nodes())
    return {"__default__": whole, "data_loading": loading, "reporting": whole, "subcollectors": collecting}
