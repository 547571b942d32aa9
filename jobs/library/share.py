"""Share a file by a link: this one or always the newest, with people who log in or with anybody, until a moment."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import User
from django.db import transaction

from jobs.errors import BadParameters
from jobs.models import Artifact, Share, Shelf
from jobs.models.act import record
from jobs.models.share import digest_of
from kedro_console.wire import Json

LONGEST: Final = timedelta(days=366)
USUAL: Final = timedelta(days=7)
MOST_PASSWORD: Final = 200


@dataclass(frozen=True)
class ShareOrder:
    """Which link is wanted."""

    artifact: Artifact
    until: datetime
    is_newest: bool = False
    """Always the newest good file of its shelf, instead of this one."""
    needs_login: bool = False
    password: str = ""


def share(order: ShareOrder, *, at: datetime, by: User | None, by_name: str = "") -> tuple[Share, str]:
    """The link and its token, which is told this once. BadParameters with a sentence for each field."""
    shelf = Shelf.objects.of(order.artifact)
    _check(order, shelf, at)
    token = secrets.token_urlsafe(24)
    place = {"shelf": shelf} if order.is_newest else {"artifact": order.artifact}
    with transaction.atomic():
        made = Share.objects.create(
            **place,
            digest=digest_of(token),
            needs_login=order.needs_login,
            password=make_password(order.password) if order.password else "",
            made_by=by,
            made_by_name=by_name or (by.get_username() if by else ""),
            made_at=at,
            until=order.until,
        )
        record("shared", order.artifact, after=_said(made))
    return made, token


def revoke(made: Share, *, at: datetime) -> None:
    """From now on the link leads nowhere; asked twice, nothing more happens."""
    with transaction.atomic():
        if Share.objects.filter(pk=made.pk, revoked_at=None).update(revoked_at=at):
            record("revoked", made.file or str(made), kind="" if made.file else "share", before=_said(made))
    made.refresh_from_db(fields=["revoked_at"])


def opens(made: Share, password: str) -> bool:
    """Whether this is its password; a link without one needs none."""
    return not made.password or check_password(password[:MOST_PASSWORD], made.password)


def _check(order: ShareOrder, shelf: Shelf | None, at: datetime) -> None:
    wrong = {}
    if order.until <= at:
        wrong["until"] = "This moment is over: choose one that is still to come."
    elif order.until > at + LONGEST:
        wrong["until"] = "A link lasts for a year at most: choose an earlier day."
    if order.is_newest and (shelf is None or shelf.newest is None):
        wrong["newest"] = "No successful run has left a file of this name: share this one, or wait for the next."
    if len(order.password) > MOST_PASSWORD:
        wrong["password"] = f"A password has at most {MOST_PASSWORD} characters."
    if wrong:
        raise BadParameters(wrong)


def _said(made: Share) -> dict[str, Json]:
    return {
        "link": str(made.uuid),
        "leads to": "always the newest" if made.is_newest else "this file",
        "for": made.audience,
        "until": made.until.isoformat(timespec="minutes"),
    }
