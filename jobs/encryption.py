"""Text that is encrypted at rest: MultiFernet over CONSOLE_ENCRYPTION_KEYS (the first encrypts, all decrypt)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from jobs.errors import PlatformError
from kedro_console.wire import KEY_BYTES, KEY_FILE

PURPOSE: Final = b"fingerprints of masked values"
MOST_KEYS: Final = 16


def cipher() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.CONSOLE_ENCRYPTION_KEYS])


def masking_keys() -> list[bytes]:
    """A key for fingerprints from each of CONSOLE_ENCRYPTION_KEYS, so that all machines have the same ones."""
    keys = (base64.urlsafe_b64decode(key) for key in settings.CONSOLE_ENCRYPTION_KEYS)
    return [hmac.new(key, PURPOSE, hashlib.sha256).digest() for key in keys]


def leave_masking_keys(folder: Path) -> None:
    """Put them where hosts look for them, before those that were there: what was masked with these is still found."""
    file, ours = folder / KEY_FILE, masking_keys()
    before = file.read_bytes() if file.exists() else b""
    known = [before[at : at + KEY_BYTES] for at in range(0, len(before), KEY_BYTES)]
    content = b"".join([*ours, *(key for key in known if key not in ours)][:MOST_KEYS])
    if content == before:
        return
    draft = file.with_name(f".{KEY_FILE}.{os.getpid()}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
        handle.write(content)
    draft.replace(file)


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
