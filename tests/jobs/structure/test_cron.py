"""Cron as people write it: read, or refused with what to write instead."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from jobs import clock
from jobs.models import Run, Schedule
from jobs.schedules.decide import decide
from jobs.schedules.due import in_words, next_fires, schedule_of
from jobs.schedules.lead import Leader
from jobs.schedules.schedules import START, wish
from jobs.schedules.start import start_scheduled
from jobs.structure.cron import CronError, read
from tests.factories import make_pipeline


@pytest.mark.parametrize(
    ("text", "column", "value"),
    [
        ("0 9 * * 7", "day_of_week", "0"),
        ("0 9 * * sun", "day_of_week", "0"),
        ("0 9 * * fri-mon", "day_of_week", "0,1,5,6"),
        ("0 9 * * 5-7", "day_of_week", "0,5,6"),
        ("0 9 * * Monday-Friday", "day_of_week", "1-5"),
        ("0 9 * jan,dec *", "month_of_year", "1,12"),
        ("0 22-2 * * *", "hour", "0,1,2,22,23"),
        ("5/20 * * * *", "minute", "5-59/20"),
        ("@monthly", "day_of_month", "1"),
        ("0 9 L * *", "day_of_month", "28-31"),
        ("0 9 ? * mon", "day_of_month", "*"),
        ("0 9 1 * ?", "day_of_week", "*"),
    ],
)
def test_words_are_read_as_any_cron_reads_them(text: str, column: str, value: str) -> None:
    assert read(text).columns[column] == value
    assert CrontabSchedule(**read(text).columns).schedule


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("H * * * *", "The minute “H” cannot be read: no place is chosen for you here; write a number from 0 to 59"),
        ("H(0-29)/5 * * * *", "no place is chosen for you here"),
        ("0 9 LW * *", "nearest working days are not known here"),
        ("0 9 15W * *", "nearest working days are not known here"),
        ("0 9 L-3 * *", "days before the last one are not known here; write L, or a number"),
        ("5,,6 * * * *", "there is a comma too many"),
        ("0 9 * * fri#6", "a month has a first (#1) to a fifth (#5), and a last (friL)"),
        ("0 9 * * mon,fri#2", "mixes counted and plain ones: make a schedule for each"),
        ("0 0 9 * * ?", "There are 6: leave out seconds and years, as in “0 9 * * ?”"),
        ("0 0 9 * * ? 2027", "There are 7: leave out seconds and years"),
        ("0 9 * * mon, wed", "with no space beside a comma"),
        ("0 9 * * * /usr/bin/report", "without a command behind them"),
        ("@reboot", "“@reboot” is not known: write @hourly"),
        ("@every 5m", "is set under “Every”"),
        ("CRON_TZ=UTC 0 9 * * *", "without the zone: choose it beside them"),
        ("٣ 9 * * *", "The minute “٣” cannot be read"),
        ("-5 * * * *", "The minute “-5” cannot be read"),
        ("0 25 * * *", "The hour 25 does not exist: write 0 to 23."),
        ("0 9 * * L", "“L” stands for the last day of a month, not for a day of the week."),
        ("0 9 31-2 * *", "ends before it begins: write 31-31,1-2."),
        ("*/0 * * * *", "a step is at least 1"),
        ("0 9 * * funday", "or mon-fri; 0 and 7 are Sunday"),
        ("0 6 *", "Write five fields"),
        ("", "Write five fields"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(CronError, match=re.escape(words)):
        read(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0 9 L * mon-fri", "0 9 L * 1-5"),
        ("0 9 L,15 * *", "0 9 15,L * *"),
        ("0 9 28-31,l * *", "0 9 28-31,L * *"),
        ("0 9 * * fri#2,monL", "0 9 * * 1L,5#2"),
    ],
)
def test_a_rule_is_shown_again_as_it_counts(text: str, shown: str) -> None:
    assert read(text).text == shown
    assert read(shown) == read(text)


def test_the_numbers_of_a_rule() -> None:
    rule = read("*/20 22-2 15,L jan-mar fri#2,sun#5")
    assert rule.numbers("minute") == {0, 20, 40}
    assert rule.numbers("hour") == {0, 1, 2, 22, 23}
    assert rule.numbers("month_of_year") == {1, 2, 3}
    assert (rule.days_of_month, rule.has_last_day, rule.nth) == ({15}, True, {(2, 5), (5, 7)})
    assert not rule.is_elapsed and read("0 */2 * * *").is_elapsed


# ---- due times


def schedule(rule: str, zone: str = "Europe/Berlin") -> PeriodicTask:
    cron = read(rule)
    crontab = CrontabSchedule.objects.create(**cron.columns, timezone=zone)
    kwargs = wish(make_pipeline(), {}, is_last_day=cron.has_last_day)
    return PeriodicTask.objects.create(name=f"at {rule}", task=START, crontab=crontab, kwargs=kwargs)


def started(task: PeriodicTask, at: datetime) -> Run | None:
    return start_scheduled(json.loads(task.kwargs)["pipeline_id"], {}, task.name, at)


@pytest.mark.django_db
def test_the_last_day_of_the_month_is_due_once_a_month() -> None:
    task = schedule("0 9 L * *")
    fires = next_fires(task, datetime(2027, 1, 15, tzinfo=UTC), 4)
    assert [f"{fire:%m-%d %H}" for fire in fires] == ["01-31 08", "02-28 08", "03-31 07", "04-30 07"]
    assert "last day of each month" in in_words(schedule_of(task))
    Schedule.objects.update(counts_since=datetime(2026, 12, 31, 12, tzinfo=UTC))
    assert started(task, datetime(2027, 1, 30, 8, tzinfo=UTC)) is None
    assert started(task, datetime(2027, 1, 31, 8, tzinfo=UTC)) is not None


@pytest.mark.django_db
@pytest.mark.parametrize("edit", ["rule", "switch", "shared rule"])
def test_an_edit_starts_nothing_that_was_due_before_it(edit: str) -> None:
    at = clock.now()
    due = (at - timedelta(minutes=1)).replace(second=0, microsecond=0)
    before = due if edit == "switch" else at + timedelta(minutes=30)
    task = schedule(f"{before.minute} * * * *", "UTC")
    if edit == "switch":
        task.enabled = False
        task.save()
    Schedule.objects.update(counts_since=at - timedelta(minutes=50), decided_until=at - timedelta(minutes=50))
    if edit == "rule":
        task.crontab = CrontabSchedule.objects.create(minute=str(due.minute), timezone="UTC")
        task.save()
    elif edit == "switch":
        task.enabled = True
        task.save()
    else:
        task.crontab.minute = str(due.minute)
        task.crontab.save()
    task.refresh_from_db()
    leader = Leader("test")
    leader.turn(clock.now())
    assert decide(leader, clock.now()) == 0, "nothing is due"
    assert started(task, clock.now()) is None, "nor does a message that was on its way start anything"
    following = due + timedelta(hours=1)
    assert next_fires(task, clock.now(), 1) == [following]
    assert started(task, following + timedelta(seconds=1)) is not None


@pytest.mark.django_db
def test_a_note_is_no_edit_of_when_it_is_due() -> None:
    task = schedule("0 * * * *", "UTC")
    before, counted = clock.now() - timedelta(hours=1), Schedule.objects.get().counts_since
    PeriodicTask.objects.filter(pk=task.pk).update(last_run_at=before)
    task.refresh_from_db()
    task.description = "for the morning"
    task.save()
    task.refresh_from_db()
    assert task.last_run_at == before
    assert Schedule.objects.get().counts_since == counted
