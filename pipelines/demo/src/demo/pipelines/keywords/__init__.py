"""Keyword metrics: SQL → batch queue → requests in batches → table, with two side jobs."""

from demo.pipelines.keywords.pipeline import (
    keyword_metrics,
    keyword_query,
    store_failed_requests,
    store_query_result,
)

__all__ = ["keyword_metrics", "keyword_query", "store_failed_requests", "store_query_result"]
