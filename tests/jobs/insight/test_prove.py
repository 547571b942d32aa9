"""What a schedule will do, told before it is saved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import current_app

from jobs.insight.prove import Proof, overlap_outcomes, prove
from jobs.models import Pipeline, Schedule
from jobs.states import Missed, Overlap
from tests.factories import make_pipeline, make_quota, make_schedule
from tests.views.scenes import ended

pytestmark = pytest.mark.django_db
AT = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
BEGIN = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


@pytest.fixture
def proof() -> Callable[..., Proof]:
    """Of a schedule that is not saved."""

    def of(text: str, *, at: datetime = AT, count: int = 10, pipeline: Pipeline | None = None, **facts: Any) -> Proof:
        rule = {"kind": "every", "seconds": int(text), "anchor": AT.isoformat()} if text.isdigit() else {}
        rule = rule or {"kind": "cron", "text": text}
        asked = {"zone": "Europe/Berlin", "missed": Missed.NEWEST, "missed_most": 10, "missed_hours": 24, **facts}
        trial = Schedule(rule=rule, pipeline=pipeline, counts_since=at, decided_until=at, **asked)
        return prove(trial, at=at, count=count)

    return of


def flags(proof: Proof) -> list[str]:
    return [flag.sentence for due in proof.dues for flag in due.flags]


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("0 6 * * *", datetime(2027, 3, 26, 12, tzinfo=UTC),
         ["The clocks go forward before this one: still 06:00 by the wall, 04:00 UTC."]),
        ("0 6 * * *", datetime(2027, 10, 29, 12, tzinfo=UTC),
         ["The clocks go back before this one: still 06:00 by the wall, 05:00 UTC."]),
        ("30 2 * * *", datetime(2027, 3, 27, 12, tzinfo=UTC),
         ["The clocks leave out its time: it is due at the first moment after, 03:00."]),
        ("86400", datetime(2027, 3, 27, 7, tzinfo=UTC),
         ["The clocks go forward before this one: 10:00 by the wall, as an interval follows elapsed time."]),
        ("0 6 * * *", datetime(2027, 3, 1, tzinfo=UTC), []),
    ],
)  # fmt: skip
def test_a_change_of_the_clocks_is_flagged_once(
    proof: Callable[..., Proof], text: str, at: datetime, words: list[str]
) -> None:
    assert flags(proof(text, at=at, count=5)) == words


def test_a_run_that_lasts_into_the_next_due_time_is_flagged(proof: Callable[..., Proof]) -> None:
    pipeline = make_pipeline()
    ended(seconds=1500)
    found = proof("*/15 8-9 * * *", pipeline=pipeline)
    words = "Its usual 25 minutes overlap the next one, 15 minutes later."
    assert flags(found).count(words) == 9  # of ten, two are the last of their day
    assert [(count, flag.sentence) for count, flag in found.shared] == [(9, words)]
    assert not any(due.flags for due in found.alone)


def test_another_schedule_of_the_same_pipeline_is_named(proof: Callable[..., Proof]) -> None:
    pipeline = make_pipeline()
    own = make_schedule(pipeline, "0 6 * * *", name="Mornings", at=AT)
    assert flags(proof("0 6 1 4 *", pipeline=pipeline, count=1)) == [
        "The schedule “Mornings” starts the same pipeline at the same time."
    ]
    assert flags(proof("0 9 * * *", pipeline=pipeline)) == []
    assert flags(prove(own, at=AT)) == []


def test_a_quota_that_falls_short_is_flagged(proof: Callable[..., Proof]) -> None:
    make_quota(windows="3 requests per day in UTC")
    pipeline = make_pipeline(takes={"chat": 2})
    found = proof("0 6,12 * * *", pipeline=pipeline)
    assert any("chat" in flag for flag in flags(found)), flags(found)
    assert not any("chat" in flag for flag in flags(proof("0 6 * * *", pipeline=pipeline)))


@pytest.mark.parametrize(
    ("text", "most", "hours", "counts"),
    [("*/5 * * * *", 10, 24, (0, 1, 10)), ("*/5 * * * *", 100, 2, (0, 1, 24)), ("0 6 * * *", 10, 24, (0, 1, 1))],
)
def test_five_hours_without_a_scheduler_in_numbers(
    proof: Callable[..., Proof], text: str, most: int, hours: int, counts: tuple[int, ...]
) -> None:
    due = 60 if text.startswith("*") else 1
    said = proof(text, missed_most=most, missed_hours=hours).outage
    runs = [f"{count} run{'' if count == 1 else 's'} instead of {due}" for count in counts]
    assert [said[policy] for policy in Missed] == runs


def test_runs_that_meet_in_numbers() -> None:
    starts = [BEGIN + timedelta(minutes=15 * place) for place in range(4)]
    assert overlap_outcomes(starts, 25 * 60) == {
        Overlap.BOTH: "all 4 run, up to 2 at once",
        Overlap.WAIT: "all 4 run one after the other, the last waits 30 minutes",
        Overlap.SKIP: "2 runs, 2 skipped",
        Overlap.CANCEL: "1 run to the end, 3 cancelled",
    }
    assert overlap_outcomes(starts, 60) == {}
    assert overlap_outcomes([BEGIN] * 3, None)[Overlap.SKIP] == "1 run, 2 skipped"
    assert overlap_outcomes([], 60) == {}
