"""A request that is sent again stands in the line of its quota, and what the API says of waiting is heard."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.models import Quota, Replay, Resend
from jobs.resends import grants
from tests.factories import AT, make_quota
from tests.records import a_request

pytestmark = pytest.mark.django_db


def a_turn() -> Resend:
    record = a_request(quota="chat")
    replay = Replay.objects.create(created_at=AT, total=1, queue="runs")
    return Resend.objects.create(replay=replay, record=record, position=0)


def test_the_second_waits_for_the_first() -> None:
    make_quota("chat", "1 request per 60 seconds")
    first, second = a_turn(), a_turn()
    assert grants.ask(first, AT).is_given
    refused = grants.ask(second, AT)
    assert not refused.is_given and second.grant is not None
    grants.settle(first, 200, {}, AT)
    told = grants.ask(second, AT + timedelta(seconds=1))
    assert not told.is_given and told.at == AT + timedelta(seconds=60)


def test_a_request_without_a_quota_goes_at_once() -> None:
    turn = a_turn()
    turn.record.quota = ""
    assert grants.ask(turn, AT).is_given and turn.grant is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30),
        ("30.5", 30.5),
        ((AT + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 90),
        ("soon", 60),
        ("-3", 60),
        ("", 60),
        ("1e400", 31 * 86_400),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 31 * 86_400),
    ],
)
def test_what_a_429_says_closes_the_quota_for_so_long(header: str, seconds: float) -> None:
    make_quota("chat", "100 requests per 60 seconds")
    turn = a_turn()
    assert grants.ask(turn, AT).is_given
    grants.settle(turn, 429, {"retry-AFTER": header}, AT)
    closed = Quota.objects.get().closed_until
    assert closed is not None and abs((closed - AT).total_seconds() - seconds) < 2
