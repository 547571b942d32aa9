from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _passwords_are_hashed_fast(settings) -> None:  # type: ignore[no-untyped-def]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
