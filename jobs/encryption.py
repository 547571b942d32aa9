"""Text that is encrypted at rest: MultiFernet over CONSOLE_ENCRYPTION_KEYS (the first encrypts, all decrypt)."""

from __future__ import annotations

import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from jobs.errors import PlatformError


def cipher() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.CONSOLE_ENCRYPTION_KEYS])


class EncryptedJSONField(models.TextField):  # type: ignore[type-arg] # the stubs are generic, the class is not
    """A JSON value kept as ciphertext; reading it with the wrong keys raises instead of showing ciphertext."""

    def get_prep_value(self, value: Any) -> str:
        return cipher().encrypt(json.dumps(value).encode()).decode()

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        if not value:
            return {}
        try:
            return json.loads(cipher().decrypt(value.encode()))
        except InvalidToken as error:
            raise PlatformError(
                "A secret could not be read with the present CONSOLE_ENCRYPTION_KEYS: add the key it was written with."
            ) from error
