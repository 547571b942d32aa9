"""The broker's Redis, asked briefly: a page, a pulse or a probe never waits for it longer than it says."""

from __future__ import annotations

import re
from typing import Final

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from jobs.errors import PlatformError

PATIENCE_SECONDS: Final = 3.0
UNTRUSTED: Final = re.compile(r"certificate verify failed: (.*?)\.? \(_ssl")


def client(*, seconds: float) -> Redis:
    """A connection that gives up after so many seconds and tries nothing twice; to be closed by whoever asks."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=seconds,
        socket_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        **settings.REDIS_TLS,
    )


def refusal(error: BaseException) -> str:
    """What of the settings keeps us from the broker, in a sentence for ops; "" when it may only be away for now."""
    if isinstance(error, AuthenticationError):
        return "The broker refuses the password: give the right one in REDIS_PASSWORD, or in REDIS_URL."
    if found := UNTRUSTED.search(str(error)):
        return (
            f"The broker's certificate is not trusted ({found[1]}): name the CA that signed it in REDIS_CA_FILE, "
            "and in REDIS_URL the server as its certificate does."
        )
    return ""


def insist() -> None:
    """PlatformError when the settings of the broker are wrong; one that is away is waited for by who needs it."""
    asked = client(seconds=PATIENCE_SECONDS)
    try:
        asked.ping()
    except (RedisError, OSError) as error:
        if why := refusal(error):
            raise PlatformError(why) from error
    finally:
        asked.close()
