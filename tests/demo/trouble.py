"""Steps of the demo that must fail, and are held."""

from __future__ import annotations

from demo_api.messages import Refusal, Request
from demo_api.policies import Policy
from demo_api.server import ApiServer

from tests.demo.conftest import served


def failing(times: int, status: int, headers: dict[str, str] | None = None) -> tuple[Policy, list[str]]:
    """A policy that refuses the first requests, and the list of what was asked."""
    seen: list[str] = []

    def policy(request: Request) -> None:
        seen.append(request.url())
        if len(seen) <= times:
            raise Refusal(status, "Not now.", headers)

    return policy, seen


def guarded(policy: Policy) -> served[ApiServer]:
    return served(ApiServer("127.0.0.1", 0, policies=[("/datasets", policy)]))
