"""Limits that are enforced for real: so much within any window, counted at arrival, and failures by a seed."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from http import HTTPStatus
from typing import Any

from demo_api.messages import Refusal, Request

REMEMBERED_ARRIVALS = 200_000
LONGEST_DELAY_SECONDS = 60.0
LARGEST_NUMBER = 10**9
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True)
class Limit:
    """What one path allows and how it behaves; 0 requests or rows: as many as come."""

    requests: int = 0
    rows: int = 0
    seconds: float = 1.0
    """Length of the window: within any so many seconds no more are let in."""
    failure_rate: float = 0.0
    """Share of the requests let in that are answered 500; which ones, the seed and their number decide."""
    slow_rate: float = 0.0
    slow_seconds: float = 0.0
    seed: int = 0

    @classmethod
    def read(cls, given: Mapping[str, Any], before: Limit) -> Limit:
        """The limit with these changes; Refusal 422 says what is wrong."""
        known = {each.name for each in fields(cls)}
        for name, value in given.items():
            if name not in known:
                raise _wrong(f"{name} is not known; there are {', '.join(sorted(known))}.")
            _check(name, value)
        return replace(before, **given)


DEFAULTS = {
    "/metrics": Limit(requests=1, seconds=2.0),
    "/v1/chat/completions": Limit(requests=1, seconds=60.0),
    "/internal/rows": Limit(requests=10, rows=1_000, seconds=300.0),
}


def _check(name: str, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= LARGEST_NUMBER:
        raise _wrong(f"{name}: write a number from 0 to {LARGEST_NUMBER}.")
    if name in ("requests", "rows", "seed") and not isinstance(value, int):
        raise _wrong(f"{name}: write a whole number.")
    if name in ("failure_rate", "slow_rate") and value > 1:
        raise _wrong(f"{name}: write a share from 0 to 1.")
    if name == "slow_seconds" and value > LONGEST_DELAY_SECONDS:
        raise _wrong(f"{name}: {LONGEST_DELAY_SECONDS:.0f} seconds are the most.")
    if name == "seconds" and value <= 0:
        raise _wrong("seconds: a window is longer than nothing.")


def _wrong(sentence: str) -> Refusal:
    return Refusal(UNPROCESSABLE, sentence)


@dataclass(frozen=True)
class Arrival:
    """One request as the server saw it; `at` is the time of day in seconds since 1970."""

    number: int
    at: float
    method: str
    path: str
    status: int
    rows: int = 0


@dataclass
class _Window:
    """Who was let in lately, by the monotonic clock."""

    admitted: deque[tuple[float, int]] = field(default_factory=deque)
    count: int = 0

    def forget(self, before: float) -> None:
        while self.admitted and self.admitted[0][0] <= before:
            self.admitted.popleft()


class Limits:
    """The limits of one server, what came in lately, and the log of all arrivals."""

    def __init__(self, limits: Mapping[str, Limit] = DEFAULTS) -> None:
        self._limits = dict(limits)
        self._windows: dict[str, _Window] = {}
        self._arrivals: deque[Arrival] = deque(maxlen=REMEMBERED_ARRIVALS)
        self._count = 0
        self._lock = threading.Lock()

    def guard(self, request: Request) -> None:
        """A policy: lets the request in and counts it, or refuses it with 429 and Retry-After; may fail or be slow."""
        limit = self._limits.get(request.path)
        if limit is None:
            return
        with self._lock:
            number = self._admit(limit, request)
        if _drawn(limit.seed, "slow", request.path, number) < limit.slow_rate:
            time.sleep(limit.slow_seconds)
        if _drawn(limit.seed, "fail", request.path, number) < limit.failure_rate:
            raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"Request {number} fails, as the seed {limit.seed} wants.")

    def _admit(self, limit: Limit, request: Request) -> int:
        window = self._windows.setdefault(request.path, _Window())
        window.forget(request.arrived - limit.seconds)
        rows = request.rows()
        if limit.rows and rows > limit.rows:
            raise _wrong(f"{rows} rows at once can never be granted: {limit.rows} are allowed in {limit.seconds:g} s.")
        if wait := _wait(limit, window, request.arrived, rows):
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, _sentence(limit), {"Retry-After": str(math.ceil(wait))})
        window.admitted.append((request.arrived, rows))
        window.count += 1
        return window.count

    def note(self, request: Request, status: int) -> None:
        """Write the arrival down, answered or refused; questions about the log itself are not in it."""
        at = time.time() - (time.monotonic() - request.arrived)
        with self._lock:
            self._count += 1
            rows = request.rows() if request.path in self._limits and status != UNPROCESSABLE else 0
            self._arrivals.append(Arrival(self._count, at, request.method, request.path, status, rows))

    def arrivals(self, path: str, after: int) -> list[dict[str, Any]]:
        """In the order of their answers, those after this number; of one path, or of all with ""."""
        with self._lock:
            return [asdict(each) for each in self._arrivals if each.number > after and path in ("", each.path)]

    def described(self) -> dict[str, Any]:
        with self._lock:
            return {path: asdict(limit) for path, limit in self._limits.items()}

    def change(self, given: Mapping[str, Any]) -> None:
        """New limits for these paths, all or none; who was let in under the old ones still counts."""
        with self._lock:
            changed = {path: self._changed(path, limit) for path, limit in given.items()}
            self._limits.update(changed)

    def _changed(self, path: str, given: Any) -> Limit:
        if not isinstance(given, Mapping):
            raise _wrong(f'{path}: write an object such as {{"requests": 1, "seconds": 2}}.')
        return Limit.read(given, self._limits.get(path, Limit()))

    def forget(self) -> None:
        """As if nothing had ever arrived."""
        with self._lock:
            self._arrivals.clear()
            self._windows.clear()


def _wait(limit: Limit, window: _Window, now: float, rows: int) -> float:
    """Seconds until the request would be let in; 0.0: at once."""
    admitted = list(window.admitted)
    until = now
    if limit.requests and len(admitted) >= limit.requests:
        until = admitted[len(admitted) - limit.requests][0] + limit.seconds
    if limit.rows:
        used = sum(count for _, count in admitted)
        for at, count in admitted:
            if used + rows <= limit.rows:
                break
            used -= count
            until = max(until, at + limit.seconds)
    return max(until - now, 0.0)


def _sentence(limit: Limit) -> str:
    allowed = [f"{limit.requests} requests"] * bool(limit.requests) + [f"{limit.rows} rows"] * bool(limit.rows)
    return f"Too many: {' and '.join(allowed)} are allowed in {limit.seconds:g} s. Retry-After says when to come again."


def _drawn(*of: object) -> float:
    """A number from 0 to 1 that depends on nothing but these."""
    digest = hashlib.sha256("\0".join(map(str, of)).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
