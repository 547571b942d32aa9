"""What every test wants."""

from __future__ import annotations

from django.conf import settings


def pytest_configure() -> None:
    """Passwords of tests need no slow hash: hundreds of people are made and logged in."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
