"""What a resumed run executes and what it takes from the old one."""

from __future__ import annotations

import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings

from jobs.errors import BadParameters, IllegalMove, NothingToResume
from jobs.interpreters import stores
from jobs.models import Artifact, Event, Pipeline, Project, Run, Snapshot
from jobs.runs.preview_reuse import UNFINISHED
from jobs.runs.resume import preview, resume
from jobs.states import NodeStatus, Runner, Status
from kedro_console.wire import store_file
from tests.disks import disk
from tests.factories import AT, content, make_pipeline, make_run

pytestmark = pytest.mark.django_db
LATER = AT + timedelta(minutes=5)
FETCHED = {"dataset": "raw_data", "type": "pandas.CSVDataset", "path": "data/raw.csv", "version": "v1"}
PROCESSED = {"dataset": "processed_data", "type": "MemoryDataset", "path": "", "version": ""}


@pytest.fixture(autouse=True)
def _nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: None)


def save(run: Run, node: str, at: Any = AT, **data: Any) -> None:
    run.seq += 1
    Event.objects.create(
        run=run, step=run.steps.first(), seq=run.seq, at=at, kind="dataset_saved", node=node, data=data
    )


def failed_at(node: str, pipeline: Pipeline | None = None, **facts: Any) -> Run:
    """A run of fetch → process → write that failed at this node, with what the nodes before had saved."""
    run = make_run(pipeline or make_pipeline(is_resumable=True), **facts)
    for name, saved in (("fetch", FETCHED), ("process", PROCESSED)):
        if name == node:
            break
        run.node_runs.filter(name=name).update(status=NodeStatus.SUCCEEDED)
        save(run, name, **saved)
        keep(run, str(saved["dataset"]))
    run.node_runs.filter(name=node).update(status=NodeStatus.FAILED, error="ValueError: no")
    run.node_runs.filter(status=NodeStatus.WAITING).update(status=NodeStatus.BLOCKED)
    run.start(at=AT, by="w1")
    run.steps.get().end(Status.CANCELLED, None, at=AT, by="w1")
    return run.end(Status.FAILED, at=AT, by="w1", error="ValueError: no")


def keep(run: Run, dataset: str) -> None:
    run.store_folder.mkdir(parents=True, exist_ok=True)
    (run.store_folder / store_file(dataset)).write_text(f"{dataset} of the old run")


def columns(run: Run, parameters: dict[str, Any] | None = None) -> dict[str, str]:
    return dict(preview(run, parameters).rerun)


def newer_snapshot(run: Run, **changes: Any) -> None:
    Snapshot.objects.create(project=run.pipeline.project, revision="files-2", content=content(**changes), taken_at=AT)


def test_only_what_did_not_succeed_runs_and_reads_the_old_store() -> None:
    old = failed_at("write")
    found = preview(old)
    assert found.rerun == [("write", "It failed: ValueError: no.")]
    assert found.reuse == [
        ("fetch", "It succeeded, and nothing that runs again needs what it made."),
        ("process", "It succeeded: processed_data is in the run's store."),
    ]
    new = resume(old, at=LATER, by_name="olga")
    assert new.steps.get().nodes == ["write"]
    assert dict(new.node_runs.values_list("name", "status")) == {
        "fetch": NodeStatus.REUSED, "process": NodeStatus.REUSED, "write": NodeStatus.WAITING
    }  # fmt: skip
    assert (new.store_folder / store_file("processed_data")).read_text() == "processed_data of the old run"
    assert new.load_versions == {"raw_data": "v1"}
    assert (new.nodes_done, new.nodes_total, new.is_resumable, new.retry_of) == (2, 3, True, old)


def test_without_a_store_the_run_starts_at_the_nearest_persisted_dataset() -> None:
    old = failed_at("write", make_pipeline(copies_mb=0))
    assert columns(old) == {
        "process": "Its processed_data was kept in memory only.",
        "write": "It failed: ValueError: no.",
    }


def test_of_a_run_in_one_process_copies_are_reused_as_far_as_they_were_made() -> None:
    old = failed_at("write", make_pipeline())
    assert old.has_copies and not old.is_resumable
    assert columns(old) == {"write": "It failed: ValueError: no."}
    new = resume(old, at=LATER)
    assert new.is_resumable and (new.store_folder / store_file("processed_data")).exists()
    (old.store_folder / store_file("processed_data")).unlink()
    assert columns(old)["process"].startswith("No copy of its processed_data is there:")


def test_what_lies_on_another_disk_is_read_there() -> None:
    """A link cannot lead to it, and nobody waits for a copy."""
    old = failed_at("write")
    with disk(str(old.store_folder.relative_to(settings.VAR)), "1m"):
        (old.store_folder / store_file("processed_data")).write_bytes(b"kept")
        new = resume(old, at=LATER)
        assert not (new.store_folder / store_file("processed_data")).exists()
        assert {loan.place: loan.files for loan in new.loans.all()} == {
            str(old.store_folder): [store_file("processed_data")]
        }


def test_what_retention_took_from_the_store_is_made_again() -> None:
    old = failed_at("write")
    (old.store_folder / store_file("processed_data")).unlink()
    assert columns(old)["process"] == "Its processed_data is no longer in the run's store."


def test_nodes_that_read_a_changed_parameter_and_all_below_run_again() -> None:
    old = failed_at("write", parameters={"options": {"top": 5}})
    assert columns(old, {"options": {"top": 5}}) == {"write": "It failed: ValueError: no."}
    assert columns(old, {"options": {"top": 6}})["process"] == "It reads options.top, which changed."
    assert list(columns(old, {"api_url": "http://x"})) == ["fetch", "process", "write"]
    assert columns(old, {"api_url": "http://x"})["process"] == "It needs fetch, which runs again."


def test_a_parameter_that_the_configuration_takes_may_reach_every_node() -> None:
    old = failed_at("write")
    newer_snapshot(old, runtime_parameters=["dry"])
    assert columns(old, {"dry": True})["fetch"] == "The configuration uses dry, which changed."


def test_changed_code_and_changed_defaults_of_the_project_run_again() -> None:
    old = failed_at("write")
    changed = content()
    changed["pipelines"][0]["nodes"][1]["source"] = "def process(): ..."
    newer_snapshot(old, **changed)
    assert columns(old)["process"] == "Its code changed."
    newer_snapshot(old, parameters={**content()["parameters"], "api_url": "http://other"})
    assert columns(old)["fetch"] == "It reads api_url, which changed."


def test_what_was_saved_outside_will_happen_again() -> None:
    old = failed_at("write")
    assert preview(old).again == []
    found = preview(old, {"api_url": "http://x"})
    assert found.again == [("fetch", "It had saved raw_data and saves it again.")]


def test_an_unversioned_dataset_that_another_run_saved_since_is_made_again() -> None:
    old = failed_at("process")
    Event.objects.update(data={**FETCHED, "version": ""})
    assert list(columns(old)) == ["process", "write"]
    other = failed_at("process", old.pipeline)
    Event.objects.filter(run=other).update(at=LATER, data={**FETCHED, "version": ""})
    Run.objects.filter(pk=other.pk).update(finished_at=LATER)
    assert columns(old)["fetch"] == f"Run #{other.pk} has saved raw_data since."


def test_files_and_results_of_reused_nodes_are_found_at_the_new_run() -> None:
    old = failed_at("write")
    kept = Artifact.objects.create(
        run=old, dataset="zip_file", node="process", name="a.zip", media_type="application/zip", size_bytes=1,
        sha256="0" * 64, created_at=AT,
    )  # fmt: skip
    Run.objects.filter(pk=old.pk).update(results={"processed_data": {"type": "x", "artifact": str(kept.uuid)}})
    old.refresh_from_db()
    new = resume(old, at=LATER)
    artifact = new.artifacts.get()
    assert (artifact.sha256, artifact.uuid != kept.uuid, old.artifacts.count()) == (kept.sha256, True, 1)
    assert list(new.results) == ["processed_data"]


def test_a_distributed_run_is_planned_over_what_is_missing() -> None:
    old = failed_at("process", runner=Runner.DISTRIBUTED)
    new = resume(old, at=LATER)
    assert [(step.nodes, step.needs) for step in new.steps.all()] == [(["process", "write"], [])]
    assert new.runner == Runner.DISTRIBUTED


def test_a_refused_start_leaves_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    old = failed_at("write")
    Pipeline.objects.filter(pk=old.pipeline_id).update(overlap="skip")
    make_run(old.pipeline)
    old = Run.objects.get(pk=old.pk)
    before = set(old.folder.parent.iterdir())
    with pytest.raises(Exception, match="policy: skip"):
        resume(old, at=LATER)
    assert set(old.folder.parent.iterdir()) == before


def test_a_run_under_way_or_without_a_gap_is_not_resumed() -> None:
    whole = failed_at("write")
    with pytest.raises(IllegalMove):
        resume(make_run(whole.pipeline), at=LATER)
    whole.node_runs.update(status=NodeStatus.SUCCEEDED)
    Run.objects.filter(pk=whole.pk).update(status=Status.SUCCEEDED)
    whole.refresh_from_db()
    with pytest.raises(NothingToResume):
        resume(whole, at=LATER)
    with pytest.raises(BadParameters):
        resume(whole, at=LATER, parameters={"colour": 1})


def test_where_only_the_end_of_the_run_is_missing_the_last_node_brings_it_there() -> None:
    """Its process was killed after the last node and before it could say that it is done."""
    run = failed_at("write")
    run.node_runs.update(status=NodeStatus.SUCCEEDED)
    assert columns(run) == {"write": UNFINISHED}
    new = resume(run, at=LATER)
    assert new.steps.get().nodes == ["write"]
    lost = run.store_folder / store_file("processed_data")
    lost.unlink()
    assert list(columns(run)) == ["process", "write"], "and what it needs, when that is gone"


@pytest.fixture
def hung(tmp_path: Path) -> Pipeline:
    """Its run stores are at an address that only its interpreter could ask, and that never answers."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 600\n")
    python.chmod(0o755)
    pipeline = make_pipeline(is_resumable=True)
    Project.objects.update(store_url="s3://bucket/runs", interpreter=str(python))
    pipeline.project.refresh_from_db()
    return pipeline


def loans(run: Run) -> dict[str, list[str]]:
    return dict(run.loans.values_list("place", "files"))


def test_a_store_that_hangs_is_asked_by_nobody_who_waits(hung: Pipeline) -> None:
    old = failed_at("write", hung)
    began = time.monotonic()
    assert "write" in columns(old) and "process" not in columns(old)
    new = resume(old, at=LATER)
    assert time.monotonic() - began < 10
    assert new.store_url == f"s3://bucket/runs/{new.uuid}"
    assert loans(new) == {old.store_url: ["processed_data.data"]}


def test_a_resumed_run_that_is_resumed_reads_where_the_first_one_wrote(hung: Pipeline) -> None:
    old = failed_at("write", hung)
    new = resume(old, at=LATER)
    new.node_runs.filter(name="write").update(status=NodeStatus.FAILED)
    new.start(at=LATER, by="w1")
    new.steps.get().end(Status.CANCELLED, None, at=LATER, by="w1")
    new.end(Status.FAILED, at=LATER, by="w1")
    again = resume(new, at=LATER)
    assert loans(again) == loans(new) == {old.store_url: ["processed_data.data"]}
    shutil.rmtree(old.store_folder)  # it has none in a folder
    stores.forget(again, "processed_data")
    assert not loans(again) and Run.objects.get(pk=old.pk).store_url == ""
    assert columns(Run.objects.get(pk=old.pk))["process"] == "Its processed_data is no longer in the run's store."


def test_a_store_in_a_folder_is_lent_to_a_run_whose_own_is_at_an_address(hung: Pipeline) -> None:
    Project.objects.update(store_url="")
    hung.project.refresh_from_db()
    old = failed_at("write", hung)
    Project.objects.update(store_url="s3://bucket/runs")
    old = Run.objects.get(pk=old.pk)
    assert "processed_data.data" in loans(resume(old, at=LATER))[str(old.store_folder)]
