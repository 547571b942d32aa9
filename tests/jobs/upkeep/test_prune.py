"""What no run needs any more is dropped, and nothing else."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.core.management import call_command

from jobs import clock
from jobs.interpreters.artifacts import key_of, store
from jobs.interpreters.boundary import lay_out
from jobs.models import Act, Event, Loan, LogChunk, Project, Run
from jobs.runs.resume import preview
from jobs.states import Status
from jobs.upkeep.prune import acts_due, prune
from kedro_console.wire import store_file
from tests.factories import AT, make_pipeline, make_run

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: None)
    monkeypatch.setattr(settings, "VAR", tmp_path)
    yield


def ended_run(status: Status, at: datetime = AT, **facts: Any) -> Run:
    run = make_run(facts.pop("pipeline", None), **facts)
    run.start(at=AT, by="w1")
    for step in run.steps.all():
        step.end(Status.CANCELLED, None, at=AT, by="w1")
    run.end(status, at=at, by="w1")
    run.store_folder.mkdir(parents=True)
    (run.store_folder / store_file("raw_data")).write_text("x")
    return run


@pytest.mark.parametrize(
    ("status", "age", "stays"),
    [
        (Status.SUCCEEDED, timedelta(minutes=50), True),
        (Status.SUCCEEDED, 2 * HOUR, False),
        (Status.FAILED, 6 * DAY, True),
        (Status.FAILED, 8 * DAY, False),
        (Status.CRASHED, 6 * DAY, True),
        (Status.CANCELLED, 8 * DAY, False),
    ],
)
def test_a_store_stays_while_its_run_may_be_resumed(status: Status, age: timedelta, stays: bool) -> None:
    run = ended_run(status)
    assert prune(AT + age).folders == (not stays)
    assert run.folder.exists() == stays
    assert [path.name for path in run.folder.parent.iterdir()] == ([str(run.uuid)] if stays else [])


def test_a_pipeline_that_reuses_keeps_what_succeeded(settings: Any) -> None:
    settings.CONSOLE_KEEP_STORES_DAYS = 30
    pipeline = make_pipeline(reuses_content=True)
    run = ended_run(Status.SUCCEEDED, pipeline=pipeline)
    assert (prune(AT + 29 * DAY).folders, prune(AT + 31 * DAY).folders) == (0, 1)
    assert not run.folder.exists()


def test_a_run_under_way_keeps_its_folder_however_old() -> None:
    run = make_run()
    run.store_folder.mkdir(parents=True)
    assert (prune(AT + 900 * DAY).folders, run.store_folder.exists()) == (0, True)


def test_a_folder_of_no_run_goes_after_a_day_and_what_is_no_folder_of_a_run_stays(tmp_path: Path) -> None:
    place = tmp_path / "runs"
    for name in (str(uuid.uuid4()), "notes", f".dropped-{uuid.uuid4()}"):
        (place / name / "store").mkdir(parents=True)
        os.utime(place / name, (AT.timestamp(), AT.timestamp()))
    (tmp_path / "elsewhere").mkdir()
    (place / str(uuid.uuid4())).symlink_to(tmp_path / "elsewhere")
    assert (prune(AT + 23 * HOUR).folders, prune(AT + 25 * HOUR).folders) == (0, 1)
    assert (place / "notes").exists() and (tmp_path / "elsewhere").exists()
    assert len(list(place.iterdir())) == 2


def test_a_folder_where_an_older_release_left_it_is_taken_over_and_goes_with_its_run() -> None:
    run = make_run()
    known = Path(settings.VAR) / "runs" / str(run.uuid)
    (known / "store").mkdir(parents=True)
    (known / "store" / "data").write_text("x")
    lay_out(run)
    assert (run.store_folder / "data").read_text() == (known / "store" / "data").read_text() == "x"
    lay_out(run)
    run.start(at=AT, by="w1")
    run.end(Status.FAILED, at=AT, by="w1")
    assert prune(AT + 8 * DAY).folders == 1
    assert not run.folder.exists() and not known.is_symlink()


def test_what_a_killed_worker_spilled_of_a_log_goes_after_a_month() -> None:
    place = Path(settings.VAR) / "spilled" / str(uuid.uuid4())
    place.mkdir(parents=True)
    os.utime(place, (AT.timestamp(), AT.timestamp()))
    assert (prune(AT + 29 * DAY).folders, prune(AT + 31 * DAY).folders, place.exists()) == (0, 1, False)


def test_a_run_whose_store_is_gone_says_so_when_it_is_resumed() -> None:
    run = ended_run(Status.FAILED, is_resumable=True)
    run.node_runs.exclude(name="write").update(status="succeeded")
    Event.objects.create(
        run=run, step=run.steps.get(), seq=1, at=AT, kind="dataset_saved", node="process",
        data={"dataset": "processed_data", "type": "MemoryDataset", "path": "", "version": ""},
    )  # fmt: skip
    (run.store_folder / store_file("processed_data")).write_text("x")
    assert "process" not in dict(preview(run).rerun)
    prune(AT + 8 * DAY)
    assert dict(preview(run).rerun)["process"] == "Its processed_data is no longer in the run's store."


def test_log_lines_and_events_go_when_a_setting_says_so(settings: Any) -> None:
    old, new = ended_run(Status.SUCCEEDED), ended_run(Status.FAILED, AT + 5 * DAY)
    file = Path(store().path(key_of("a" * 64)))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"the rest of a log")
    old.steps.update(log_sha256="a" * 64)
    for run in (old, new):
        step = run.steps.get()
        LogChunk.objects.create(run=run, step=step, first_seq=1, last_seq=1, content=[[1, 0.0, "INFO", "x", "", "y"]])
        for seq, kind in enumerate(("node_started", "dataset_saved"), start=2):
            Event.objects.create(run=run, step=step, seq=seq, at=AT, kind=kind, data={"dataset": "raw_data"})
    assert prune(AT + 900 * DAY).rows == 0 and file.exists()
    settings.CONSOLE_KEEP_LOGS_DAYS = 30
    assert (prune(AT + 31 * DAY).rows, prune(AT + 31 * DAY).rows) == (2, 0)
    assert list(LogChunk.objects.values_list("run", flat=True)) == [new.pk]
    assert list(old.events.values_list("kind", flat=True)) == ["dataset_saved"]
    assert Run.objects.get(pk=old.pk).log_dropped_at == AT + 31 * DAY and not file.exists()


def test_a_store_at_an_address_is_dropped_by_its_project(tmp_path: Path) -> None:
    pipeline = make_pipeline(is_resumable=True)
    Project.objects.update(store_url=f"file://{tmp_path}/shared/", interpreter=sys.executable)
    pipeline.project.refresh_from_db()
    run = ended_run(Status.FAILED, pipeline=pipeline)
    store = tmp_path / "shared" / str(run.uuid)
    assert run.store_url == f"file://{store}"
    store.mkdir(parents=True)
    assert (prune(AT + DAY).stores, store.exists()) == (0, True)
    assert (prune(AT + 8 * DAY).stores, store.exists()) == (1, False)
    assert Run.objects.get(pk=run.pk).store_url == ""


def test_what_is_lent_stays_as_long_as_somebody_may_ask_for_the_run_that_reads_it(tmp_path: Path) -> None:
    pipeline = make_pipeline(is_resumable=True)
    in_folder = ended_run(Status.FAILED, pipeline=pipeline)
    Project.objects.update(store_url=f"file://{tmp_path}/shared/", interpreter=sys.executable)
    pipeline.project.refresh_from_db()
    lender = ended_run(Status.FAILED, pipeline=pipeline)
    (tmp_path / "shared" / str(lender.uuid)).mkdir(parents=True)
    reader = ended_run(Status.FAILED, pipeline=pipeline)
    Run.objects.filter(pk=reader.pk).update(finished_at=AT + 5 * DAY, store_url="")
    for place in (lender.store_url, str(in_folder.store_folder)):
        Loan.objects.create(run=reader, place=place, files=["a.data"])
    assert (prune(AT + 8 * DAY).stores, in_folder.store_folder.exists()) == (0, True)
    assert Run.objects.get(pk=lender.pk).store_url == lender.store_url
    assert (prune(AT + 13 * DAY).stores, in_folder.store_folder.exists()) == (1, False)
    assert not (tmp_path / "shared" / str(lender.uuid)).exists()
    assert not Loan.objects.filter(place=lender.store_url).exists()


def test_an_address_that_does_not_answer_is_asked_again_the_next_time() -> None:
    pipeline = make_pipeline(is_resumable=True)
    Project.objects.update(store_url="nowhere://x", interpreter=sys.executable)
    pipeline.project.refresh_from_db()
    run = ended_run(Status.FAILED, pipeline=pipeline)
    assert prune(AT + 8 * DAY).stores == 0
    assert Run.objects.get(pk=run.pk).store_url == f"nowhere://x/{run.uuid}"


def test_the_record_goes_when_a_setting_says_so(settings: Any) -> None:
    at = clock.now()
    for age in (10 * DAY, 40 * DAY):
        Act.objects.create(at=at - age, actor="olga", door="page", verb="started", kind="run")
    assert (prune(at).acts, acts_due(at).count()) == (0, 0)
    settings.CONSOLE_KEEP_ACTS_DAYS = 30
    out = StringIO()
    call_command("prune", "--dry-run", stdout=out)
    assert out.getvalue() == "1 act would be dropped (CONSOLE_KEEP_ACTS_DAYS).\n" and Act.objects.count() == 2
    assert (prune(at).acts, prune(at).acts) == (1, 0)
    assert Act.objects.get().at == at - 10 * DAY
