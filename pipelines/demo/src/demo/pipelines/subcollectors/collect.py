"""Collect the rows of one share of the sources; a source that gives up is marked as missing and harms no other."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import httpx2

from demo.pipelines.data_loading.fetch import TLS, FetchError, FetchSettings, pages, rows_of
from demo.pipelines.subcollectors.request import Request, Share

logger = logging.getLogger(__name__)

Row = dict[str, Any]


@dataclass(frozen=True)
class Collected:
    """What one collector brought from its source; `missing` says why it brought nothing."""

    source: str
    rows: list[Row] = field(default_factory=list)
    missing: str = ""


def collect(request: Request, share: Share, fetch: FetchSettings) -> list[Collected]:
    """One result for each source of this share, in its order."""
    client = httpx2.Client(timeout=fetch.timeout_seconds, follow_redirects=True, verify=TLS)
    with client:
        return [collect_source(client, source, request["topic"], fetch) for source in share]


def collect_source(client: httpx2.Client, source: str, topic: str, fetch: FetchSettings) -> Collected:
    """The rows of all pages of one source that are about the topic; missing when its tries are used up."""
    try:
        rows = [row for page in pages(client, source, fetch) for row in rows_of(page, source)]
    except FetchError as error:
        logger.warning("%s gives up: %s", source, error)
        return Collected(source, missing=str(error))
    about = [row for row in rows if is_about(row, topic)]
    logger.info("%s: %d rows, %d about “%s”.", source, len(rows), len(about), topic)
    return Collected(source, about)


def is_about(row: Row, topic: str) -> bool:
    """Whether some text of the row contains the topic, in whatever case; an empty topic takes every row."""
    return any(topic.lower() in value.lower() for value in row.values() if isinstance(value, str)) or not topic
