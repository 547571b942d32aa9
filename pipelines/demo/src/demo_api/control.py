"""What tests and benchmarks set and read: limits and the log of arrivals; only from the machine itself."""

from __future__ import annotations

import ipaddress
import re
from http import HTTPStatus

from demo_api.limits import Limits
from demo_api.messages import Answer, Refusal, Request
from demo_api.routes import Routes


def routes(limits: Limits) -> Routes:
    """The routes of one server's limits."""
    control = Control(limits)
    return [
        ("GET", re.compile("/limits"), control.show_limits),
        ("PUT", re.compile("/limits"), control.change_limits),
        ("GET", re.compile("/arrivals"), control.list_arrivals),
        ("DELETE", re.compile("/arrivals"), control.forget_arrivals),
    ]


class Control:
    """Reads and sets the limits of one server."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def show_limits(self, request: Request, name: str) -> Answer:
        return Answer(self.limits.described())

    def change_limits(self, request: Request, name: str) -> Answer:
        """`{"/metrics": {"requests": 1, "seconds": 2}}`: what is not named stays."""
        check_near(request)
        given = request.json()
        if not isinstance(given, dict):
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Send an object of paths and their limits.")
        self.limits.change(given)
        return Answer(self.limits.described())

    def list_arrivals(self, request: Request, name: str) -> Answer:
        check_near(request)
        after = request.number("after", default=0, at_least=0, at_most=10**8)
        return Answer({"items": self.limits.arrivals(request.query.get("path", ""), after)})

    def forget_arrivals(self, request: Request, name: str) -> Answer:
        check_near(request)
        self.limits.forget()
        return Answer({"items": []})


def check_near(request: Request) -> None:
    """Refusal 403 unless a program of this machine asks: a page in a browser names itself in Origin."""
    if not ipaddress.ip_address(request.client).is_loopback or "origin" in request.headers:
        raise Refusal(HTTPStatus.FORBIDDEN, f"{request.path} is only for programs on the machine that serves.")
