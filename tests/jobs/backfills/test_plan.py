"""What a backfill would do is told date by date, and what cannot be is refused on its field."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from jobs.backfills.begin import begin
from jobs.backfills.find import find_schedule
from jobs.backfills.plan import MOST_DATES, Plan, Wanted, plan
from jobs.errors import BadParameters
from jobs.models import Backfill, Pipeline, Run, Schedule
from jobs.schedules.dues import Cron, Every, Rule
from jobs.schedules.edit import Wanted as Schedules
from jobs.schedules.edit import create
from jobs.states import Again, Cause, Overlap, Status
from tests.factories import make_quota, make_run
from tests.jobs.at_work import running, succeed
from tests.jobs.backfills.made import FIRST, LAST, NOW, daily

pytestmark = pytest.mark.django_db


def planned(pipeline: Pipeline | None = None, **wanted: Any) -> Plan:
    how = {"first_day": FIRST, "last_day": LAST, "zone": "UTC", "date_parameter": "params:day"} | wanted
    return plan(Wanted(pipeline=pipeline or daily(), **how), how.pop("at", NOW))


def refused(**wanted: Any) -> dict[str, str]:
    with pytest.raises(BadParameters) as refusal:
        planned(**wanted)
    return refusal.value.fields


def test_the_days_are_those_of_the_zone() -> None:
    dues = [each.due_at for each in planned(zone="America/New_York", last_day=date(2026, 3, 9)).dates]
    assert dues[0] == datetime(2026, 3, 1, 5, tzinfo=UTC)
    assert dues[-1] == datetime(2026, 3, 8, 5, tzinfo=UTC)  # the ninth has not begun there


def test_in_spring_and_autumn_a_day_is_still_one_date() -> None:
    line = daily()
    for first, last in ((date(2025, 3, 29), date(2025, 3, 31)), (date(2025, 10, 25), date(2025, 10, 27))):
        found = planned(line, zone="Europe/Berlin", first_day=first, last_day=last)
        assert [each.value for each in found.dates] == [first, date(first.year, first.month, first.day + 1), last]


@pytest.mark.parametrize(("every", "count"), [("day", 31), ("week", 5), ("month", 1), ("hour", 31 * 24)])
def test_without_a_schedule_the_dates_are_chosen(every: str, count: int) -> None:
    found = planned(every=every, first_day=date(2026, 1, 5), last_day=date(2026, 2, 4))
    assert len(found.dates) == count


def test_each_date_says_what_happens_to_it() -> None:
    line = daily()
    good, bad, live = (
        make_run(line, cause=Cause.SCHEDULE, due_at=datetime(2026, 3, day, tzinfo=UTC)) for day in (1, 2, 3)
    )
    succeed(running(good))
    bad.end(Status.CRASHED, at=NOW, by="test")
    found = planned(line)
    assert [each.verb for each in found.dates] == ["skip", "again", "skip", *["create"] * 4]
    assert found.dates[2].reason == f"Run #{live.pk} of this date is queued."
    assert (found.runs, found.beside) == (5, ", 1 of them again, 2 skipped")
    assert planned(line, again=Again.NEW).runs == 4 and planned(line, again=Again.ALL).runs == 6


def test_the_totals_are_those_of_the_usual_run() -> None:
    line, quota = daily(takes={}), make_quota("vendor", "100 requests per hour")
    line.takes = {quota.name: 30}
    line.save()
    for _ in range(3):
        run = make_run(line)
        succeed(running(run))
        Run.objects.filter(pk=run.pk).update(started_at=NOW, finished_at=NOW.replace(minute=40))
    found = planned(line, at_once=2)
    assert (found.usual_seconds, found.seconds, found.work_seconds) == (600, 2400, 4200)
    Run.objects.all().delete()
    (calls,) = planned(line).calls
    assert (calls.quota, calls.requests) == (quota, 210) and calls.done_at is not None and calls.done_at > NOW


def test_runs_that_stand_in_each_others_way_are_counted_one_by_one() -> None:
    found = planned(daily(overlap=Overlap.SKIP), at_once=5)
    assert found.together == 1 and "do not overlap" in found.serial


@pytest.mark.parametrize(
    ("wanted", "field", "words"),
    [
        ({"first_day": date(2026, 3, 9), "last_day": date(2026, 3, 8)}, "to", "Lies before the first day, 2026-03-09."),
        ({"first_day": date(2027, 3, 9), "last_day": date(2027, 3, 9)}, "from", "a backfill runs what has passed"),
        ({"first_day": date(1, 1, 1)}, "from", "a day between 1970 and today"),
        ({"first_day": date(2026, 3, 9), "last_day": date(9999, 12, 31)}, "to", "Nothing was due"),
        ({"every": "hour", "first_day": date(2020, 1, 1)}, "to", f"More than {MOST_DATES:,} dates"),
        ({"every": "minute"}, "every", "Write day, week, month, hour."),
        ({"zone": "Mars/Base"}, "zone", "There is no time zone “Mars/Base”"),
        ({"zone": "../etc/passwd"}, "zone", "There is no time zone"),
        ({"at_once": 0}, "at_once", "from 1 to 100"),
        ({"date_parameter": "options.top"}, "options.top", "Holds 10, so it can hold no date."),
        ({"date_parameter": "nowhere"}, "nowhere", "The project has no parameter of this name."),
        ({"parameters": {"options": {"top": 99}}}, "options.top", "99 is greater than the maximum of 30."),
        ({"selection": {"nodes": ["nowhere"]}}, "nodes", "nowhere"),
    ],
)
def test_what_cannot_be_is_refused_on_its_field(wanted: dict[str, Any], field: str, words: str) -> None:
    fields = refused(**wanted)
    assert words in fields[field], fields


def test_with_nothing_to_run_nothing_is_begun() -> None:
    line = daily()
    succeed(running(make_run(line, cause=Cause.SCHEDULE, due_at=datetime(2026, 3, 1, tzinfo=UTC))))
    with pytest.raises(BadParameters, match="None of these 1 dates would run"):
        begin(Wanted(pipeline=line, first_day=FIRST, last_day=FIRST, zone="UTC"), at=NOW)
    assert not Backfill.objects.exists()


# ---- by a schedule


def schedule_of(line: Pipeline, rule: Rule, **facts: Any) -> Schedule:
    return create(Schedules(name="nightly", pipeline=line, rule=rule, zone="Europe/Berlin", **facts), at=NOW)


def test_a_schedule_gives_due_times_parameters_choices_and_the_parameter_of_the_date() -> None:
    line = daily()
    schedule = schedule_of(
        line,
        Cron("0 6 * * mon-fri"),
        parameters={"options": {"top": 3}},
        selection={"tags": ["io"]},
        runner="threads",
        date_parameter=["day"],
    )
    found = planned(line, schedule=schedule, zone="", date_parameter=None, parameters={"options": {"kind": "line"}})
    assert [each.due_at for each in found.dates] == [datetime(2026, 3, day, 5, tzinfo=UTC) for day in range(2, 7)]
    assert found.dates[0].value == date(2026, 3, 2)
    assert found.parameters == {"options": {"top": 3, "kind": "line"}} and found.selection == {"tags": ["io"]}
    assert (found.words, found.runner, found.path) == ("As the schedule nightly", "threads", ("day",))
    row = begin(found.wanted, at=NOW)
    run = row.dates.under_way()[0].run
    assert run is not None and run.parameters["day"] == date(2026, 3, 2) and run.runner == "threads"
    assert run.nodes == ["fetch", "write"]


def test_due_times_before_an_edit_a_start_and_an_anchor_count_for_a_backfill() -> None:
    line = daily()
    schedule = schedule_of(line, Every(seconds=6 * 3600, anchor=NOW), begins_at=NOW)
    found = planned(line, schedule=schedule, zone="UTC", last_day=FIRST)
    assert [each.due_at.hour for each in found.dates] == [3, 9, 15, 21]


def test_a_schedule_of_another_pipeline_is_refused() -> None:
    line = daily()
    other = Pipeline.objects.create(project=line.project, name="__default__")
    schedule = schedule_of(other, Cron("0 6 * * *"))
    assert "starts another pipeline" in refused(pipeline=line, schedule=schedule)["schedule"]
    with pytest.raises(BadParameters, match="No schedule “nightly” starts report"):
        find_schedule("nightly", line)
    mine = create(Schedules(name="mornings", pipeline=line, rule=Cron("0 6 * * *"), zone="UTC"), at=NOW)
    assert find_schedule("mornings", line) == find_schedule(str(mine.pk), line) == mine
    with pytest.raises(BadParameters, match="Did you mean mornings"):
        find_schedule("morning", line)
