from __future__ import annotations

from uuid import uuid4

import pytest

from jobs import clock
from jobs.errors import RequestError
from jobs.models import IgnoredHost, RequestRecord
from jobs.requests import counts, groups
from jobs.states import RequestStatus
from kedro_console import wire
from tests.factories import make_run
from tests.jobs.requests_made import NOW, collected, made
from tests.records import a_request

pytestmark = pytest.mark.django_db
HOST = "api.example.com"


def test_what_is_open_of_an_ignored_host_leaves_the_inbox_and_comes_back() -> None:
    run = make_run()
    a_request(run)
    a_request(run, host="other.example.com")
    dismissed = a_request(run)
    dismissed.dismiss(at=clock.now(), by="ada", why="known")
    assert IgnoredHost.ignore(HOST, at=clock.now(), by="ada") == 1
    assert [group["host"] for group in groups()] == ["other.example.com"]
    assert counts(run)["failed"] == 2
    assert IgnoredHost.heed(HOST) == 1
    assert {group["host"]: group["count"] for group in groups()} == {HOST: 1, "other.example.com": 1}
    dismissed.refresh_from_db()
    assert dismissed.status == RequestStatus.DISMISSED


def test_a_host_is_ignored_once_and_heeded_once() -> None:
    IgnoredHost.ignore(HOST.upper(), at=clock.now(), by="ada")
    with pytest.raises(RequestError, match="already ignored"):
        IgnoredHost.ignore(HOST, at=clock.now(), by="bob")
    IgnoredHost.heed(HOST)
    with pytest.raises(RequestError, match="is not ignored"):
        IgnoredHost.heed(HOST)
    with pytest.raises(RequestError, match="Give the host"):
        IgnoredHost.ignore(" ", at=clock.now(), by="bob")


def test_what_fails_later_is_kept_with_its_run_and_stays_out_of_the_inbox() -> None:
    IgnoredHost.ignore("api", at=clock.now(), by="ada")
    call = uuid4().hex
    collector = collected(made(call))
    record = RequestRecord.objects.get()
    assert (record.status, record.run_id) == (RequestStatus.IGNORED, collector.writer.step.run_id)
    collector.take(wire.RequestRecovered(NOW, call=call, node="fetch", attempts=[]))
    collector.writer.flush()
    record.refresh_from_db()
    assert record.status == RequestStatus.RECOVERED
