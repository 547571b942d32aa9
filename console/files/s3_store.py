"""The artifact store in S3, with the patience of a page: an answer in seconds, or an error."""

from __future__ import annotations

from typing import Any, Final

from storages.backends.s3 import S3Storage

CONNECT_SECONDS: Final = 3
READ_SECONDS: Final = 10
ATTEMPTS: Final = 2
IN_MEMORY_BYTES: Final = 8_000_000
"""What is read beyond it lies on disk."""


class S3Store(S3Storage):
    """django-storages' own, which would wait for minutes and read an object of any size into memory."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_memory_size": IN_MEMORY_BYTES, **options})
        limits = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"total_max_attempts": ATTEMPTS},
        }
        given: Any = getattr(self, "client_config")  # noqa: B009 - it has no type
        setattr(self, "client_config", given.merge(type(given)(**limits)))  # noqa: B010
