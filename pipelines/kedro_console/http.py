"""An HTTP client for nodes that keeps to a quota, tries again with sense, and turns pages.

    from kedro_console.http import Client

    with Client("https://api.example.com/v1", quota="chat", retries=5, timeout=10) as api:
        answer = api.post_json("/chat", {"prompt": "…"})
        rows = [row for page in api.pages("/rows", params={"size": 100}) for row in page["items"]]

It stands on httpx2 or httpx, whichever the project has, and works under plain `kedro run` too; there no quota limits.
"""

from __future__ import annotations

import importlib
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import TracebackType
from typing import Any

from kedro_console.line import here
from kedro_console.traffic import traffic
from kedro_console.wire import seconds_asked

logger = logging.getLogger(__name__)

LIBRARIES = ("httpx2", "httpx")
MISSING = "kedro_console.http needs httpx: add httpx (or httpx2) to the requirements of the project."
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods that do the same when they are done twice."""
FIRST_WAIT_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 60.0
TRIED_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
REFUSED_UNREAD = frozenset({425, 429, 503})
"""The server says that it did not work on the request: any method may be tried again."""


class HttpError(RuntimeError):
    """There is no good answer; the message says which address, what came, and how often it was tried.

    `status` is the last answer's, 0 when there was none; `response` is that answer, or None.
    """

    def __init__(self, sentence: str, response: Any = None) -> None:
        super().__init__(sentence)
        self.response = response
        self.status = int(response.status_code) if response is not None else 0


def library() -> Any:
    """httpx2 or httpx; HttpError when the project has neither."""
    for name in LIBRARIES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise HttpError(MISSING)


class Client:
    """Requests below one address. What is not named here (`headers`, `auth`, `verify`, `transport` …) goes to httpx.

    quota    the console's quota that each attempt takes one request of; "" = none
    retries  further attempts after the first for lost connections, 429 and 5xx, with backoff and jitter
    timeout  seconds for one attempt
    longest_wait_seconds  a Retry-After beyond it is an error instead of a wait
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        quota: str = "",
        retries: int = 3,
        timeout: float = 30.0,
        longest_wait_seconds: float = 300.0,
        sleep: Callable[[float], None] = time.sleep,
        **options: Any,
    ) -> None:
        self._library = library()
        self._quota, self._retries, self._longest, self._sleep = quota, retries, longest_wait_seconds, sleep
        self._client = self._library.Client(base_url=base_url, timeout=timeout, **{"follow_redirects": True, **options})

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    # ---- one request

    def request(self, method: str, url: str, *, rows: int = 0, is_repeatable: bool | None = None, **what: Any) -> Any:
        """httpx's response of status 2xx; HttpError when there is none after all attempts.

        `rows` are taken of the quota as well. A POST or PATCH that may have arrived is only sent again when
        `is_repeatable=True` says that this does no harm.
        """
        method = method.upper()
        may_repeat = method in REPEATABLE if is_repeatable is None else is_repeatable
        token = traffic.quota.set((self._quota, rows))
        try:
            return self._tried(method, url, rows, may_repeat, what)
        finally:
            traffic.quota.reset(token)

    def _tried(self, method: str, url: str, rows: int, may_repeat: bool, what: dict[str, Any]) -> Any:
        for attempt in range(self._retries + 1):
            try:
                response, error = self._once(method, url, rows, what), None
                if response.is_success:
                    return response
            except self._library.TransportError as caught:
                response, error = None, caught
            wait = self._wait(attempt, response, error, may_repeat)
            if wait is None:
                raise self._failed(method, url, response, error, attempt + 1) from error
            logger.info("%s %s: %s. Trying again in %.1f s.", method, url, _what_came(response, error), wait)
            self._sleep(wait)
        raise AssertionError("there is at least one attempt")

    def _once(self, method: str, url: str, rows: int, what: dict[str, Any]) -> Any:
        """One attempt under one grant."""
        with self._grant(rows) as held:
            response = self._client.request(method, url, **what)
            if held is not None:
                held.settle(response.status_code, retry_after_seconds=response.headers.get("Retry-After"))
            return response

    def _grant(self, rows: int) -> Any:
        if not self._quota:
            return nullcontext()
        try:
            quotas = importlib.import_module("kedro_console.quotas")
        except ModuleNotFoundError:
            if here.is_supervised():
                raise HttpError("This console knows no quotas: update it, or leave quota= out.") from None
            return nullcontext()
        return quotas.grant(self._quota, requests=1, rows=rows)

    # ---- trying again

    def _wait(self, attempt: int, response: Any, error: Exception | None, may_repeat: bool) -> float | None:
        """Seconds until the next attempt; None when there is to be none."""
        if attempt >= self._retries or not self._may_try_again(response, error, may_repeat):
            return None
        asked = seconds_asked(response.headers.get("Retry-After", ""), time.time()) if response is not None else None
        if asked is not None:
            return asked + random.uniform(0, 0.1) if asked <= self._longest else None  # noqa: S311
        most: float = min(FIRST_WAIT_SECONDS * 2**attempt, LONGEST_BACKOFF_SECONDS)
        return most * random.uniform(0.5, 1.0)  # noqa: S311

    def _may_try_again(self, response: Any, error: Exception | None, may_repeat: bool) -> bool:
        if response is not None:
            return response.status_code in (TRIED_AGAIN if may_repeat else REFUSED_UNREAD)
        if isinstance(error, (self._library.UnsupportedProtocol, self._library.TooManyRedirects)):
            return False
        return may_repeat or isinstance(error, (self._library.ConnectError, self._library.ConnectTimeout))

    def _failed(self, method: str, url: str, response: Any, error: Exception | None, times: int) -> HttpError:
        address = str(response.request.url) if response is not None else str(self._client.build_request("GET", url).url)
        often = "" if times == 1 else f" after {times} attempts"
        said = f" It said: {' '.join(response.text.split())[:300]}" if response is not None and response.text else ""
        return HttpError(f"{method} {address} failed{often}: {_what_came(response, error)}.{said}", response)

    # ---- by method

    def get(self, url: str, **what: Any) -> Any:
        return self.request("GET", url, **what)

    def post(self, url: str, **what: Any) -> Any:
        return self.request("POST", url, **what)

    def put(self, url: str, **what: Any) -> Any:
        return self.request("PUT", url, **what)

    def patch(self, url: str, **what: Any) -> Any:
        return self.request("PATCH", url, **what)

    def delete(self, url: str, **what: Any) -> Any:
        return self.request("DELETE", url, **what)

    def get_json(self, url: str, **what: Any) -> Any:
        """The JSON of a GET; HttpError when the answer is none."""
        return _json(self.get(url, **what))

    def post_json(self, url: str, body: Any, **what: Any) -> Any:
        """The JSON that answers this JSON."""
        return _json(self.post(url, json=body, **what))

    # ---- pages

    def pages(
        self,
        url: str,
        *,
        params: dict[str, Any] | None = None,
        next_field: str = "next",
        cursor: str = "",
        page: str = "",
        items: str = "",
        **what: Any,
    ) -> Iterator[Any]:
        """The JSON of each page, in order.

        Where the next page is, the API says in one of these ways:
        * a `Link: …; rel="next"` header, or an address in the field `next_field` ("a.b" = b inside of a): the default;
        * `cursor="after"`: the value of `next_field` goes into that query parameter;
        * `page="page"`: that query parameter counts up from the one in `params`, or 1, until a page is empty (`items`
          names the list inside of it, when the page is an object).
        """
        asked = dict(params or {})
        if page:
            yield from self._counted(url, asked, page, items, what)
            return
        seen: set[str] = set()
        following: str | None = url
        while following is not None:
            response = self.get(following, params=asked or None, **what)
            body = _json(response)
            yield body
            value = _inside(body, next_field)
            if cursor:
                asked[cursor], following = value, url if value not in (None, "") else None
            else:
                following, asked = self._next(response, value), {}
            _refuse_circle(seen, str(value if cursor else following), response)

    def _counted(self, url: str, asked: dict[str, Any], page: str, items: str, what: dict[str, Any]) -> Iterator[Any]:
        number = int(asked.get(page, 1))
        while True:
            body = self.get_json(url, params={**asked, page: number}, **what)
            if not (_inside(body, items) if items else body):
                return
            yield body
            number += 1

    def _next(self, response: Any, value: Any) -> str | None:
        """The address of the next page; HttpError when it is on another server: headers with secrets would go there."""
        found = value if isinstance(value, str) and value else response.links.get("next", {}).get("url")
        if not found:
            return None
        url = response.url.join(found)
        if (url.scheme, url.host, url.port) != (response.url.scheme, response.url.host, response.url.port):
            raise HttpError(f"{response.url} names a next page on another server ({url.host}): refused.", response)
        return str(url)


def _inside(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _refuse_circle(seen: set[str], key: str, response: Any) -> None:
    if key in seen and key != "None":
        raise HttpError(f"{response.url} names an earlier page as the next one: the pages would never end.", response)
    seen.add(key)


def _json(response: Any) -> Any:
    try:
        return response.json()
    except ValueError as error:
        kind = response.headers.get("Content-Type", "no type")
        said = f"{response.url} answered {kind} that is not JSON: {response.text[:120]!r}."
        raise HttpError(said, response) from error


def _what_came(response: Any, error: Exception | None) -> str:
    if response is not None:
        return f"the answer was {response.status_code} {response.reason_phrase}".strip()
    return f"{type(error).__name__}: {error}".rstrip(": .")
