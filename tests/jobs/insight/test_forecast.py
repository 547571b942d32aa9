"""When work is done under the limits, and what the week needs of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.insight.forecast import forecast, needs_of_week, usual_uses
from jobs.models import Grant, Run, Schedule
from jobs.quotas.quotas import pause
from jobs.schedules.schedules import wish
from jobs.states import Status
from tests.admin.rows import make_crontab, make_schedule
from tests.factories import AT, make_pipeline, make_quota, make_run
from tests.jobs.quotas.using import running_step, use

pytestmark = pytest.mark.django_db


def test_a_steady_window_sets_the_pace() -> None:
    quota = make_quota(windows="1 request per 2 seconds")
    assert forecast(30, quota, AT) == AT + timedelta(seconds=58)
    assert forecast(3000, quota, AT, requests_each=0.01) == AT + timedelta(seconds=58)


def test_nothing_that_waits_is_done_now_and_without_a_limit_so_is_everything() -> None:
    assert forecast(0, make_quota(), AT) == AT
    assert forecast(10**9, make_quota("free", ""), AT) == AT


def test_a_daily_allowance_takes_days_and_the_pace_counts_within_them() -> None:
    quota = make_quota(windows="10 requests per day in UTC\n1 request per minute")
    midnight = AT.replace(hour=0)
    assert forecast(25, quota, AT) == midnight + timedelta(days=2, minutes=4)
    use(running_step(), AT)
    quota.refresh_from_db()
    assert forecast(9, quota, AT + timedelta(minutes=1)) == AT + timedelta(minutes=9)
    assert forecast(10, quota, AT + timedelta(minutes=1)) == midnight + timedelta(days=1)


def test_the_scarcer_of_requests_and_rows_decides() -> None:
    quota = make_quota(windows="10 requests per day in UTC\n1,000 rows per day in UTC")
    assert forecast(3000, quota, AT, requests_each=0.001, rows_each=1) == AT.replace(hour=0) + timedelta(days=2)


def test_what_takes_longer_than_ten_years_or_waits_for_somebody_has_no_date() -> None:
    quota = make_quota(windows="1 request per day in UTC")
    assert forecast(1_500_000, quota, AT) is None
    assert forecast(1, pause("chat", at=AT, by="olga"), AT) is None
    paused = pause("chat", at=AT, by="olga", until=AT + timedelta(hours=1))
    assert forecast(1, paused, AT) == AT + timedelta(hours=1)


def test_the_week_needs_what_scheduled_runs_usually_use() -> None:
    quota = make_quota(windows="1,000 requests per day in UTC")
    run = make_run(make_pipeline())
    schedule = make_schedule(run, crontab=make_crontab(hour="*"))
    schedule.kwargs = wish(run.pipeline, {})
    schedule.enabled = True
    schedule.save()
    Schedule.objects.update(counts_since=AT, decided_until=AT)
    assert needs_of_week(quota, AT) == []
    run.start(at=AT, by="w")
    run.end(Status.SUCCEEDED, at=AT, by="w")
    use_of(run, 60)
    (need,) = needs_of_week(quota, AT)
    assert (need.unit, need.allowed, need.is_too_much) == ("requests", 7000, True)
    assert need.needed == pytest.approx(60 * 24 * 7, abs=60)


def use_of(run: Run, requests: int) -> None:
    quota = make_quota("other")
    assert usual_uses([run.pipeline], [quota], AT)[run.pipeline_id, quota.pk] == {"requests": 0.0, "rows": 0.0}
    chat = type(quota).objects.get(name="chat")
    Grant.objects.create(
        quota=chat, run=run, requests=requests, asked_at=AT, taken_at=AT, settled_at=AT, sum_requests=60, sum_rows=0
    )
