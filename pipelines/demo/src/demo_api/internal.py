"""An internal API that gives out rows by position, so many a day."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from demo_api.messages import Answer, Refusal, Request

TOTAL_ROWS = 25_000
KINDS = ("invoice", "order", "return", "offer")


def show_rows(request: Request, name: str) -> Answer:
    """`?after=0&rows=100&total=25000`: the rows with the numbers 1 to 100, and where to go on."""
    after = request.number("after", default=0, at_least=0, at_most=10**8)
    total = request.number("total", default=TOTAL_ROWS, at_least=0, at_most=10**8)
    count = request.rows()
    if not count:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Say how many rows you want: ?rows=100.")
    last = min(after + count, total)
    items = [record(number) for number in range(after + 1, last + 1)]
    return Answer({"items": items, "total": total, "last": max(last, after), "left": max(total - last, 0)})


def record(number: int) -> dict[str, Any]:
    """The row with this number; it is the same each time."""
    return {"number": number, "kind": KINDS[number % len(KINDS)], "amount": round(number * 7919 % 100_000 / 100, 2)}
