"""The graphs of the keyword metrics."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from demo.pipelines.keywords.metrics import ask_metrics
from demo.pipelines.keywords.metrics import store_failed_requests as store_failed
from demo.pipelines.keywords.query import make_source, put_keywords, run_query
from demo.pipelines.keywords.query import store_query_result as store_query


def keyword_query() -> Pipeline:
    """Table → the query's rows → the batch queue."""
    return Pipeline(
        [
            node(make_source, "params:keyword_source", "keyword_database", name="make_source"),
            node(run_query, ["keyword_database", "params:keyword_query"], "keyword_rows", name="run_query"),
            node(put_keywords, "keyword_rows", "keywords_put", name="put_keywords"),
        ]
    )


def keyword_metrics() -> Pipeline:
    """A batch of the queue → requests → the table."""
    outputs = ["keyword_metrics", "failed_requests", "metrics_summary"]
    return Pipeline(
        [node(ask_metrics, ["params:metrics_api", "params:keyword_metrics"], outputs, name="ask_metrics")]
    )  # fmt: skip


def store_query_result() -> Pipeline:
    """A side job: the query's result for the record."""
    return Pipeline([node(store_query, "keyword_rows", "stored_query", name="store_query_result")])


def store_failed_requests() -> Pipeline:
    """A side job: what failed, for later inspection."""
    failed = "params:failed_requests"
    return Pipeline([node(store_failed, failed, "failed_keyword_requests", name="store_failed_requests")])
