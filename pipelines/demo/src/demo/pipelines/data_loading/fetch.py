"""Fetch all rows of a JSON API, page by page."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import pandas as pd
import stamina
from pydantic import BaseModel, Field
from tqdm import tqdm

logger = logging.getLogger(__name__)

# Reading the certificates takes longer than a page: once a process, and none at all in one forked from a warm one.
TLS = httpx2.create_ssl_context()
ROW_KEYS = ("items", "results", "data")


class FetchError(RuntimeError):
    """The API did not give rows; the message says which address and why."""


class FetchSettings(BaseModel):
    """How patient the fetch is."""

    attempts: int = Field(
        4, ge=1, le=20, description="Tries for a page that fails with a lost connection, 429 or 5xx; 1 = no second try."
    )
    timeout_seconds: float = Field(30.0, gt=0, le=600, description="How long to wait for one answer.")
    longest_wait_seconds: float = Field(
        60.0, ge=0, le=3600, description="A Retry-After beyond this fails the run instead of waiting."
    )


def fetch_rows(api_url: str, fetch: FetchSettings) -> pd.DataFrame:
    """All rows behind `api_url` in the API's order, one column a key; FetchError says what stood in the way."""
    rows: list[dict[str, Any]] = []
    client = httpx2.Client(timeout=fetch.timeout_seconds, follow_redirects=True, verify=TLS)
    with client, tqdm(desc="Fetching", unit="page") as progress:
        for page in pages(client, api_url, fetch):
            rows += rows_of(page, api_url)
            progress.total = page.get("pages") if isinstance(page, dict) else None
            progress.update()
    if not rows:
        raise FetchError(f"{api_url} answered no rows: there is nothing to report on.")
    logger.info("Fetched %d rows from %s in %d pages.", len(rows), api_url, progress.n)
    return pd.DataFrame.from_records(rows).convert_dtypes()


def pages(client: httpx2.Client, api_url: str, fetch: FetchSettings) -> Iterator[Any]:
    """The JSON of each page, following `next` in the body or the Link header within the same server."""
    url: str | None = api_url
    seen: set[str] = set()
    while url:
        if url in seen:
            raise FetchError(f"{url} names itself or an earlier page as the next one: the pages would never end.")
        seen.add(url)
        response = get(client, url, fetch)
        page = json_of(response)
        yield page
        url = next_url(response, page)


def get(client: httpx2.Client, url: str, fetch: FetchSettings) -> httpx2.Response:
    """One answer of status 2xx; lost connections, 429 and 5xx are tried again, Retry-After is obeyed."""

    def backoff(error: Exception) -> bool | timedelta:
        return wait_before_retry(error, fetch.longest_wait_seconds)

    try:
        for attempt in stamina.retry_context(on=backoff, attempts=fetch.attempts, timeout=None, wait_max=10.0):
            with attempt:
                return client.get(url).raise_for_status()
    except httpx2.HTTPStatusError as error:
        raise FetchError(bad_status(error.response)) from error
    except (httpx2.TransportError, httpx2.InvalidURL, httpx2.TooManyRedirects) as error:
        raise FetchError(f"{url} could not be reached ({error}). Is params:api_url right and the server up?") from error
    raise AssertionError("stamina gives at least one attempt")


def wait_before_retry(error: Exception, longest_seconds: float) -> bool | timedelta:
    """False: do not try again; True: with the usual backoff; a timedelta: after exactly that."""
    if isinstance(error, httpx2.HTTPStatusError):
        response = error.response
        if response.status_code != httpx2.codes.TOO_MANY_REQUESTS and response.status_code < 500:
            return False
        asked = retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
        if asked is None:
            return True
        return asked if asked.total_seconds() <= longest_seconds else False
    return isinstance(error, httpx2.TransportError) and not isinstance(error, httpx2.UnsupportedProtocol)


def retry_after(header: str, now: datetime) -> timedelta | None:
    """The wait that a Retry-After header asks for, given in seconds or as a date; None when it says neither."""
    if header.isascii() and header.isdigit():
        return timedelta(seconds=min(int(header), 10**9))
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(until.replace(tzinfo=until.tzinfo or UTC) - now, timedelta())


def bad_status(response: httpx2.Response) -> str:
    """One sentence about an answer that was not 2xx, with what the API itself said."""
    wait = response.headers.get("Retry-After")
    hint = f" It asks to wait: Retry-After {wait}." if wait else ""
    said = " ".join(response.text.split())[:300]
    return f"{response.url} answered {response.status_code} {response.reason_phrase}: {said or 'nothing more'}.{hint}"


def json_of(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        kind = response.headers.get("Content-Type", "no type")
        raise FetchError(f"{response.url} answered {kind} that is not JSON: {response.text[:120]!r}.") from error


def rows_of(page: Any, api_url: str) -> list[dict[str, Any]]:
    """The rows of one page: the page itself, or its `items`, `results` or `data`."""
    rows = page
    if isinstance(page, dict):
        rows = next((page[key] for key in ROW_KEYS if key in page), None)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FetchError(
            f"{api_url} answered JSON without rows: a list of objects, or one under {', '.join(ROW_KEYS)}."
        )
    return rows


def next_url(response: httpx2.Response, page: Any) -> str | None:
    """Where the next page is; FetchError when the API sends us to another server."""
    following = page.get("next") if isinstance(page, dict) else None
    following = following or response.links.get("next", {}).get("url")
    if not following:
        return None
    url = response.url.join(following)
    if (url.scheme, url.host, url.port) != (response.url.scheme, response.url.host, response.url.port):
        raise FetchError(f"{response.url} names a next page on another server ({url.host}): refused.")
    return str(url)
