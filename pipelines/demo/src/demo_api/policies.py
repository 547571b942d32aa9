"""What may delay or refuse a request before its route is asked.

A policy is a callable that takes the Request and returns None (go on) or raises a Refusal; it may also sleep. Policies
are bound to a path prefix in `demo_api.routes.POLICIES`, so that a limit of one path does not touch another.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from http import HTTPStatus

from demo_api.messages import Refusal, Request

Policy = Callable[[Request], None]

LONGEST_DELAY_SECONDS = 10.0
WAIT = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


def delay_when_asked(request: Request) -> None:
    """`?delay=0.2` answers that many seconds later, 10 at most."""
    text = request.query.get("delay", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST_DELAY_SECONDS:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"delay={text[:40]}: write seconds from 0 to {LONGEST_DELAY_SECONDS:.0f}.",
        )
    time.sleep(seconds)


def fail_when_asked(request: Request) -> None:
    """`?fail=503` answers with that status; 429 and 503 also say how long to wait."""
    status = request.number("fail", default=0, at_least=400, at_most=599)
    if status:
        headers = {"Retry-After": "1"} if status in WAIT else {}
        raise Refusal(status, f"The request asked for this failure with fail={status}.", headers)
