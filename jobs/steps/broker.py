"""The broker's Redis, asked briefly: a page, a pulse or a probe never waits for it longer than it says."""

from __future__ import annotations

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def client(*, seconds: float) -> Redis:
    """A connection that gives up after so many seconds and tries nothing twice; to be closed by whoever asks."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=seconds,
        socket_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )
