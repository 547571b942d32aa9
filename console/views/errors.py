"""What people see who asked for what does not exist, is not theirs, or is not sound: in the shell after a login."""

from __future__ import annotations

import logging
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from console.views.shell import page

logger = logging.getLogger(__name__)

TITLES: Final = {
    400: "This request cannot be understood",
    403: "This page is not for your role",
    404: "There is no such page",
}


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 404)


def refused(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 403)


def not_sound(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 400)


def too_old(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form whose token is no longer valid."""
    return _answer(request, 403, "403_csrf.html", "The form was too old")


def _answer(request: HttpRequest, status: int, template: str = "", title: str = "") -> HttpResponse:
    """The page in the shell; by itself for strangers, and when the shell cannot be had."""
    alone = template or f"{status}.html"
    try:
        if getattr(request, "user", None) is not None and request.user.is_authenticated:
            shown = {"sentence": f"errors/_{alone}"}
            return page(request, "errors/show.html", shown, title=title or TITLES[status], status=status)
    except Exception:
        logger.exception("The page of an error %s is shown without the shell.", status)
    return HttpResponse(render_to_string(alone, {"request": request}), status=status)
