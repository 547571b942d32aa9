"""Failed requests for tests."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from jobs.models import RequestRecord, Run
from tests.factories import AT, make_run

MARK = "***0123456789abcdef***"


def a_request(run: Run | None = None, **facts: Any) -> RequestRecord:
    run = run or make_run()
    given = {
        "call": uuid4(),
        "node": "fetch",
        "at": AT,
        "last_at": AT,
        "library": "httpx",
        "method": "GET",
        "url": f"https://api.example.com/rows?api_key={MARK}&page=2",
        "host": "api.example.com",
        "headers": {"Accept": "*/*", "Authorization": f"Bearer {MARK}"},
        "status_code": 503,
        "reason": "503",
        "response": '{"detail": "<b>busy</b>"}',
        "response_headers": {"Retry-After": "5"},
        "attempts": [{"at": AT.timestamp(), "seconds": 0.2, "status": 503, "error": ""}],
    }
    return RequestRecord.objects.create(run=run, step=run.steps.first(), **given | facts)
