"""System checks of what strangers could reach: weak keys and passwords matter once the console has a public address."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own names
from django.core.exceptions import ValidationError

from console.env import ENV, Environment

SHORTEST_KEY: Final = 32
FEWEST_CHARACTERS: Final = 8
"""Different ones: fewer are a pattern."""


@register(Tags.security)
def what_strangers_could_use(**_: Any) -> list[CheckMessage]:
    return weaknesses(ENV)


def weaknesses(environment: Environment) -> list[CheckMessage]:
    """What has to be mended before others can reach a console with these settings."""
    found: list[CheckMessage] = []
    if environment.debug and "*" in environment.allowed_hosts:
        hint = "Remove DEBUG, or name the hosts in ALLOWED_HOSTS: debug pages show settings and source to everybody."
        found.append(Error("DEBUG is on and ALLOWED_HOSTS is *.", hint=hint, id="console.E001"))
    if not environment.is_public:
        return found
    if environment.debug:
        hint = "Remove DEBUG: its pages show settings and source."
        found.append(Warning("DEBUG is on, and others can reach the console.", hint=hint, id="console.W003"))
    if _is_weak(environment.secret_key):
        hint = "Remove SECRET_KEY, and a strong one is made; or write at least 50 characters drawn at random."
        found.append(Warning("SECRET_KEY can be guessed, so sessions can be forged.", hint=hint, id="console.W001"))
    if environment.admin_password and (why := _is_poor(environment.admin_password)):
        hint = f"{why} Choose another with `manage.py changepassword {environment.admin_user}`."
        found.append(Warning("CONSOLE_ADMIN_PASSWORD can be guessed.", hint=hint, id="console.W002"))
    return found


def _is_weak(key: str) -> bool:
    is_short = len(key) < SHORTEST_KEY or len(set(key)) < FEWEST_CHARACTERS
    return is_short or key.startswith("django-insecure-")


def _is_poor(password: str) -> str:
    """Why, in the words of the rules for everybody's password; "" when it is not."""
    assert settings.AUTH_PASSWORD_VALIDATORS  # noqa: S101 - without rules all passwords would be good
    try:
        validate_password(password)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""
