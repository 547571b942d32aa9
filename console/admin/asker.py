"""Who works in the admin."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.http import HttpRequest


def asker(request: HttpRequest) -> User:
    """The user who asks: the admin is for users, never for the anonymous."""
    assert isinstance(request.user, User)  # noqa: S101 - narrows the type
    return request.user
