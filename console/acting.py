"""Who acts: whoever is logged in, the token of a program, or whoever uses a command on the server."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core.management.base import BaseCommand
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from console.access.addresses import client_address
from console.models import ApiToken
from jobs.models.act import Actor, Door, acting, record


def who_asks(answer: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: what this request does is recorded with who asked for it."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        with acting(lambda: actor_of(request)):
            return answer(request)

    return respond


def actor_of(request: HttpRequest) -> Actor | None:
    """Whoever the request was found to be from by now; None for a stranger."""
    user, auth = getattr(request, "user", None), getattr(request, "auth", None)
    token = (auth.name or auth.token_key) if isinstance(auth, ApiToken) else ""
    if user is not None and user.is_authenticated:
        return Actor(user.get_username(), _door(request), user.pk, token, client_address(request))
    return Actor("anonymous", _door(request), address=client_address(request)) if auth is not None else None


def _door(request: HttpRequest) -> Door:
    first = request.path_info.lstrip("/").partition("/")[0]
    return {"api": Door.API, "admin": Door.ADMIN}.get(first, Door.PAGE)


def whose_command() -> Actor:
    """The account of the system that runs this process, and where."""
    return Actor(f"{who()}@{socket.gethostname()}", Door.COMMAND)


def who() -> str:
    """Who gives a command, as the machine knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in a container
        return "command line"


class ActingCommand(BaseCommand):
    """A command that changes something: what it does is recorded."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        with acting(whose_command):
            return super().execute(*args, **options)


@receiver(user_logged_in)
def _note_login(user: Any, **facts: Any) -> None:
    record("logged in", user)


@receiver(user_logged_out)
def _note_logout(user: Any, **facts: Any) -> None:
    if user is not None:
        record("logged out", user)
