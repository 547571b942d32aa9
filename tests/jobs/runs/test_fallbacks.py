"""What cannot be split shares a step, and the run says why."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app

from jobs.models import Run
from jobs.runs.fallbacks import bonds, plan_of
from jobs.states import Runner
from tests.factories import make_run, node
from tests.jobs.runs.forks import NODES, fork

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: None)


def table(name: str, database: str) -> dict[str, Any]:
    return {"name": name, "type": "ibis.TableDataset", "is_persisted": True, "database": database}


def steps(run: Run) -> list[list[str]]:
    return [step.nodes for step in run.steps.all()]


def test_nodes_of_one_database_file_share_a_step_and_the_run_says_why() -> None:
    run = make_run(fork(datasets=[table("l", "duckdb data/a.db"), table("r", "duckdb data/a.db")]))
    assert steps(run) == [["split"], ["left", "right", "join"]]
    assert run.plan_reason == (
        "2 steps instead of 4. left, right and join share a step: they use the DuckDB file data/a.db, "
        "which other processes find locked."
    )


def test_many_processes_may_read_one_sqlite_file_but_not_one_duckdb_file() -> None:
    read = [node("left", ["a"], ["l"]), node("right", ["b"], ["r"])]
    for kind, count in (("sqlite", 2), ("duckdb", 1)):
        pipeline = fork(read, [table("a", f"{kind} x.db"), table("b", f"{kind} x.db")])
        assert len(steps(make_run(pipeline))) == count
        Run.objects.all().delete()
        pipeline.project.delete()


def test_a_database_in_memory_is_one_process_s() -> None:
    run = make_run(fork(datasets=[table("l", "duckdb memory")]))
    assert steps(run) == [["split"], ["left", "join"], ["right"]] or len(steps(run)) == 3
    assert "only in their process's memory" in run.plan_reason


def test_what_is_yielded_in_memory_stays_with_its_readers() -> None:
    yields = [{**NODES[0], "is_generator": True}, *NODES[1:]]
    pipeline = fork(yields, [{"name": "two", "type": "json.JSONDataset", "path": "two.json", "is_persisted": True}])
    run = make_run(pipeline)
    assert steps(run) == [["split", "left"], ["right"], ["join"]]
    assert run.unshared == ["one"]
    assert run.plan_reason == "3 steps instead of 4. split and left share a step: split yields one in pieces."


def test_what_an_earlier_run_could_not_hand_over_is_known_from_the_start() -> None:
    run = make_run(fork(unshareable=["two", "gone"]))
    assert steps(run) == [["split", "right"], ["left"], ["join"]]
    assert run.unshared == ["two"]
    assert "split returns two as a value that cannot be handed to another process" in run.plan_reason


def test_a_run_in_one_process_has_nothing_to_fall_back_from() -> None:
    pipeline = fork(unshareable=["two"])
    run = make_run(pipeline, runner=Runner.SEQUENTIAL)
    assert (len(steps(run)), run.plan_reason) == (1, "")


def test_many_reasons_are_told_in_few_words() -> None:
    nodes = [node("make", [], [f"d{i}" for i in range(9)]), *(node(f"n{i}", [f"d{i}"], [f"o{i}"]) for i in range(9))]
    pipeline = fork(nodes, unshareable=[f"d{i}" for i in range(9)])
    snapshot = pipeline.project.snapshot
    assert snapshot
    picture = snapshot.pipeline("report")
    assert picture and len(bonds(picture.nodes, snapshot, unshareable=pipeline.unshareable)) == 9
    reason = plan_of(pipeline, snapshot, picture.nodes, Runner.DISTRIBUTED).reason
    assert reason.endswith("And 6 more like these.") and len(reason) < 500
