"""Render a page of ours inside the admin theme's shell, for everyone who may see it, staff or not."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import SimpleLazyObject
from unfold.sites import UnfoldAdminSite

from console.pages.notifications import bell


def page(
    request: HttpRequest, template: str, context: dict[str, Any] | None = None, *, title: str, status: int = 200
) -> HttpResponse:
    """A whole page: `template` extends base.html, `title` is its heading and the window's title."""
    return render(request, template, {**frame(request), "title": title, **(context or {})}, status=status)


def status_of(form: Any) -> int:
    """Of the page of a form: 409 when somebody else was first, 422 when a field is wrong."""
    return 409 if form.stale else 422 if form.errors else 200


def frame(request: HttpRequest) -> dict[str, Any]:
    """What the shell around a page needs; the theme's own version of it is for staff alone and asks far more."""
    return {
        **looks(),
        "has_permission": True,
        "is_nav_sidebar_enabled": True,
        "sidebar_navigation": sidebar(request),
        "bell": SimpleLazyObject(lambda: bell(request.user)),
    }


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of pages that this person may open."""
    groups: list[dict[str, Any]] = _site().get_sidebar_list(request)
    return groups


def _site() -> UnfoldAdminSite:
    return cast(UnfoldAdminSite, admin.site)


@cache
def looks() -> dict[str, Any]:
    """What is the same for everyone as long as the process lives."""
    site = _site()
    return {
        "site_title": site._get_config("SITE_TITLE"),
        "site_header": site._get_config("SITE_HEADER"),
        "site_symbol": site._get_config("SITE_SYMBOL"),
        "border_radius": site._get_config("BORDER_RADIUS"),
        "colors": site._get_colors("COLORS"),
        "styles": site._get_list("STYLES", None),
        "scripts": site._get_list("SCRIPTS", None),
        "site_favicons": site._get_favicons("SITE_FAVICONS", None),
    }
