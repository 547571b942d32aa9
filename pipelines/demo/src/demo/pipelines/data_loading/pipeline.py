"""The graph of `data_loading`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from demo.pipelines.data_loading.fetch import fetch_rows
from demo.pipelines.data_loading.process import count_rows, process_rows


def create_pipeline() -> Pipeline:
    """API → `raw_data` → `processed_data`, and `row_counts` as the result."""
    return Pipeline(
        [
            node(fetch_rows, ["params:api_url", "params:fetch"], "raw_data", name="fetch_rows", tags="loading"),
            node(process_rows, "raw_data", "processed_data", name="process_rows", tags="loading"),
            node(count_rows, ["raw_data", "processed_data"], "row_counts", name="count_rows", tags="loading"),
        ]
    )
