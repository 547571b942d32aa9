"""Middleware: whoever tries many passwords from one address has to wait between them."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse

from console.access.addresses import client_address
from console.access.limits import LOGINS
from console.access.refusals import login_refused


class SlowDownLogins:
    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and request.path_info in _logins():
            wait = LOGINS.wait(client_address(request), settings.CONSOLE_LOGIN_LIMIT)
            if wait:
                login_refused(request, request.POST.get("username", ""), "too many attempts from this address")
                return _refusal(request, wait)
        return self._answer(request)


def _refusal(request: HttpRequest, wait: int) -> HttpResponse:
    text = render_to_string("429.html", {"request": request, "wait": wait})
    return HttpResponse(text, status=429, headers={"Retry-After": str(wait)})


def _logins() -> set[str]:
    found = set()
    for name in ("login", "admin:login"):
        try:
            found.add(reverse(name))
        except NoReverseMatch:
            continue
    return found
