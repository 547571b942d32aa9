"""`manage.py backfill`: the same as on its page, for a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from celery import current_app

from jobs.models import Backfill, Run
from jobs.states import BackfillStatus
from tests.commands.conftest import Said
from tests.jobs.backfills.made import daily, end_one

Manage = Callable[..., Said]
DAYS = ("report", "2026-03-01", "2026-03-03")
HOW = ("--zone", "UTC", "--date-parameter", "params:day")


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def test_a_backfill_is_begun_and_controlled(manage: Manage) -> None:
    daily()
    said = manage("backfill", *DAYS, *HOW, "--at-once", "2", "--param", "options.top=3")
    row = Backfill.objects.get()
    assert said.code == 0
    page = f"http://127.0.0.1:8000/backfills/{row.pk}/"
    assert said.out == f"The backfill #{row.pk} of shop / report is running: 2 running, 1 waiting: {page}\n"
    assert row.parameters == {"options": {"top": 3}} and row.path == ("day",)
    number = str(row.pk)
    assert "paused" in manage("backfill", "--pause", number).out
    assert manage("backfill", "--pause", number).code == 2
    assert "2 running" in manage("backfill", "--resume", number).out
    assert "3 running" in manage("backfill", "--show", number, "--at-once", "3").out
    assert "3 cancelled" in manage("backfill", "--stop", number, "--cancel-runs").out
    assert "3 running" in manage("backfill", "--retry", number).out
    assert f"#{number}  shop / report" in manage("backfill").out


def test_a_dry_run_says_what_it_would_do(manage: Manage) -> None:
    daily()
    said = manage("backfill", *DAYS, *HOW, "--dry-run")
    assert said.out.splitlines()[0] == "2026-03-01 00:00 UTC  create"
    assert said.out.splitlines()[-1] == "3 runs, 0 skipped."
    assert json.loads(manage("backfill", *DAYS, *HOW, "--dry-run", "--json").out)["runs"] == 3
    assert not Run.objects.exists()


def test_its_end_is_the_exit_code(manage: Manage) -> None:
    daily()
    manage("backfill", "report", "2026-03-01", "2026-03-01", *HOW)
    row = Backfill.objects.get()
    end_one(row)
    Backfill.objects.update(status=BackfillStatus.FINISHED, finished_at=row.created_at)
    assert manage("backfill", "--show", str(row.pk), "--wait").code == 0
    row.dates.update(status="failed", reason="It broke.")
    said = manage("backfill", "--show", str(row.pk), "--wait")
    assert (said.code, said.err) == (1, "  2026-03-01 00:00 UTC failed: It broke.\n")
    Backfill.objects.update(status=BackfillStatus.STOPPED)
    assert manage("backfill", "--show", str(row.pk), "--wait").code == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("report", "tomorrow", "2026-03-01"), "FROM: Write a day such as 2026-03-01."),
        (("report", "2026-03-01"), "TO: Write a day such as 2026-03-01."),
        (("--pause", "9"), "There is no backfill #9"),
        (("report", "2026-03-01", "2026-03-02", "--pause", "9"), "Do one thing at a time"),
        (("report", "2026-03-01", "2026-03-02", "--schedule", "x"), "schedule: No schedule “x” starts report."),
    ],
)
def test_what_cannot_be_is_one_sentence(manage: Manage, words: tuple[str, ...], sentence: str) -> None:
    daily()
    said = manage("backfill", *words)
    assert said.code == 2 and sentence in said.err
