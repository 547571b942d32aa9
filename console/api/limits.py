"""How often the API answers one token, one person, or one address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from console.access.addresses import client_address
from console.access.limits import CALLS
from console.models import ApiToken

if TYPE_CHECKING:
    from rest_framework.views import APIView  # it imports this module while it is being made


class AskLess(BaseThrottle):
    """Refuses with 429 and Retry-After whoever asks more often than CONSOLE_API_LIMIT says."""

    _wait = 0

    def allow_request(self, request: Request, view: APIView) -> bool:
        self._wait = CALLS.take(_name(request), settings.CONSOLE_API_LIMIT)
        return self._wait == 0

    def wait(self) -> float | None:
        return self._wait


def count_refusal(request: Request) -> None:
    """For a call without a valid token or session: Throttled instead of the reason, when this address had many."""
    if wait := CALLS.take(f"address {client_address(request)}", settings.CONSOLE_API_LIMIT):
        raise Throttled(wait)


def _name(request: Request) -> str:
    if isinstance(request.auth, ApiToken):
        return f"token {request.auth.pk}"
    if request.user and request.user.is_authenticated:
        return f"person {request.user.pk}"
    return f"address {client_address(request)}"
