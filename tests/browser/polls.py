"""How a browser test waits for the page to have polled."""

from __future__ import annotations

from typing import Any


def polled(page: Any, times: int) -> None:
    """Wait until the page has refreshed itself so often."""
    for _ in range(times):
        with page.expect_response(lambda response: response.request.headers.get("hx-request") == "true"):
            pass
