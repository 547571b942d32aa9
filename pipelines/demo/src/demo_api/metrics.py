"""Keyword metrics: a batch of keywords in, one row of metrics for each out; the same keyword, the same metrics."""

from __future__ import annotations

import hashlib
import random
from http import HTTPStatus
from typing import Any

from demo_api.messages import Answer, Refusal, Request

LARGEST_BATCH = 1_000
LONGEST_KEYWORD = 200


def show_metrics(request: Request, name: str) -> Answer:
    given = request.json()
    keywords = given.get("keywords") if isinstance(given, dict) else None
    if not isinstance(keywords, list) or not 0 < len(keywords) <= LARGEST_BATCH:
        raise _wrong(f'Send {{"keywords": […]}} with 1 to {LARGEST_BATCH} keywords.')
    for keyword in keywords:
        if not isinstance(keyword, str) or not 0 < len(keyword) <= LONGEST_KEYWORD:
            raise _wrong(f"A keyword is text of 1 to {LONGEST_KEYWORD} characters, not {str(keyword)[:40]!r}.")
    return Answer({"metrics": [metrics(keyword) for keyword in keywords]})


def metrics(keyword: str) -> dict[str, Any]:
    """What the API knows about a keyword; it depends on nothing but its text."""
    drawn = random.Random(hashlib.sha256(keyword.encode()).digest())  # noqa: S311 - a demo's numbers
    return {
        "keyword": keyword,
        "search_volume": int(10 ** drawn.uniform(1, 6)),
        "cost_per_click": round(drawn.uniform(0.02, 9), 2),
        "competition": drawn.choice(["low", "medium", "high"]),
        "trend": [drawn.randint(0, 100) for _ in range(12)],
    }


def _wrong(sentence: str) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, sentence)
