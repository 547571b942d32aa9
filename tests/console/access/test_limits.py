from __future__ import annotations

import pytest

from console.access import limits
from console.access.limits import Limit
from console.env import Rate


def test_a_bucket_empties_by_use_and_fills_with_time() -> None:
    limit, rate = Limit(), Rate(3, 60)
    assert [limit.take("a", rate, at=0.0) for _ in range(4)] == [0, 0, 0, 20]
    assert limit.take("b", rate, at=0.0) == 0, "another name has a bucket of its own"
    assert limit.take("a", rate, at=19.0) == 1
    assert limit.take("a", rate, at=20.0) == 0
    assert [limit.take("a", rate, at=10_000.0) for _ in range(4)] == [0, 0, 0, 20], "it never holds more than it can"


def test_to_look_costs_nothing() -> None:
    limit, rate = Limit(), Rate(1, 60)
    assert [limit.wait("a", rate, at=0.0) for _ in range(5)] == [0] * 5
    limit.take("a", rate, at=0.0)
    assert limit.wait("a", rate, at=0.0) == 60


def test_off_is_no_limit() -> None:
    limit = Limit()
    assert not any(limit.take("a", Rate(0, 1), at=0.0) for _ in range(100))


def test_many_names_take_no_more_memory_than_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_NAMES", 10)
    limit, rate = Limit(), Rate(1, 60)
    for number in range(100):
        limit.take(str(number), rate, at=0.0)
        limit.take("often", rate, at=0.0)
    assert len(limit._buckets) == 10
    assert limit.take("often", rate, at=0.0) > 0, "who asks again and again is not forgotten"
