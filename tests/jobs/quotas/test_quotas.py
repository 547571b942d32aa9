"""Uses of an outside API: never more than it allows, however they are asked for."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Grant, Quota, Step
from jobs.quotas.quotas import (
    QuotaRefusal,
    left,
    pause,
    prune_grants,
    reopen,
    resets_at,
)
from jobs.quotas.turns import used
from jobs.quotas.windows import BadWindow, in_words, parse
from jobs.states import Status
from jobs.steps.advance import Outcome, finish
from kedro_console import wire
from tests.factories import AT, make_pipeline, make_quota
from tests.jobs.quotas.using import ask, running_step, second, settle, use

pytestmark = pytest.mark.django_db


@pytest.fixture
def step() -> Step:
    return running_step()


def told(answer: dict[str, Any]) -> datetime:
    assert not answer["granted"]
    return datetime.fromtimestamp(answer["at"], UTC)


@pytest.mark.parametrize(
    "line",
    [
        "1 request per second",
        "1 request per 2 seconds",
        "10 requests per minute",
        "1,000 rows per 24 hours",
        "35,000 requests per day in Europe/Berlin",
    ],
)
def test_a_window_reads_back_as_it_was_written(line: str) -> None:
    assert in_words(parse(line)) == line


@pytest.mark.parametrize(
    "line",
    [
        "ten a minute",
        "0 requests per minute",
        "5 requests per day in Mars/Base",
        "5 rows per 900 hours",
        "2 requests per 2 days",
    ],
)
def test_a_window_that_is_not_understood_says_what_to_write(line: str) -> None:
    with pytest.raises(BadWindow):
        parse(line)


def test_a_grant_counts_from_when_its_answer_came(step: Step) -> None:
    make_quota()
    first = ask(step, 0)
    assert first["granted"]
    assert told(ask(step, 0.5)) >= second(2.5)  # it may arrive this moment
    settle(step, first["grant"], 0.7)
    again = ask(step, 1, place=Grant.objects.waiting().get().pk)
    assert told(again) == second(2.7)
    assert "1 request per 2 seconds" in again["reason"]
    assert ask(step, 2.7, place=again["place"])["granted"]
    assert not Grant.objects.waiting().exists()


def test_a_grant_counts_from_its_answer_also_when_the_word_of_it_had_to_wait(step: Step) -> None:
    make_quota()
    settle(step, ask(step, 0)["grant"], 5, monotonic=time.monotonic() - 3)
    assert abs(told(ask(step, 2.5)) - second(4)) < timedelta(seconds=0.5)
    for nonsense in (time.monotonic() - 10**6, time.monotonic() + 10**6, "x", float("nan"), None):
        Grant.objects.waiting().delete()
        settle(step, ask(step, 100)["grant"], 100, monotonic=nonsense)
        settled_at = Grant.objects.settled().order_by("-settled_at")[0].settled_at
        assert settled_at and second(100) <= settled_at < second(101)  # neither before it was taken nor later than now
        Quota.objects.update(settled_at=second(99))
        Grant.objects.filter(settled_at=settled_at).delete()


def test_those_who_wait_get_a_turn_each_in_the_order_of_their_coming(step: Step) -> None:
    make_quota()
    use(step, 0)
    answers = [ask(step, 1) for _ in range(5)]
    assert [told(answer) for answer in answers] == [second(2), second(4), second(6), second(8), second(10)]
    assert told(ask(step, 2)) == second(12)  # who comes now does not go before the first
    assert ask(step, 2, place=answers[0]["place"])["granted"]


def test_who_does_not_come_in_its_turn_is_not_waited_for(step: Step) -> None:
    make_quota()
    use(step, 0)
    late, next_one = ask(step, 1), ask(step, 1)
    assert not ask(step, 4.9, place=next_one["place"])["granted"]
    assert ask(step, 5.1, place=next_one["place"])["granted"]
    assert Grant.objects.waiting().get().pk == late["place"]


def test_every_window_holds(step: Step) -> None:
    make_quota(windows="2 requests per second\n3 requests per minute\n100 rows per minute")
    use(step, 0, rows=40)
    use(step, 0, rows=40)
    assert told(ask(step, 0, rows=1)) == second(1)
    Grant.objects.waiting().delete()
    assert told(ask(step, 1, rows=21)) == second(60)
    Grant.objects.waiting().delete()
    use(step, 1, rows=20)
    assert told(ask(step, 3)).replace(microsecond=0) == second(60)
    found = left(second(3))["chat"]
    assert (found["left_requests"], found["left_rows"]) == (0, 0)


def test_more_at_once_than_a_window_holds_is_refused_with_a_sentence(step: Step) -> None:
    make_quota(windows="10 requests per minute")
    with pytest.raises(QuotaRefusal, match=r"11 requests at once can never be granted.*10 requests per minute"):
        ask(step, 0, requests=11)


@pytest.mark.parametrize(
    "data",
    [{"requests": -1}, {"requests": "1"}, {"requests": 0}, {"rows": 1.5}, {"requests": True}, {"rows": 10**12}],
)
def test_a_question_that_makes_no_sense_takes_nothing(step: Step, data: dict[str, Any]) -> None:
    make_quota()
    with pytest.raises((QuotaRefusal, wire.BadQuestion)):
        ask(step, 0, **data)
    assert not Grant.objects.exists()


def test_a_calendar_day_begins_at_midnight_in_its_zone(step: Step) -> None:
    make_quota(windows="2 requests per day in Europe/Berlin")
    evening = datetime(2026, 3, 28, 22, 59, tzinfo=UTC)  # 23:59 in Berlin
    use(step, evening)
    use(step, evening)
    midnight = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    assert told(ask(step, evening)) == midnight
    Grant.objects.waiting().delete()
    use(step, midnight)
    use(step, midnight)
    next_midnight = datetime(2026, 3, 29, 22, 0, tzinfo=UTC)  # the day of the clock change has 23 hours
    assert told(ask(step, midnight)) == next_midnight


def test_the_day_on_which_clocks_go_back_has_one_allowance(step: Step) -> None:
    make_quota(windows="1 request per day in Europe/Berlin")
    begin = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    use(step, begin)
    assert told(ask(step, begin + timedelta(hours=24, minutes=30))) == begin + timedelta(hours=25)


def test_a_grant_held_over_midnight_counts_in_the_new_day(step: Step) -> None:
    make_quota(windows="1 request per day in UTC")
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    held = ask(step, midnight - timedelta(seconds=1))
    assert told(ask(step, midnight + timedelta(seconds=1))) == midnight + timedelta(days=1)
    settle(step, held["grant"], midnight + timedelta(seconds=2))
    assert left(midnight + timedelta(hours=23))["chat"]["left_requests"] == 0


def test_a_line_longer_than_an_allowance_reaches_into_the_days_after(step: Step) -> None:
    make_quota(windows="2 requests per day in UTC")
    days = [told(answer).day for _ in range(6) if not (answer := ask(step, 0))["granted"]]
    assert days == [2, 2, 3, 3]


def test_a_429_closes_the_quota_for_everybody_until_the_api_says(step: Step) -> None:
    make_quota(windows="100 requests per minute")
    settle(step, ask(step, 0)["grant"], 1, status=429, retry_after_seconds=30)
    answer = ask(step, 2)
    assert told(answer) == second(31)
    assert "closed by its API: it answered 429 with Retry-After 30 s" in answer["reason"]
    assert ask(step, 31, place=answer["place"])["granted"]


def test_a_429_without_a_time_closes_it_for_its_shortest_window(step: Step) -> None:
    make_quota(windows="100 requests per minute\n10 requests per second")
    settle(step, ask(step, 0)["grant"], 1, status=429)
    assert told(ask(step, 1)) == second(2)


@pytest.mark.parametrize("nonsense", ["soon", float("nan"), float("inf"), -5, True, None])
def test_a_nonsensical_retry_after_harms_nothing(step: Step, nonsense: Any) -> None:
    make_quota(windows="5 requests per second")
    settle(step, ask(step, 0)["grant"], 1, status=429, retry_after_seconds=nonsense)
    assert ask(step, 2)["granted"]


def test_a_paused_quota_lets_nothing_through_until_it_is_opened(step: Step) -> None:
    make_quota(windows="")
    pause("chat", at=AT, by="olga", reason="The vendor asked us")
    answer = ask(step, 1)
    assert not answer["granted"] and not answer["is_known"]
    assert answer["reason"] == "The quota chat is paused by olga: The vendor asked us."
    reopen("chat")
    assert ask(step, 2, place=answer["place"])["granted"]


def test_a_pause_may_have_an_end(step: Step) -> None:
    make_quota(windows="")
    pause("chat", at=AT, by="olga", until=second(60))
    assert told(ask(step, 1)) == second(60)
    assert ask(step, 60)["granted"]
    with pytest.raises(QuotaRefusal):
        pause("chat", at=second(60), by="olga", until=second(60))


def test_what_a_lost_step_held_is_used_and_not_freed_early(step: Step) -> None:
    make_quota(windows="1 request per minute")
    ask(step, 0)
    ask(step, 1)
    finish(step, Outcome(Status.CRASHED, "lost"), token=None, at=second(10), by="test")
    assert not Grant.objects.waiting().exists()
    assert Grant.objects.get().settled_at == second(10)
    assert told(ask(running_step(), 20)) == second(70)


def test_times_and_sums_only_grow_whatever_a_door_believes_the_time_to_be(step: Step) -> None:
    quota = make_quota(windows="5 requests per minute")
    first, late = ask(step, 0), ask(step, 0)
    settle(step, first["grant"], 10)
    settle(step, late["grant"], 9)  # its transaction waited for the other one
    times = list(Grant.objects.settled().order_by("sum_requests").values_list("settled_at", flat=True))
    assert times == sorted(times) and len(set(times)) == 2
    quota.refresh_from_db()
    assert used(quota, quota.windows.get(), second(11)) == 2


def test_settling_twice_or_another_runs_grant_changes_nothing(step: Step) -> None:
    quota = make_quota(windows="5 requests per minute")
    held = ask(step, 0)["grant"]
    settle(running_step(), held, 1)
    assert Grant.objects.held().exists()
    settle(step, held, 2)
    settle(step, held, 3)
    quota.refresh_from_db()
    assert (quota.open_requests, quota.settled_requests) == (0, 1)


def test_the_requests_of_a_run_use_up_what_it_was_granted_first() -> None:
    make_quota(windows="3 requests per minute")
    step = running_step(pipeline=make_pipeline(takes={"chat": 2}))
    Grant.objects.create(
        quota=Quota.objects.get(), run=step.run, requests=2, is_reserved=True, asked_at=AT, taken_at=AT
    )
    Quota.objects.update(open_requests=2)
    for _ in range(3):
        use(step, 1)
    assert not Grant.objects.filter(is_reserved=True).exists()
    assert told(ask(step, 2)).replace(microsecond=0) == second(61)
    quota = Quota.objects.get()
    assert (quota.open_requests, quota.settled_requests) == (0, 3)


def test_a_day_of_35000_grants_is_counted_with_few_rows(step: Step) -> None:
    quota = make_quota(windows="35,000 requests per day in UTC\n10 requests per second\n1,000,000 rows per 24 hours")
    begin = datetime(2026, 3, 2, tzinfo=UTC)
    Grant.objects.bulk_create(
        Grant(
            quota=quota, requests=1, rows=10, asked_at=begin, taken_at=begin, sum_requests=n + 1, sum_rows=10 * (n + 1),
            settled_at=begin + timedelta(seconds=n),
        )
        for n in range(34_999)
    )  # fmt: skip
    Quota.objects.update(settled_requests=34_999, settled_rows=349_990, settled_at=begin + timedelta(seconds=34_998))
    at = begin + timedelta(hours=20)
    with CaptureQueriesContext(connection) as asked:
        use(step, at)
    assert len(asked) < 30
    looks = [query["sql"] for query in asked.captured_queries if 'FROM "jobs_grant"' in query["sql"]]
    assert looks
    for sql in looks if connection.vendor == "sqlite" else []:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + sql)
            plan = " ".join(str(row) for row in cursor.fetchall())
        assert ("INDEX grant_by_" in plan or "PRIMARY KEY (rowid=?)" in plan) and "B-TREE" not in plan, (sql, plan)
    assert told(ask(step, at)) == begin + timedelta(days=1)


def test_old_grants_are_pruned_and_the_counts_stay_right(step: Step) -> None:
    quota = make_quota(windows="5 requests per 700 hours")
    for day in range(0, 40, 10):
        use(step, AT + timedelta(days=day))
    at = AT + timedelta(days=40)
    assert prune_grants(at) == 1
    quota.refresh_from_db()
    assert used(quota, quota.windows.get(), at) == 2
    assert resets_at(quota, quota.windows.get(), at) == AT + timedelta(days=30, hours=700)
