"""What a node's outputs follow from, and which earlier runs have made the same."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings

from jobs.insight.durations import usual
from jobs.models import Event, Pipeline, Run, Snapshot
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.runs.recall import recall
from jobs.states import Cause, NodeStatus, Status
from jobs.structure.content import contents, is_fresh
from kedro_console.wire import sha256_of, store_file
from tests.factories import AT, content, make_pipeline, make_project, node

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
CODE = {"files": ["src/nodes.py"], "bound": "b"}


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: None)
    monkeypatch.setattr(settings, "VAR", tmp_path / "var")


@pytest.fixture
def shop(tmp_path: Path) -> Pipeline:
    """load (of a file and a parameter) → clean → save (a file), and show (of clean, in memory)."""
    folder = tmp_path / "shop"
    for name, text in {"src/nodes.py": "x", "conf/base/catalog.yml": "y", "data/in.csv": "a,b"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    project = make_project(folder=folder)
    take_picture(project)
    return make_pipeline(project=project, reuses_content=True)


def nodes(**changes: Any) -> list[dict[str, Any]]:
    facts = {**CODE, **changes}
    return [
        node("load", ["source", "params:options.top"], ["raw"], **facts),
        node("clean", ["raw"], ["tidy"], **facts),
        node("save", ["tidy"], ["saved"], **facts),
        node("show", ["tidy", "params:api_url"], ["shown"], **facts),
    ]


def take_picture(project: Any, graph: list[dict[str, Any]] | None = None, **changes: Any) -> Snapshot:
    structure = {**content()["pipelines"][0], "nodes": graph or nodes(), "outputs": ["saved", "shown"]}
    datasets = [
        {"name": "source", "type": "csv", "path": "data/in.csv", "is_persisted": True, "entry": "e1"},
        {"name": "saved", "type": "csv", "path": "data/out.csv", "is_persisted": True, "entry": "e2"},
    ]
    files = {name: sha256_of(project.folder / name) for name in ("src/nodes.py", "conf/base/catalog.yml")}
    picture = content(pipelines=[structure], datasets=datasets, files=files, folders=["src", "conf"], **changes)
    return Snapshot.objects.create(project=project, revision="r1", content=picture, taken_at=AT)


def run_of(pipeline: Pipeline, at: datetime = AT, **parameters: Any) -> Run:
    """A run that succeeds, with what its nodes leave behind."""
    pipeline = Pipeline.objects.select_related("project").get(pk=pipeline.pk)
    run = launch(Order(pipeline, Cause.MANUAL, parameters=parameters), at=at)
    if run.is_final:
        return run
    for row in run.node_runs.filter(status=NodeStatus.WAITING):
        _leave(run, row.name, at + MINUTE)
    run.node_runs.filter(status=NodeStatus.WAITING).update(status=NodeStatus.SUCCEEDED)
    run.start(at=at, by="w1")
    run.steps.update(status=Status.SUCCEEDED, finished_at=at + MINUTE)
    return run.end(Status.SUCCEEDED, at=at + MINUTE, by="w1")


def _leave(run: Run, name: str, at: datetime) -> None:
    dataset = {"load": "raw", "clean": "tidy", "save": "saved", "show": "shown"}[name]
    data = {"dataset": dataset, "type": "MemoryDataset", "path": "", "version": ""}
    if dataset == "saved":
        file = run.pipeline.project.folder / "data" / "out.csv"
        file.write_text("saved")
        os.utime(file, (at.timestamp(), at.timestamp()))
        data |= {"type": "csv", "path": "data/out.csv"}
    else:
        run.store_folder.mkdir(parents=True, exist_ok=True)
        (run.store_folder / store_file(dataset)).write_text(f"{dataset} of #{run.pk}")
    run.seq += 1
    Event.objects.create(
        run=run, step=run.steps.first(), seq=run.seq, at=at, kind="dataset_saved", node=name, data=data
    )  # fmt: skip
    Run.objects.filter(pk=run.pk).update(seq=run.seq)


def rerun(pipeline: Pipeline, **parameters: Any) -> dict[str, str]:
    pipeline = Pipeline.objects.select_related("project").get(pk=pipeline.pk)
    snapshot = pipeline.project.snapshot
    assert snapshot
    structure = snapshot.pipeline("report")
    assert structure
    return dict(recall(pipeline, snapshot, structure.nodes, parameters).rerun)


def test_a_second_run_takes_all_and_ends_at_once(shop: Pipeline) -> None:
    first = run_of(shop)
    again = run_of(shop, AT + 5 * MINUTE)
    assert (again.status, again.nodes_done, again.steps.count()) == (Status.SUCCEEDED, 4, 0)
    assert again.transitions.count() == 3
    assert set(again.node_runs.values_list("status", "taken_from")) == {(NodeStatus.REUSED, first.pk)}
    assert (again.store_folder / store_file("shown")).read_text() == f"shown of #{first.pk}"


def test_nothing_is_taken_where_the_pipeline_does_not_say_so(shop: Pipeline) -> None:
    Pipeline.objects.update(reuses_content=False)
    run_of(shop)
    again = run_of(shop, AT + 5 * MINUTE)
    assert again.steps.count() == 1 and set(again.node_runs.values_list("content_key", flat=True)) == {""}


def test_each_change_is_told_where_it_reaches(shop: Pipeline) -> None:
    first = run_of(shop)
    assert rerun(shop) == {}
    assert rerun(shop, api_url="http://other") == {
        "show": f"Its parameter api_url is not the same as in run #{first.pk}."
    }
    found = rerun(shop, options={"top": 3})
    assert list(found) == ["load", "clean", "save", "show"]
    assert found["load"] == f"Its parameter options.top is not the same as in run #{first.pk}."
    assert found["clean"] == f"The result of load, which it needs, is not the same as in run #{first.pk}."
    assert rerun(shop, options={"kind": "line"}) == {}
    (shop.project.folder / "data/in.csv").write_text("a,b,c")
    assert rerun(shop)["load"] == f"Its input source is not the same as in run #{first.pk}."


@pytest.mark.parametrize(
    ("graph", "changes", "sentence"),
    [
        (nodes(bound="other"), {}, "Its code is not the same as in run"),
        (nodes(), {"versions": {"pandas": "3"}}, "The project's Python or a package is not the same as in run"),
        (nodes(bound="?"), {}, "It is not known whether its function is the same as before."),
        (nodes(files=["src/gone.py"]), {}, "It is not known whether its function is the same as before."),
    ],
)
def test_another_picture_of_the_project_is_another_content(
    shop: Pipeline, graph: list[dict[str, Any]], changes: dict[str, Any], sentence: str
) -> None:
    run_of(shop)
    take_picture(shop.project, graph, **changes)
    assert rerun(shop)["load"].startswith(sentence)


def test_a_parameter_that_the_configuration_takes_is_never_compared(shop: Pipeline) -> None:
    run_of(shop)
    take_picture(shop.project, runtime_parameters=["dry"])
    assert rerun(shop) == {}
    assert rerun(shop, dry=True)["load"] == "The configuration uses dry, which this run sets."


def test_what_lies_elsewhere_cannot_be_compared_nor_what_has_no_outputs(shop: Pipeline) -> None:
    graph = [node("load", ["table"], ["raw"], **CODE), node("send", ["raw"], [], **CODE),
             node("tell", ["params:api_url"], [], **CODE)]  # fmt: skip
    take_picture(shop.project, graph)
    assert rerun(shop) == {
        "load": "It is not known here whether its input table is the same as before.",
        "send": "It has no outputs that could be reused.",
        "tell": "It has no outputs that could be reused.",
    }


def test_a_run_that_failed_or_is_another_pipeline_s_gives_nothing(shop: Pipeline) -> None:
    first = run_of(shop)
    Run.objects.filter(pk=first.pk).update(status=Status.FAILED)
    assert set(rerun(shop).values()) == {"No earlier successful run is known to have made the same."}


def test_a_live_run_that_will_write_over_an_output_stands_against_it(shop: Pipeline) -> None:
    run_of(shop)
    live = launch(Order(shop, Cause.MANUAL, parameters={"options": {"top": 3}}), at=AT + MINUTE)
    assert rerun(shop) == {"save": f"Run #{live.pk}, which is under way, saves saved."}


def test_a_run_that_takes_a_file_is_waited_for_by_those_that_write_it(shop: Pipeline) -> None:
    run_of(shop)
    taking = launch(Order(shop, Cause.MANUAL, parameters={"api_url": "http://other"}), at=AT + MINUTE)
    assert [step.nodes for step in taking.steps.all()] == [["show"]]
    writing = launch(Order(shop, Cause.MANUAL, parameters={"options": {"top": 3}}), at=AT + 2 * MINUTE)
    assert (writing.waits_for, taking.writes) == (taking, {"data/out.csv": "saved"})


def test_what_a_reused_run_had_taken_is_taken_again(shop: Pipeline) -> None:
    first = run_of(shop)
    second = run_of(shop, AT + 5 * MINUTE)
    for path in first.store_folder.iterdir():
        path.unlink()
    third = run_of(shop, AT + 9 * MINUTE)
    assert set(third.node_runs.values_list("taken_from", flat=True)) == {second.pk}
    first.delete()
    assert set(rerun(shop)) == {"save"}  # nothing says any more who saved the file, and when


def test_a_stale_picture_is_noticed(shop: Pipeline) -> None:
    snapshot = shop.project.snapshot
    assert snapshot and is_fresh(snapshot, shop.project)
    for name, text in (("src/nodes.py", "x2"), ("conf/local/parameters.yml", "new"), ("src/new.py", "")):
        file = shop.project.folder / name
        before = file.read_text() if file.exists() else None
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        assert not is_fresh(snapshot, shop.project), name
        file.unlink() if before is None else file.write_text(before)
        assert is_fresh(snapshot, shop.project), name
    (shop.project.folder / "conf" / "local" / "credentials.yml").write_text("secret: 1")
    assert is_fresh(snapshot, shop.project)


def test_a_folder_counts_by_its_files_and_a_version_by_the_newest(shop: Pipeline, tmp_path: Path) -> None:
    folder = shop.project.folder / "data" / "parts"
    for name in ("2024/in.csv", "2025/in.csv"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(name)
    versioned = shop.project.folder / "data" / "v.csv"
    for name in ("2024", "2025"):
        (versioned / name).mkdir(parents=True)
        (versioned / name / "v.csv").write_text(name)
    (versioned / "2026").mkdir()
    snapshot = take_picture(shop.project, [node("one", ["parts", "v"], ["x"], **CODE)])
    snapshot.content["datasets"] = [
        {"name": "parts", "type": "p", "path": "data/parts", "is_persisted": True},
        {"name": "v", "type": "v", "path": "data/v.csv", "is_persisted": True, "is_versioned": True},
    ]
    structure = snapshot.picture.pipelines[0]

    def look() -> Any:
        return contents(structure.nodes, snapshot, shop.project, {})

    first = look()
    assert first.key("one") and first.versions == {"v": "2025"}
    (folder / "2026.csv").write_text("new")
    second = look()
    assert second.key("one") != first.key("one")
    (versioned / "2026" / "v.csv").write_text("2026")
    assert look().versions == {"v": "2026"} and look().key("one") != second.key("one")


def test_everything_runs_when_that_is_asked_for_and_may_be_taken_later(shop: Pipeline) -> None:
    run_of(shop)
    whole = launch(Order(shop, Cause.MANUAL, everything=True), at=AT + MINUTE)
    assert whole.steps.get().nodes == ["load", "clean", "save", "show"]
    assert not whole.node_runs.filter(content_key="").exists()


def test_a_run_with_nothing_to_do_says_nothing_about_the_usual_duration(shop: Pipeline) -> None:
    run_of(shop)
    run_of(shop, AT + 5 * MINUTE)
    found = usual(shop.pk)
    assert found and (found.median, found.count) == (60, 1)
