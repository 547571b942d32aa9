"""Grants that nodes ask for: from the console, or from the limits of their own process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kedro_console import here, quotas, wire
from kedro_console.traffic import limits


@pytest.fixture(autouse=True)
def _no_limits() -> Iterator[None]:
    limits._known.clear()
    quotas._mine.grants.clear()
    yield
    limits._known.clear()


def test_under_plain_kedro_nothing_limits() -> None:
    began = time.monotonic()
    for _ in range(100):
        with quotas.grant("chat"):
            pass
    assert time.monotonic() - began < 1


def test_a_local_limit_holds_for_all_threads() -> None:
    quotas.local("chat", requests=2, seconds=0.2)
    times: list[float] = []

    def use(_: int) -> None:
        with quotas.grant("chat"):
            times.append(time.monotonic())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    times.sort()
    assert all(late - early >= 0.2 for early, late in zip(times, times[2:], strict=False))


def test_rows_and_several_windows_hold_together() -> None:
    quotas.local("chat", requests=100, seconds=10)
    quotas.local("chat", rows=10, seconds=0.2)
    began = time.monotonic()
    for _ in range(3):
        with quotas.grant("chat", rows=10):
            pass
    assert time.monotonic() - began >= 0.4
    with pytest.raises(here.AskError, match="never allows 1 requests and 11 rows"):
        quotas.grant("chat", rows=11)


def test_a_plain_call_is_settled_by_the_next_one_of_its_thread() -> None:
    quotas.local("chat", requests=1, seconds=0.1)
    for _ in range(3):
        quotas.grant("chat")
    assert len(limits.of("chat")._uses) <= 2


def test_a_429_closes_the_local_quota_too() -> None:
    quotas.local("chat", requests=100, seconds=1)
    began = time.monotonic()
    with quotas.grant("chat") as held:
        held.settle(429, "0.3")
    with quotas.grant("chat"):
        assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(("header", "seconds"), [("12", 12), (1.5, 1.5), (None, None), ("soon", None), ("-3", None)])
def test_a_retry_after_header_is_read_as_it_is(header: Any, seconds: float | None) -> None:
    assert quotas.seconds_of(header) == seconds


def test_a_retry_after_may_be_a_date() -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
    found = quotas.seconds_of(date)
    assert found is not None and 55 < found <= 60


CODE = """
from kedro_console import quotas
with quotas.grant("chat", rows=5) as held:
    held.settle(429, retry_after_seconds="7")
return 1
"""


def test_a_node_asks_waits_in_its_place_and_settles(playground: Any) -> None:
    said = playground.begin(parameters={"code": CODE.strip()}, free_outputs=["result"])
    question = said.wait_for(wire.Asked)
    assert (question.what, question.data["quota"], question.data["rows"], question.data["place"]) == (
        "grant_taken", "chat", 5, None,
    )  # fmt: skip
    told = {"granted": False, "at": time.time() + 0.05, "seconds": 0.05, "is_known": True, "reason": "R.", "place": 7}
    wire.send(said.connection, wire.Answered(question.number, told))
    while len(said.all(wire.Asked)) < 2:
        assert said.read()
    again = said.all(wire.Asked)[1]
    assert again.data["place"] == 7
    wire.send(said.connection, wire.Answered(again.number, {"granted": True, "grant": 7}))
    while len(said.all(wire.Asked)) < 3:
        assert said.read()
    settled = said.all(wire.Asked)[2]
    assert settled.what == "grant_settled" and 0 <= time.monotonic() - settled.data.pop("monotonic") < 20
    assert settled.data == {"grant": 7, "status": 429, "retry_after_seconds": 7.0}
    wire.send(said.connection, wire.Answered(settled.number, None))
    assert said.finish().one(wire.DatasetSaved).value == 1
