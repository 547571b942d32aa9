"""What every test wants."""

from __future__ import annotations

import pytest
from django.conf import settings

from console.access.limits import CALLS, LOGINS


def pytest_configure() -> None:
    """Passwords of tests need no slow hash: hundreds of people are made and logged in."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _nobody_has_asked_yet() -> None:
    """What one test asked for is not held against the next."""
    LOGINS.forget()
    CALLS.forget()
