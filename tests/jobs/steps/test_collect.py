"""What a child reports becomes rows, in order, in batches, and only under the lease."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from jobs.errors import LeaseLost, PlatformError
from jobs.interpreters.artifacts import open_file
from jobs.models import LogChunk, RequestRecord, Run, Step, Upload
from jobs.states import NodeStatus, Status
from jobs.steps.advance import finish
from jobs.steps.collect import Collector
from jobs.steps.cut_log import LOG_LIMIT_BYTES, Log
from jobs.steps.node_facts import StopReason
from jobs.steps.outcome import outcome_of
from jobs.steps.request_for_child import step_folder
from jobs.steps.spill_log import Spill
from jobs.steps.uploads import send_waiting
from jobs.steps.verdict import Ended, HandedBack, Stop
from jobs.steps.writer import BYTES_A_CHUNK
from kedro_console import wire
from tests.factories import AT
from tests.jobs.steps.collecting import collecting, folder_of
from tests.live import until

NOW = AT.timestamp()


def exited(**facts: Any) -> wire.ChildExited:
    return wire.ChildExited(
        NOW, **({"exit_code": 0, "signal": None, "peak_memory_bytes": 5, "cpu_seconds": 0.1} | facts)
    )


def test_log_bytes_are_cut_into_lines_wherever_they_arrive() -> None:
    log = Log()
    for part in (wire.mark_line("INFO", "stdout", "fetch", "one\ntwo"), b"raw ", b"line\nrest"):
        log.feed(part, NOW)
    log.close(NOW)
    assert [(line[2], line[3], line[4]) for line in log.lines] == [
        ("stdout", "fetch", "one"),
        ("stdout", "fetch", "two"),
        ("raw", "", "raw line"),
        ("raw", "", "rest"),
    ]


def test_a_log_past_its_limit_is_counted_and_its_last_line_kept() -> None:
    log = Log()
    line = b"x" * 999 + b"\n"
    for _ in range(LOG_LIMIT_BYTES // len(line) + 10):
        log.feed(line, NOW)
    log.feed(b"farewell\n", NOW)
    log.close(NOW)
    texts = [line[4] for line in log.lines]
    assert texts[-1] == log.last_line == "farewell"
    assert sum("lines were not kept here" in text for text in texts) == 0
    assert len(texts) == LOG_LIMIT_BYTES // len(line) + 11


def test_a_log_far_past_its_limit_says_what_is_missing() -> None:
    log = Log()
    log.feed((b"x" * 999 + b"\n") * (LOG_LIMIT_BYTES // 1000 + 2_000), NOW)
    log.feed(b"farewell\n", NOW)
    log.close(NOW)
    (note,) = [line[4] for line in log.lines if line[2] == "console"]
    assert note.split()[0].replace(",", "").isdigit()
    assert log.lines[-1][4] == "farewell"


def test_who_follows_a_log_past_its_limit_sees_the_newest_line_now_and_then(tmp_path: Path) -> None:
    log = Log(Spill(tmp_path, 10**9))
    log.feed((b"x" * 999 + b"\n") * (LOG_LIMIT_BYTES // 1000 + 2), NOW)
    log.take()
    for second in range(1, 31):
        log.feed(b"step %d\n" % second * 5_000, NOW + second)
    glimpses = [line[4] for line in log.take()]
    assert [text.split()[-1] for text in glimpses] == ["10", "20", "30"]
    assert "more lines go into a file" in glimpses[0]


def test_a_row_holds_some_lines_and_of_long_ones_fewer(db: None) -> None:
    seen = collecting()
    for size, count in ((10, 1_200), (50_000, 7)):
        seen.take_log((b"z" * size + b"\n") * count, NOW)
    seen.writer.flush()
    rows = list(seen.writer.step.run.log_chunks.order_by("first_seq"))
    assert [len(row.content) for row in rows][:2] == [500, 500]
    assert max(sum(len(line.text) for line in row.lines) for row in rows) <= BYTES_A_CHUNK
    assert [line.seq for row in rows for line in row.lines] == list(range(1, 1_208))


def test_a_line_that_never_ends_is_cut() -> None:
    log = Log()
    log.feed(b"y" * (wire.MAX_LINE_BYTES * 5), NOW)
    log.close(NOW)
    assert all(len(line[4]) < wire.MAX_LINE_BYTES + 200 for line in log.lines)


@pytest.mark.django_db
def test_events_and_lines_are_numbered_without_holes() -> None:
    seen = collecting()
    seen.take(wire.NodeStarted(NOW, "fetch"))
    seen.take_log(wire.mark_line("INFO", "stdout", "fetch", "hello"), NOW)
    seen.writer.flush()
    seen.take(wire.NodeFinished(NOW + 1, "fetch", 1.0))
    seen.writer.flush()
    run = Run.objects.get(pk=seen.writer.step.run_id)
    (chunk,) = LogChunk.objects.filter(run=run)
    assert list(run.events.values_list("seq", "kind")) == [(1, "node_started"), (2, "node_finished")]
    assert [line.seq for line in chunk.lines] == [1]
    assert (run.seq, run.log_seq, run.nodes_done) == (2, 1, 1)
    assert run.node_runs.get(name="fetch").status == NodeStatus.SUCCEEDED


@pytest.mark.django_db
def test_hostile_text_is_stored_harmless() -> None:
    seen = collecting()
    failure = wire.Failure("ValueError", "bad \x00 \ud800 text", [], "")
    saved = wire.DatasetSaved(NOW, "zip_file", "write", "X", 0.1, value={"n": float("inf")}, has_value=True)
    for message in (wire.NodeStarted(NOW, "fetch"), saved, wire.NodeFailed(NOW, "fetch", 1.0, failure)):
        seen.take(wire.parse(message.to_json()))
    seen.take_log(b"\x1eINFO\x1fstdout\x1ffetch\x1fnul \x00 and \xff\n", NOW)
    seen.writer.flush()
    node = seen.writer.step.run.node_runs.get(name="fetch")
    assert node.status == NodeStatus.FAILED
    assert "\x00" not in node.error
    assert seen.heard.results["zip_file"]["value"] == {"n": "inf"}


@pytest.mark.django_db
def test_with_the_lease_gone_nothing_is_written() -> None:
    seen = collecting()
    Step.objects.filter(pk=seen.writer.step.pk).update(lease_token=None, status=Status.QUEUED)
    seen.take(wire.NodeStarted(NOW, "fetch"))
    with pytest.raises(LeaseLost):
        seen.writer.flush()
    assert not seen.writer.step.run.events.exists()
    assert seen.writer.step.run.node_runs.get(name="fetch").status == NodeStatus.WAITING


@pytest.mark.django_db
def test_rows_wait_for_a_database_that_is_away() -> None:
    seen = collecting()
    seen.take(wire.NodeStarted(NOW, "fetch"))
    seen.take(wire.RunStarted(NOW, ["fetch", "new_node"], {}, {}))
    seen.take_log(b"kept\n", NOW)
    back = time.monotonic() + 0.5

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "jobs_logchunk" in sql and time.monotonic() < back:
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)

    def is_written() -> bool:
        try:
            seen.writer.flush()
        except OperationalError:
            return False
        return True

    with connection.execute_wrapper(refuse):
        until(is_written, seconds=20)
    run = seen.writer.step.run
    assert run.events.count() == 2
    assert run.node_runs.filter(name="new_node").count() == 1
    assert [line.text for chunk in run.log_chunks.all() for line in chunk.lines] == ["kept"]


@pytest.mark.django_db
def test_a_kept_file_goes_to_the_store_by_its_checksum(tmp_path: Path) -> None:
    seen = collecting()
    staged = folder_of(seen) / "deck.pptx"
    staged.write_bytes(b"slides")
    digest = hashlib.sha256(b"slides").hexdigest()
    kept = wire.KeptFile(str(staged), "deck.pptx", 6, digest, "application/vnd.ms-powerpoint")
    seen.take(wire.DatasetSaved(NOW, "ppt_file", "write", "X", 0.1, kept=kept))
    (row,) = seen.files.artifacts
    from jobs.models import Artifact

    artifact = Artifact.objects.create(run=seen.writer.step.run, created_at=AT, **row)
    with open_file(artifact) as file:
        assert file.read() == b"slides"
    assert not staged.exists()
    artifact.sha256 = "0" * 64
    with pytest.raises(PlatformError, match="could not be read from the artifact store"):
        open_file(artifact)


def put_store_at(settings: Any, folder: Path) -> None:
    store = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(folder)}}
    settings.STORAGES = settings.STORAGES | {"artifacts": store}


def saved(path: Path, content: bytes = b"x") -> wire.DatasetSaved:
    path.write_bytes(content)
    kept = wire.KeptFile(str(path), "a.csv", len(content), hashlib.sha256(content).hexdigest(), "text/csv")
    return wire.DatasetSaved(NOW, "csv", "write", "X", 0.1, kept=kept)


def end_well(seen: Collector) -> Run:
    Run.objects.get(pk=seen.writer.step.run_id).start(at=AT, by="t")
    seen.take(RUNNING[0])
    seen.take(wire.RunFinished(NOW, 1.0))
    seen.take(exited())
    finish(seen.writer.step, outcome_of(seen, Ended()), token=seen.writer.token, at=AT, by="t", writer=seen.writer)
    return Run.objects.get(pk=seen.writer.step.run_id)


@pytest.mark.django_db
def test_a_store_that_is_away_harms_no_run_and_has_the_file_as_soon_as_it_is_back(
    settings: Any, tmp_path: Path
) -> None:
    seen = collecting()
    (tmp_path / "store").write_text("a file where the folder should be")
    put_store_at(settings, tmp_path / "store")
    seen.take(saved(folder_of(seen) / "a.csv"))
    run = end_well(seen)
    assert run.status == Status.SUCCEEDED
    (artifact,), (upload,) = run.artifacts.all(), Upload.objects.all()
    assert upload.error in ("Not a directory.", "File exists.") and Path(upload.path).read_bytes() == b"x"
    assert open_file(artifact).read() == b"x"
    assert send_waiting(AT) == 0
    upload.refresh_from_db()
    assert upload.due_at > AT and Path(upload.path).exists()
    (tmp_path / "store").unlink()
    assert send_waiting(upload.due_at) == 1
    assert not Upload.objects.exists() and not Path(upload.path).exists()
    assert open_file(artifact).read() == b"x"


@pytest.mark.django_db
def test_a_file_that_can_be_kept_nowhere_is_named_not_lost_in_silence(settings: Any, tmp_path: Path) -> None:
    seen = collecting()
    put_store_at(settings, tmp_path / "store")
    event = saved(folder_of(seen) / "a.csv")
    (step_folder(seen.writer.step) / "a.csv").unlink()
    seen.take(event)
    run = end_well(seen)
    assert run.status == Status.SUCCEEDED and not run.artifacts.exists()
    assert run.unkept_files.get().reason.startswith("a.csv was not kept: ")


RUNNING = [wire.ChildStarted(NOW, 1, "fork", "r", "1.7.0", "3.11.7"), wire.NodeStarted(NOW, "fetch")]
CANCELLED = Ended(Stop(StopReason.CANCEL))
FAILED = wire.RunFailed(NOW, 1.0, "fetch", wire.Failure("app.ShelfError", "empty\nshelf", [], ""))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("messages", "ending", "status", "sentence"),
    [
        ([wire.RunFinished(NOW, 1), exited()], Ended(), "succeeded", ""),
        ([wire.RunFinished(NOW, 1), exited()], CANCELLED, "succeeded", ""),
        ([FAILED, exited(exit_code=1)], Ended(), "failed", "Node fetch: ShelfError: empty shelf"),
        ([exited(exit_code=3)], Ended(), "crashed", "The process exited with code 3 while fetch ran."),
        ([exited(exit_code=None, signal=11)], Ended(), "crashed", "ended by SIGSEGV (signal 11) while fetch ran"),
        (
            [exited(exit_code=None, signal=9, peak_memory_bytes=3_100_000_000, memory_limit_bytes=3_000_000_000)],
            Ended(), "crashed", "Killed at 3.1 GB of 3.0 GB allowed while fetch ran.",
        ),
        ([FAILED, exited()], CANCELLED, "cancelled", ""),
        ([FAILED, exited()], Ended(Stop(StopReason.TIME_LIMIT, 7)), "failed", "Stopped after 7 s"),
        ([], Ended(), "crashed", "The project's host ended unexpectedly while fetch ran."),
        ([], HandedBack(), "crashed", "The worker was stopped"),
        ([wire.StepRefused(NOW, "broken", "No package x.")], Ended(), "failed", "No package x."),
        ([], Ended(sentence="The folder is not there."), "failed", "The folder is not there."),
    ],
)  # fmt: skip
def test_every_way_to_end_has_a_status_and_a_sentence(
    messages: list[wire.Message], ending: Ended | HandedBack, status: str, sentence: str
) -> None:
    seen = collecting()
    for message in RUNNING + messages:
        seen.take(message)
    outcome = outcome_of(seen, ending)
    assert outcome.status == status
    assert sentence in outcome.error
    assert bool(outcome.error) == bool(sentence)


BROKEN_OFF = wire.Failure(
    "ValueError",
    "cleaning up",
    [wire.Frame("src/app.py", 7, "fetch", "x()", True), wire.Frame("lib.py", 1, "y", "", False)],
)


@pytest.mark.django_db
def test_a_node_that_is_stopped_by_a_cancel_is_cancelled_whatever_it_raises() -> None:
    seen = collecting()
    for message in (wire.NodeStarted(NOW, "fetch"), wire.NodeStarted(NOW, "process")):
        seen.take(message)
    seen.take(wire.NodeFailed(NOW, "process", 1.0, wire.Failure("OSError", "by itself")))
    seen.heard.stop(StopReason.CANCEL)
    seen.take(wire.NodeFailed(NOW, "fetch", 2.0, BROKEN_OFF))
    seen.take(wire.RequestMade(NOW, "c1", "fetch", "httpx", "GET", "http://h/", "h", message="broken off"))
    seen.take(wire.RunFailed(NOW, 2.0, "fetch", BROKEN_OFF))
    seen.writer.flush()
    nodes = {node.name: node for node in seen.writer.step.run.node_runs.all()}
    fetch = nodes["fetch"]
    assert (fetch.status, fetch.error, fetch.failure, fetch.seconds) == (NodeStatus.CANCELLED, "", None, 2.0)
    assert fetch.reason == "It was at src/app.py:7 in fetch."
    assert (nodes["process"].status, nodes["process"].error) == (NodeStatus.FAILED, "OSError: by itself")
    assert not RequestRecord.objects.exists()
    assert outcome_of(seen, CANCELLED).status == Status.CANCELLED


@pytest.mark.django_db
def test_what_a_time_limit_stopped_has_failed_for_that() -> None:
    seen = collecting()
    seen.take(wire.NodeStarted(NOW, "fetch"))
    seen.heard.stop(StopReason.TIME_LIMIT)
    seen.take(wire.NodeFailed(NOW, "fetch", 2.0, wire.Failure("KeyboardInterrupt", "KeyboardInterrupt", [], "trace")))
    outcome = outcome_of(seen, Ended(Stop(StopReason.TIME_LIMIT, 3)))
    seen.heard.nodes.blame(outcome.error)
    seen.writer.flush()
    fetch = seen.writer.step.run.node_runs.get(name="fetch")
    assert outcome.status == Status.FAILED and "Stopped after 3 s" in outcome.error
    assert (fetch.status, fetch.error) == (NodeStatus.FAILED, outcome.error)
    assert (fetch.failure["exception"], fetch.failure["message"]) == ("TimeLimit", outcome.error)
    assert fetch.failure["traceback"] == "trace"


@pytest.mark.django_db
def test_a_project_that_is_stopped_while_it_is_imported_is_not_broken() -> None:
    seen = collecting()
    seen.take(wire.StepRefused(NOW, "broken", "The project cannot be loaded: KeyboardInterrupt"))
    assert outcome_of(seen, CANCELLED).status == Status.CANCELLED
    assert outcome_of(seen, Ended()).status == Status.FAILED
