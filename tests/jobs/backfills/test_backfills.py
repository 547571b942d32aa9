"""A backfill runs each date once, so many at once, and loses or doubles none whoever dies."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError

from jobs.backfills import start_next as story
from jobs.backfills.control import change, pause, resume, run_again, stop
from jobs.backfills.start_next import start_due, start_next
from jobs.errors import BadParameters, IllegalMove, NotNow
from jobs.models import Backfill, BackfillDate, Pipeline, Project, Run
from jobs.runs.cancel import cancel
from jobs.runs.retry import retry
from jobs.states import Again, BackfillStatus, Cause, DateStatus, Direction, Overlap, Status
from jobs.upkeep.reconcile import reconcile
from tests.factories import make_run
from tests.jobs.at_work import running, succeed
from tests.jobs.backfills.made import FIRST, NOW, backfill, daily, end_one, statuses

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=5)
MIDNIGHTS = [datetime(2026, 3, day, tzinfo=UTC) for day in range(1, 8)]
Callbacks = Any


def fresh(row: Backfill) -> Backfill:
    return Backfill.objects.get(pk=row.pk)


def drained(row: Backfill, callbacks: Callbacks, most: int = 50) -> list[Run]:
    """End its runs one after the other until none is under way; those runs."""
    runs = []
    while row.dates.under_way().exists() and len(runs) < most:
        with callbacks(execute=True):
            runs.append(end_one(row))
    return runs


def test_last_week_is_run_day_by_day(django_capture_on_commit_callbacks: Callbacks) -> None:
    row = backfill()
    assert statuses(row) == ["running", *["waiting"] * 6]
    runs = drained(row, django_capture_on_commit_callbacks)
    assert [run.due_at for run in runs] == MIDNIGHTS and statuses(row) == ["succeeded"] * 7
    assert [run.parameters["day"] for run in runs] == [due.date() for due in MIDNIGHTS]
    assert {(run.cause, run.requested_by_name) for run in runs} == {(Cause.BACKFILL, "olga")}
    assert runs[0].cause_detail == f"backfill #{row.pk} for 2026-03-01 00:00 UTC"
    assert fresh(row).status == BackfillStatus.FINISHED and fresh(row).finished_at is not None
    assert Run.objects.count() == 7


def test_so_many_are_under_way_at_once_and_no_more(django_capture_on_commit_callbacks: Callbacks) -> None:
    row = backfill(at_once=3)
    assert statuses(row).count("running") == 3
    assert [start_next(row.pk, NOW), reconcile(LATER) and 0] == [0, 0]
    assert Run.objects.count() == 3
    with django_capture_on_commit_callbacks(execute=True):
        end_one(row)
    assert statuses(row) == ["succeeded", "running", "running", "running", "waiting", "waiting", "waiting"]


def test_the_newest_date_may_come_first(django_capture_on_commit_callbacks: Callbacks) -> None:
    row = backfill(direction=Direction.NEWEST)
    runs = drained(row, django_capture_on_commit_callbacks)
    assert [run.due_at for run in runs] == MIDNIGHTS[::-1]


def test_its_steps_go_after_those_of_others() -> None:
    row = backfill(daily(priority=5))
    (step,) = row.dates.under_way()[0].run.steps.all()  # type: ignore[union-attr]
    assert step.priority == 6


def test_what_nobody_started_after_an_end_the_reconciler_starts() -> None:
    """Without the callbacks that follow a commit, as when the process died between."""
    row = backfill()
    end_one(row)
    assert statuses(row)[:2] == ["succeeded", "waiting"]
    reconcile(LATER)
    reconcile(LATER)
    assert statuses(row)[:3] == ["succeeded", "running", "waiting"] and Run.objects.count() == 2


def test_an_end_that_was_not_written_down_is_found() -> None:
    row = backfill()
    run = end_one(row)
    BackfillDate.objects.filter(run=run).update(status=DateStatus.RUNNING)
    assert start_due(LATER) == 2 and statuses(row)[:2] == ["succeeded", "running"]


def test_a_start_that_breaks_off_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    row = backfill(at_once=2)
    pause(row, at=NOW, by="olga")
    change(row, at=NOW, at_once=3)
    Backfill.objects.update(status=BackfillStatus.RUNNING)

    def dies(*_: Any, **__: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(story, "_write", dies)
        start_next(row.pk, NOW)
    assert Run.objects.count() == 2 and statuses(row).count("running") == 2
    start_due(LATER)
    assert Run.objects.count() == 3 and statuses(row).count("running") == 3


def test_a_date_is_there_once() -> None:
    row = backfill()
    with pytest.raises(IntegrityError):
        BackfillDate.objects.create(backfill=row, due_at=MIDNIGHTS[0])


# ---- what ran before


def test_what_succeeded_is_skipped_and_what_failed_runs_again(django_capture_on_commit_callbacks: Callbacks) -> None:
    line = daily()
    good, bad = (make_run(line, cause=Cause.SCHEDULE, due_at=due) for due in MIDNIGHTS[:2])
    succeed(running(good))
    cancel(bad, at=NOW, by="olga")
    row = backfill(line)
    assert statuses(row)[:3] == ["skipped", "running", "waiting"]
    assert row.dates.first().reason == f"Run #{good.pk} of this date succeeded."  # type: ignore[union-attr]
    assert len(drained(row, django_capture_on_commit_callbacks)) == 6


@pytest.mark.parametrize(("again", "skipped"), [(Again.NEW, 2), (Again.UNSUCCESSFUL, 1), (Again.ALL, 0)])
def test_how_much_is_run_again_is_chosen(again: str, skipped: int, django_capture_on_commit_callbacks: Any) -> None:
    line = daily()
    first = backfill(line, last_day=date(2026, 3, 2))
    with django_capture_on_commit_callbacks(execute=True):
        end_one(first)
    with django_capture_on_commit_callbacks(execute=True):
        end_one(first, Status.FAILED)
    assert statuses(first) == ["succeeded", "failed"] and fresh(first).status == BackfillStatus.FINISHED
    assert statuses(backfill(line, again=again)).count("skipped") == skipped


def test_a_date_that_succeeds_meanwhile_is_not_run_again(django_capture_on_commit_callbacks: Callbacks) -> None:
    line = daily()
    row = backfill(line)
    succeed(running(make_run(line, cause=Cause.SCHEDULE, due_at=MIDNIGHTS[1])))
    with django_capture_on_commit_callbacks(execute=True):
        end_one(row)
    assert statuses(row)[:3] == ["succeeded", "skipped", "running"]


def test_a_run_of_the_date_that_is_under_way_is_taken_for_it(django_capture_on_commit_callbacks: Callbacks) -> None:
    line = daily()
    row = backfill(line)
    other = make_run(line, cause=Cause.SCHEDULE, due_at=MIDNIGHTS[1])
    with django_capture_on_commit_callbacks(execute=True):
        end_one(row)
    assert row.dates.get(due_at=MIDNIGHTS[1]).run == other and Run.objects.count() == 2
    with django_capture_on_commit_callbacks(execute=True):
        end_one(row)
    assert statuses(row)[:3] == ["succeeded", "succeeded", "running"]


def test_two_backfills_of_the_same_dates_run_each_once(django_capture_on_commit_callbacks: Callbacks) -> None:
    line = daily()
    one, two = backfill(line, at_once=2), backfill(line, first_day=date(2026, 3, 3), at_once=2)
    for _ in range(30):
        for row in (one, two):
            if row.dates.under_way().exists():
                with django_capture_on_commit_callbacks(execute=True):
                    end_one(row)
    assert {fresh(row).status for row in (one, two)} == {BackfillStatus.FINISHED}
    assert sorted(Run.objects.values_list("due_at", flat=True)) == MIDNIGHTS


# ---- what fails


def test_a_failed_date_does_not_hold_the_others_up_and_runs_again_by_hand_or_by_the_backfill(
    django_capture_on_commit_callbacks: Callbacks,
) -> None:
    row = backfill(last_day=date(2026, 3, 3))
    for status in (Status.FAILED, Status.SUCCEEDED, Status.FAILED):
        with django_capture_on_commit_callbacks(execute=True):
            end_one(row, status)
    assert statuses(row) == ["failed", "succeeded", "failed"] and fresh(row).status == BackfillStatus.FINISHED
    first = row.dates.order_by("due_at")[0]
    assert first.reason == "It broke." and first.run is not None
    again = retry(first.run, at=LATER, by_name="olga")
    succeed(running(again))
    first.refresh_from_db()
    assert (first.status, first.run) == (DateStatus.SUCCEEDED, again)
    assert run_again(fresh(row), at=LATER, by="olga") == 1
    assert statuses(row) == ["succeeded", "succeeded", "running"]
    drained(row, django_capture_on_commit_callbacks)
    assert statuses(row) == ["succeeded"] * 3 and fresh(row).status == BackfillStatus.FINISHED
    with pytest.raises(NotNow, match="None of its dates"):
        run_again(fresh(row), at=LATER, by="olga")


def test_a_project_in_trouble_holds_it_until_it_is_well(django_capture_on_commit_callbacks: Callbacks) -> None:
    row = backfill()
    project = row.pipeline.project
    problem = {"sentence": "Its catalog.yml is no YAML.", "severity": "error"}
    Project.objects.filter(pk=project.pk).update(trouble=[problem], unread=["*"])
    with django_capture_on_commit_callbacks(execute=True):
        end_one(row)
    assert statuses(row)[:2] == ["succeeded", "waiting"] and "catalog.yml" in fresh(row).wait_reason
    Project.objects.filter(pk=project.pk).update(trouble=[], unread=[])
    start_due(LATER)
    assert statuses(row)[:2] == ["succeeded", "running"] and fresh(row).wait_reason == ""


def test_what_nobody_expected_holds_it_for_a_while_and_says_so(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Callbacks
) -> None:
    row = backfill()

    def breaks(*_: Any, **__: Any) -> Run:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patched, django_capture_on_commit_callbacks(execute=True):
        patched.setattr(story, "launch", breaks)
        end_one(row)
        start_due(NOW)
    assert "the disk is full" in fresh(row).wait_reason
    assert start_due(NOW + timedelta(seconds=1)) == 0
    assert start_due(LATER) == 1 and statuses(row)[:2] == ["succeeded", "running"]


# ---- beside other runs


@pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.WAIT, Overlap.CANCEL])
def test_where_runs_do_not_overlap_it_comes_between_them_and_disturbs_none(
    overlap: str, django_capture_on_commit_callbacks: Callbacks
) -> None:
    line = daily(overlap=overlap)
    other = make_run(line)
    row = backfill(line, at_once=5)
    assert statuses(row) == ["waiting"] * 7 and f"Run #{other.pk}" in fresh(row).wait_reason
    with django_capture_on_commit_callbacks(execute=True):
        succeed(running(other))
    assert statuses(row).count("running") == 1
    drained(row, django_capture_on_commit_callbacks)
    assert statuses(row) == ["succeeded"] * 7
    assert not Run.objects.exclude(status=Status.SUCCEEDED).exists()


@pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.WAIT, Overlap.CANCEL])
def test_what_is_due_meanwhile_is_not_lost_to_it_nor_it_to_that(
    overlap: str, django_capture_on_commit_callbacks: Callbacks
) -> None:
    """A backfill leaves hardly a gap: what is skipped for it would be skipped for days."""
    line = daily(overlap=overlap)
    row = backfill(line)
    due = make_run(line, cause=Cause.SCHEDULE, due_at=NOW)
    assert due.status == Status.QUEUED and due.waits_for == row.dates.under_way()[0].run
    with django_capture_on_commit_callbacks(execute=True):
        end_one(row)
    assert statuses(row)[:2] == ["succeeded", "waiting"]
    with django_capture_on_commit_callbacks(execute=True):
        succeed(running(due))
    assert statuses(row)[:2] == ["succeeded", "running"]


# ---- what people do with it


def test_paused_it_starts_nothing_until_it_is_resumed(django_capture_on_commit_callbacks: Callbacks) -> None:
    row = backfill()
    pause(row, at=NOW, by="olga")
    with django_capture_on_commit_callbacks(execute=True):
        end_one(row)
    reconcile(LATER)
    assert statuses(row)[:2] == ["succeeded", "waiting"] and row.paused_by == "olga"
    with pytest.raises(IllegalMove):
        pause(row, at=NOW, by="olga")
    resume(row, at=LATER, by="olga")
    assert statuses(row)[:2] == ["succeeded", "running"] and row.status == BackfillStatus.RUNNING


@pytest.mark.parametrize("cancels", [True, False])
def test_stopped_it_starts_nothing_any_more(cancels: bool, django_capture_on_commit_callbacks: Callbacks) -> None:
    row = backfill(at_once=2)
    with django_capture_on_commit_callbacks(execute=True):
        assert stop(row, at=NOW, by="olga", cancels_runs=cancels) == (2 if cancels else 0)
    reconcile(LATER)
    assert statuses(row) == [*(["cancelled"] * 2 if cancels else ["running"] * 2), *["cancelled"] * 5]
    assert row.dates.last().reason == "Stopped by olga before it began."  # type: ignore[union-attr]
    assert row.is_over and row.status == BackfillStatus.STOPPED
    for act in (pause, resume, stop):
        with pytest.raises(IllegalMove):
            act(row, at=NOW, by="olga")
    with pytest.raises(NotNow):
        change(row, at=NOW, at_once=3)


def test_the_limit_and_the_order_may_change_on_the_way() -> None:
    row = backfill()
    change(row, at=NOW, at_once=2, direction=Direction.NEWEST)
    assert statuses(row) == ["running", *["waiting"] * 5, "running"]
    for wrong in ({"at_once": 0}, {"at_once": 101}, {"direction": "sideways"}):
        with pytest.raises(BadParameters):
            change(row, at=NOW, **wrong)  # type: ignore[arg-type]


def test_a_pipeline_takes_its_backfills_with_it() -> None:
    row = backfill()
    Run.objects.all().delete()
    Pipeline.objects.all().delete()
    assert not Backfill.objects.filter(pk=row.pk).exists()


def test_a_run_that_is_deleted_leaves_a_date_that_says_so() -> None:
    row = backfill()
    Run.objects.all().delete()
    start_due(LATER)
    assert statuses(row)[0] == "failed" and row.dates.order_by("due_at")[0].reason == "Its run was deleted."
    assert row.first_day == FIRST
