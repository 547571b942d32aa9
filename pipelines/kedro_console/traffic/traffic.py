"""What is known of the requests of a run: counts by node, host and status, and the failed ones whole.

A failed request is reported at once, so that nothing is lost when the process dies; when the same thread repeats it
within the node, the next attempt is reported under the same id, and so is the one that succeeds.
"""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Union
from urllib.parse import urlsplit

from kedro_console import wire
from kedro_console.traffic.probes import is_probe
from kedro_console.words import failures, logs, masking

SECONDS_BETWEEN = 1.0
MOST_KEPT = 1_000
MOST_ATTEMPTS = 50
MOST_OPEN = 200
LOOKED_AT = 200_000
REQUEST_BYTES = 50_000  # as JSON writes them: with the response, the headers and the attempts less than one event
RESPONSE_BYTES = 20_000

Content = Union[str, bytes, None]


@dataclass
class Attempt:
    """One request on its way; `status` 0: there was no answer."""

    at: float
    seconds: float
    status: int = 0
    error: str = ""


@dataclass
class Call:
    """One logical call of a client library: redirects are calls of their own, retries are attempts of it."""

    library: str
    method: str = ""
    url: str = ""
    headers: Any = None
    body: Any = None
    is_open_book: bool = True  # False: neither bodies nor headers are kept
    began: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.perf_counter)
    attempts: list[Attempt] = field(default_factory=list)
    status: int = 0
    response_headers: Any = None
    response: Content = None
    error: Exception | None = None
    is_interrupted: bool = False  # by a stop of the run: nothing is known of its end
    told: Exception | None = None  # an error that a call inside of this one has reported already

    def asked(self, method: Any, url: Any, headers: Any, body: Any) -> None:
        self.method, self.url, self.headers, self.body = str(method), str(url), headers, body

    def answered(self, status: int, headers: Any, content: Content) -> None:
        self.status, self.response_headers, self.response, self.error = status, headers, content, None

    @property
    def is_failed(self) -> bool:
        if not self.is_open_book and self.status == 404:
            return False  # how a store says that there is no such object: an answer
        return self.error is not None or self.status >= 400


current: contextvars.ContextVar[Call | None] = contextvars.ContextVar("call", default=None)
quota: contextvars.ContextVar[tuple[str, int]] = contextvars.ContextVar("quota", default=("", 0))
"""The quota that a request takes of, and how many rows."""


@dataclass
class _Open:
    """A failed call that may be repeated."""

    id: str
    attempts: list[Attempt] = field(default_factory=list)


class Traffic:
    """Reports the requests of one run; safe for threads, harmless for the run."""

    def __init__(self, send: Callable[[wire.Event], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str, int], list[float]] = {}
        self._sent_at = time.monotonic()
        self._open: dict[tuple[Any, ...], _Open] = {}
        self._kept = 0
        self._is_forked = False
        self._is_broken = False
        os.register_at_fork(after_in_child=self._forked)

    @contextlib.contextmanager
    def call(self, call: Call, describe: Callable[..., None], *sent: Any) -> Iterator[Call]:
        """What is done inside is this call; `describe(call, *sent)` fills it. Exceptions pass through untouched."""
        self.harmless(describe, call, *sent)
        outer = current.get()
        token = current.set(call)
        try:
            yield call
        except Exception as error:
            if error is not call.told:
                call.error = error
            raise
        except BaseException:
            call.is_interrupted = True
            raise
        finally:
            current.reset(token)
            self.harmless(self._end, call, outer)

    def attempted(self, call: Call, url: str, began: float, status: int, error: BaseException | None = None) -> None:
        """One request of this call has its answer, or never will."""
        self.harmless(self._attempted, call, url, began, status, error)

    def flush(self) -> None:
        """Reports the counts that were not reported yet."""
        self.harmless(self._send_counts)

    def harmless(self, do: Callable[..., None], *arguments: Any) -> None:
        """Do it; an error inside is said once in the log, and never the caller's."""
        try:
            do(*arguments)
        except Exception as error:  # noqa: BLE001  (records of requests never harm the request)
            if not self._is_broken:
                self._is_broken = True
                name = failures.name_of(type(error))
                logs.write_line("WARNING", "logging", f"Kedro Console could not record a request ({name}).")

    def _attempted(self, call: Call, url: str, began: float, status: int, error: BaseException | None) -> None:
        if is_probe(url):
            return
        seconds = time.perf_counter() - began
        said = _said(error) if error is not None else ""
        call.attempts.append(Attempt(time.time() - seconds, round(seconds, 4), status, said))
        self._count(logs.current.name(), host_of(url), status, seconds)

    def _count(self, node: str, host: str, status: int, seconds: float) -> None:
        with self._lock:
            count = self._counts.setdefault((node, host, status), [0, 0.0])
            count[0] += 1
            count[1] += seconds
        if self._is_forked or time.monotonic() - self._sent_at >= SECONDS_BETWEEN:
            self._send_counts()

    def _send_counts(self) -> None:
        with self._lock:
            counts, self._counts, self._sent_at = self._counts, {}, time.monotonic()
        rows = [(*key, int(number), round(seconds, 3)) for key, (number, seconds) in counts.items()]
        for start in range(0, len(rows), 500):
            self._send(wire.RequestsCounted(time.time(), rows[start : start + 500]))

    def _forked(self) -> None:
        """A process that a node forked tells each count at once: nothing tells of its end."""
        self._lock, self._counts, self._open, self._is_forked = threading.Lock(), {}, {}, True

    # ---- failed ones

    def _end(self, call: Call, outer: Call | None) -> None:
        if outer is not None and outer.library == "requests" and call.library == "urllib3":
            outer.attempts += call.attempts  # the one is made of the other: the outer call says it all
            return
        if outer is not None:
            outer.told = call.error or call.told  # where a redirect led to failed, not what led there
        if is_probe(call.url):
            return
        if not call.attempts:
            self._attempted(call, call.url, call.clock, call.status, call.error)
        if call.is_failed:
            self._report_failed(call)
        elif self._open and not call.is_interrupted:
            self._report_recovered(call)

    def _report_failed(self, call: Call) -> None:
        key = self._key(call)
        with self._lock:
            known = self._open.pop(key, None)
            if known is None:
                self._kept += 1
                if self._kept > MOST_KEPT:
                    self._say_that_it_is_enough()
                    return
                known = _Open(uuid.uuid4().hex)
            known.attempts = (known.attempts + call.attempts)[-MOST_ATTEMPTS:]
            self._open[key] = known
            while len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]
        self._send(described(call, known.id, known.attempts))

    def _say_that_it_is_enough(self) -> None:
        if self._kept == MOST_KEPT + 1:
            text = f"{MOST_KEPT:,} failed requests of this step are kept; further ones are only counted."
            logs.write_line("WARNING", "logging", text)

    def _report_recovered(self, call: Call) -> None:
        with self._lock:
            known = self._open.pop(self._key(call), None)
        if known is not None:
            attempts = (known.attempts + call.attempts)[-MOST_ATTEMPTS:]
            self._send(wire.RequestRecovered(time.time(), known.id, logs.current.name(), _plain(attempts)))

    def _key(self, call: Call) -> tuple[Any, ...]:
        body = call.body if isinstance(call.body, (str, bytes)) else ""
        digest = hashlib.blake2b(body.encode("utf-8", "replace") if isinstance(body, str) else body, digest_size=8)
        return (threading.get_ident(), logs.current.name(), call.method, call.url, digest.digest())


# ---- the record --------------------------------------------------------------------------------------


def described(call: Call, call_id: str, attempts: list[Attempt]) -> wire.RequestMade:
    """The record of a failed call, its secrets masked, small enough for one event."""
    request, is_whole = shown(call.body, call.headers, REQUEST_BYTES) if call.is_open_book else ("", False)
    response, is_answer_whole = shown(call.response, call.response_headers, RESPONSE_BYTES)
    address = call.url if call.is_open_book else call.url.partition("?")[0]
    return wire.RequestMade(
        at=call.began,
        call=call_id,
        node=logs.current.name(),
        library=call.library,
        method=call.method[:20],
        url=masking.url(address[:20_000])[:8_000],
        host=host_of(call.url),
        headers=masking.headers(dict(call.headers or {})) if call.is_open_book else {},
        body=request,
        is_body_whole=is_whole and len(address) <= 8_000,
        status=call.status if call.error is None else attempts[-1].status,
        response_headers=masking.headers(dict(call.response_headers or {})) if call.is_open_book else {},
        response=response if call.is_open_book else "",
        is_response_whole=is_answer_whole,
        seconds=round(time.perf_counter() - call.clock, 4),
        attempts=_plain(attempts),
        exception=failures.name_of(type(call.error)) if call.error is not None else "",
        message=_said(call.error) if call.error is not None else "",
        quota=quota.get()[0],
        quota_rows=quota.get()[1],
        is_signed=not call.is_open_book,
    )


def _plain(attempts: list[Attempt]) -> list[dict[str, float | str]]:
    return [vars(attempt) for attempt in attempts]


def _said(error: BaseException) -> str:
    return masking.text(f"{type(error).__name__}: {failures.message_of(error)}"[:4_000])[:500]


def host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.hostname or ''}{port}"[:255]


def shown(content: Any, headers: Any, limit: int) -> tuple[str, bool]:
    """(the content as masked text of at most `limit` bytes of JSON, whether it is all of it)."""
    if content is None or content in (b"", ""):
        return "", True
    media_type = _media_type(headers)
    if isinstance(content, (bytes, bytearray)):
        try:
            content = bytes(content[: LOOKED_AT + 1]).decode("utf-8")
        except UnicodeDecodeError as error:
            if error.start < LOOKED_AT - 4:
                return f"({len(content):,} bytes that are not text)", False
            content = bytes(content[: error.start]).decode("utf-8")
    if not isinstance(content, str):
        return "(sent as a stream: not kept)", False
    shown = masking.body(content[:LOOKED_AT], media_type)
    cut = _cut(shown, limit)
    return cut, len(cut) == len(shown) and len(content) <= LOOKED_AT


def _media_type(headers: Any) -> str:
    for name, value in dict(headers or {}).items():
        if _text(name).lower() == "content-type":
            return _text(value).lower()
    return ""


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _cut(text: str, limit: int) -> str:
    while len(json.dumps(text)) > limit:
        text = text[: min(len(text) * 3 // 4, limit)]
    return text
