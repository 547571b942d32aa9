"""What the server hands to a route or a policy, and what it gets back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

MEDIA_TYPE = "application/json; charset=utf-8"
LARGEST_ROWS = 5_000


class Refusal(Exception):
    """A request that cannot be answered as asked: a status and one sentence that says why."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Request:
    """One HTTP request; `arrived` is in seconds of a monotonic clock, `base` the server's own address."""

    method: str
    path: str
    base: str
    arrived: float
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = "127.0.0.1"

    def url(self, **changes: object) -> str:
        """The address of this request with some of its query options replaced."""
        query = {**self.query, **{name: str(value) for name, value in changes.items()}}
        return f"{self.base}{self.path}?{urlencode(query)}"

    def number(self, name: str, *, default: int, at_least: int, at_most: int) -> int:
        """A whole number out of the query; Refusal 422 says the allowed range."""
        text = self.query.get(name)
        if text is None:
            return default
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
        if number is None or not at_least <= number <= at_most:
            raise Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"{name}={text[:40]}: write a whole number from {at_least} to {at_most}.",
            )
        return number

    def rows(self) -> int:
        """How many rows are asked for with `?rows=`; 0 when it does not say."""
        return self.number("rows", default=0, at_least=1, at_most=LARGEST_ROWS)

    def json(self) -> Any:
        """The body's JSON; Refusal 415 or 400 when it is none."""
        if self.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON, with Content-Type: application/json.")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"The body is no JSON: {error}.") from error


@dataclass(frozen=True)
class Answer:
    """A status, a body that json can write, and extra headers."""

    body: Any
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        return json.dumps(self.body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    @classmethod
    def refused(cls, refusal: Refusal) -> Answer:
        return cls({"detail": refusal.sentence}, refusal.status, refusal.headers)
