"""What is written down of somebody who was not let in: one line, which a scanner of logs can read."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.signals import user_login_failed

from console.access.addresses import client_address, whose_address
from console.access.limits import LOGINS

LONGEST: Final = 150

logger = logging.getLogger("console.access")


def login_refused(request: Any, name: str, why: str) -> None:
    logger.warning("Login refused from %s for %s: %s", client_address(request) or "-", quoted(name), why)


def token_refused(request: Any, why: str) -> None:
    logger.warning("Token refused from %s: %s", client_address(request) or "-", quoted(why))


def quoted(text: str) -> str:
    """In ASCII, in quotes, without a newline: nobody's name can look like another line."""
    return json.dumps(str(text)[:LONGEST])


def listen() -> None:
    user_login_failed.connect(_hear, dispatch_uid="console.access.refusals")


def _hear(*, credentials: dict[str, Any], request: Any = None, **_: Any) -> None:
    if request is not None:
        is_locked = getattr(request, "axes_locked_out", False)
        why = "too many wrong passwords" if is_locked else "wrong name or password"
        login_refused(request, credentials.get("username", ""), why)
        LOGINS.take(whose_address(request), settings.CONSOLE_LOGIN_LIMIT)
