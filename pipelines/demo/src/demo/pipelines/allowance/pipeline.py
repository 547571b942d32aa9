"""The graph of the daily allowance."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from demo.pipelines.allowance.fetch import fetch_rows


def daily_rows() -> Pipeline:
    """One request → the table."""
    return Pipeline(
        [node(fetch_rows, ["params:rows_api", "params:allowance"], ["daily_rows", "fetched"], name="fetch_daily_rows")]
    )
