"""Requests that a node made, as its child tells them."""

from __future__ import annotations

from typing import Any

from jobs.steps.collect import Collector
from kedro_console import wire
from tests.factories import AT
from tests.jobs.steps.collecting import collecting

NOW = AT.timestamp()


def made(call: str, **facts: Any) -> wire.RequestMade:
    given = {"node": "fetch", "library": "httpx", "method": "GET", "url": "http://api/x", "host": "api", "status": 503}
    attempts = [{"at": NOW, "seconds": 0.1, "status": 503, "error": ""}]
    return wire.RequestMade(NOW, call=call, **(given | {"attempts": attempts} | facts))


def collected(*events: wire.Event) -> Collector:
    collector = collecting()
    for event in events:
        collector.take(event)
    collector.writer.flush()
    return collector
