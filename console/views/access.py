"""Who may open a page: strangers are sent to the login, people without the permission get a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

View = Callable[..., HttpResponseBase]


class ConsoleRequest(HttpRequest):
    """What a view behind `needs` gets: somebody is logged in, and the middleware has said whether htmx asks."""

    user: User
    htmx: HtmxDetails


def needs(permission: str) -> Callable[[View], View]:
    """Decorates a view that only people with this permission may use."""

    def decorate(view: View) -> View:
        guarded: View = login_required(permission_required(permission, raise_exception=True)(view))
        vars(guarded)["needs"] = permission  # for the test that asks every page as everybody
        return guarded

    return decorate


def back(request: HttpRequest, to: str, *args: Any) -> str:
    """The page that the form came from, when it is one of ours; else the named one."""
    asked = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(asked, allowed_hosts={request.get_host()}):
        return asked
    return resolve_url(to, *args)
