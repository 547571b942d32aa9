"""The week ahead, from rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import current_app

from jobs.insight.ahead import collisions, week_ahead
from jobs.models import Pipeline, Rule, Run, Schedule, Snapshot
from jobs.schedules.dues import Cron
from jobs.schedules.edit import Wanted, create
from jobs.schedules.switch import pause
from tests.admin.rows import make_worker
from tests.factories import AT, content, make_project, make_quota, make_run
from tests.jobs.at_work import running, succeed
from tests.jobs.backfills.made import backfill

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def two(**facts: Any) -> tuple[Pipeline, Pipeline]:
    """Two pipelines of one project that write nothing in common."""
    project = make_project()
    Snapshot.objects.create(project=project, revision="files-1", content=content(datasets=[]), taken_at=AT)
    names = ("report", "__default__")
    first, second = (Pipeline.objects.create(project=project, name=name, **facts) for name in names)
    return first, second


def took(pipeline: Pipeline, minutes: float) -> None:
    run = make_run(pipeline, at=AT - 48 * HOUR)
    succeed(running(run))
    began = AT - 48 * HOUR
    Run.objects.filter(pk=run.pk).update(started_at=began, finished_at=began + timedelta(minutes=minutes))


def at_times(pipeline: Pipeline, cron: str, name: str = "", **facts: Any) -> Schedule:
    return create(Wanted(name=name or cron, pipeline=pipeline, rule=Cron(cron), zone="UTC", **facts), at=AT)


def worker(slots: int = 4) -> None:
    make_worker(slots=slots, queues=["default"])


def test_a_week_of_a_schedule_has_each_of_its_runs() -> None:
    worker()
    line, _ = two()
    took(line, 25)
    at_times(line, "0 6 * * *")
    week = week_ahead(AT)
    (lane,) = week.lanes
    assert (lane.pipeline, len(lane.runs), lane.usual_seconds, week.problems, week.slots) == (line, 7, 1500, [], 4)
    assert lane.runs[0].starts_at == AT.replace(hour=6) + timedelta(days=1)
    assert week.assumed == ["Each run takes as long as it usually does and succeeds.",
                            "How long __default__ take is not known yet; a minute is assumed."]  # fmt: skip


def test_what_overlaps_and_what_waits_is_told_once_with_how_often() -> None:
    worker(slots=1)
    line, other = two()
    took(line, 90)
    took(other, 30)
    at_times(line, "0 6-7 * * *", overlap="skip")
    at_times(other, "30 6 * * *")
    problems = [(each.pipeline, each.kind, each.count) for each in week_ahead(AT).problems]
    assert problems == [(other, "busy", 7), (line, "overlap", 7)]


def test_paused_schedules_and_gone_pipelines_do_not_count() -> None:
    line, other = two()
    pause(at_times(line, "0 6 * * *"), at=AT, by="olga")
    at_times(other, "0 6 * * *", name="gone")
    Pipeline.objects.filter(pk=other.pk).update(is_registered=False)
    assert week_ahead(AT).lanes == []


def test_rules_backfills_and_what_runs_now_take_their_slots() -> None:
    worker(slots=1)
    line, other = two()
    took(line, 60)
    took(other, 60)
    now = make_run(line, at=AT)
    now.start(at=AT, by="w1")
    at_times(other, "30 8 * * *", name="soon")
    rule = Rule.objects.create(name="r", target=line, condition="run.number", created_at=AT, edited_at=AT)
    rule.sources.add(other)
    backfill(other, date_parameter="", first_day=datetime(2026, 2, 1).date(), last_day=datetime(2026, 2, 2).date())
    week = week_ahead(AT, until=AT + 24 * HOUR)
    origins = {run.due.origin[0]: run for lane in week.lanes for run in lane.runs}
    assert set(origins) == {"run", "schedule", "rule", "backfill"}
    assert [flag.kind for flag in origins["schedule"].flags] == ["busy"]
    assert not origins["rule"].due.is_sure and not origins["backfill"].flags


def test_a_quota_that_falls_short_is_told_by_the_day() -> None:
    worker()
    line, _ = two(takes={"vendor": 30})
    quota = make_quota("vendor", "100 requests per day in UTC\n1 request per second")
    at_times(line, "0 */6 * * mon")
    week = week_ahead(AT)
    (demand,) = week.demands
    (short,) = week.shortfalls
    assert short.needed == 120 and short.begin.weekday() == 0 and demand.window.allowed == 100
    assert short.sentence == "vendor needs 120 requests of the 100 that it allows."
    (problem,) = week.problems
    assert (problem.kind, problem.count, quota) == ("quota", 1, demand.quota)


def test_the_editor_learns_what_stands_in_the_way_before_it_is_saved() -> None:
    worker(slots=1)
    line, other = two()
    took(line, 20)
    took(other, 60)
    at_times(line, "0 6 * * *")
    six = AT.replace(hour=6) + timedelta(days=1)
    found = collisions(other, [six + 10 * timedelta(minutes=1), six + 3 * HOUR, six + 40 * 24 * HOUR], AT)
    assert {at: [flag.kind for flag in flags] for at, flags in found.items()} == {
        six + 10 * timedelta(minutes=1): ["busy"],
        six + 40 * 24 * HOUR: ["busy"],
    }
    own = at_times(other, "30 5 * * *", name="own")
    assert collisions(other, [six - 3 * HOUR], AT, own=own.pk) == {} == collisions(other, [], AT)
