"""A link leads to one file or always to the newest, until a moment, and is known by its token alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs import clock
from jobs.errors import BadParameters
from jobs.library.share import ShareOrder, opens, revoke, share
from jobs.models import Act, Share
from jobs.models.act import Actor, Door, acting
from jobs.states import Status
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def made(row: Any, **facts: Any) -> tuple[Share, str]:
    at = clock.now()
    return share(ShareOrder(row, at + DAY, **facts), at=at, by=None, by_name="ann")


def test_only_a_hash_of_the_token_is_kept() -> None:
    link, token = made(an_artifact(ended()))
    assert Share.objects.called(token) == link
    assert token not in str(Share.objects.values().get()) and len(token) >= 32


def test_always_the_newest_follows_and_this_one_stays() -> None:
    old = an_artifact(ended(), data=b"1")
    (always, _), (this, _) = made(old, is_newest=True), made(old)
    new = an_artifact(ended(), data=b"2")
    always, this = Share.objects.get(pk=always.pk), Share.objects.get(pk=this.pk)
    assert (always.file, this.file) == (new, old)


def test_a_password_is_hashed_and_asked_for() -> None:
    link, _ = made(an_artifact(ended()), password="sesame")
    assert "sesame" not in link.password
    assert opens(link, "sesame") and not opens(link, "open") and not opens(link, "")


@pytest.mark.parametrize(
    ("facts", "until", "field"),
    [
        ({}, -DAY, "until"),
        ({}, 400 * DAY, "until"),
        ({"password": "x" * 201}, DAY, "password"),
        ({"is_newest": True}, DAY, "newest"),
    ],
)
def test_what_cannot_be_is_refused_field_by_field(facts: dict[str, Any], until: timedelta, field: str) -> None:
    at = clock.now()
    with pytest.raises(BadParameters) as refusal:
        share(ShareOrder(an_artifact(ended(Status.FAILED)), at + until, **facts), at=at, by=None)
    assert list(refusal.value.fields) == [field]


def test_a_link_that_was_taken_back_is_over_and_both_are_recorded_once() -> None:
    row = an_artifact(ended())
    with acting(lambda: Actor("ann", Door.PAGE)):
        link, _ = made(row)
        revoke(link, at=clock.now())
        revoke(link, at=clock.now())
    assert not link.is_open(clock.now()) and not Share.objects.open(clock.now()).exists()
    assert list(Act.objects.order_by("id").values_list("verb", flat=True)) == ["shared", "revoked"]
