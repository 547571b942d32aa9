"""Ask the API for the metrics of a batch of keywords."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, Field

from demo.pipelines.keywords.query import QUEUE
from kedro_console import batches
from kedro_console.batches import Item
from kedro_console.http import Client, HttpError

logger = logging.getLogger(__name__)

Row = dict[str, Any]


class MetricsSettings(BaseModel):
    """How much one run takes and how it asks."""

    batch: int = Field(100, ge=1, le=100_000, description="Items that one run takes from the queue.")
    per_request: int = Field(50, ge=1, le=1_000, description="Keywords in one request.")
    quota: str = "metrics"
    retries: int = Field(3, ge=0, le=20, description="Further attempts of a request that fails.")
    timeout_seconds: float = Field(30.0, gt=0, le=600)


def ask_metrics(metrics_api: str, keyword_metrics: MetricsSettings) -> tuple[list[Row], list[Row], dict[str, int]]:
    """The metrics of one batch, the requests that failed, and the counts; keywords of a failed one go back."""
    items = batches.take(QUEUE, keyword_metrics.batch)
    rows: list[Row] = []
    failed: list[Row] = []
    with Client(
        metrics_api,
        quota=keyword_metrics.quota,
        retries=keyword_metrics.retries,
        timeout=keyword_metrics.timeout_seconds,
    ) as api:
        for share in shares(items, keyword_metrics.per_request):
            try:
                rows += ask(api, share)
            except HttpError as error:
                failed.append(given_up(share, error))
    logger.info("%d of %d keywords have metrics, %d requests failed.", len(rows), len(items), len(failed))
    return rows, failed, {"taken": len(items), "rows": len(rows), "failed_requests": len(failed)}


def shares(items: list[Item], size: int) -> Iterator[list[Item]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def ask(api: Client, share: list[Item]) -> list[Row]:
    """One request; it may be sent again, asking twice for metrics does no harm."""
    answer = api.post_json("/metrics", {"keywords": [item.body["keyword"] for item in share]}, is_repeatable=True)
    rows: list[Row] = answer["metrics"]
    return rows


def given_up(share: list[Item], error: HttpError) -> Row:
    """Its items go back to the queue; what failed is told for the record."""
    logger.warning("%s", error)
    for item in share:
        item.fail(error)
    first, last = share[0].key, share[-1].key
    return {"first": first, "last": last, "keywords": len(share), "status": error.status, "error": str(error)[:500]}


def store_failed_requests(failed_requests: list[Row]) -> list[Row]:
    """The failed requests of another run, as rows of the table that keeps them."""
    return failed_requests


def yearly_volume(row: Mapping[str, Any]) -> int:
    """Searches in a year, for the column that the catalog computes."""
    return int(row["search_volume"]) * 12
