"""A run whose steps many workers share: the same results, independent branches go on, nothing waits for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import clock
from jobs.interpreters.snapshots import add_project
from jobs.models import Pipeline, Project
from jobs.states import NodeStatus, Status
from tests import live
from tests.e2e.running import ended, start
from tests.e2e.test_hooks import NODES, PIPELINES
from tests.kedro_console.kedro_projects import make_project

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
DISTRIBUTED = {"runner": "distributed"}


def test_a_fan_runs_as_steps_and_joins_what_each_made(worker: object, toy: Project) -> None:
    run = ended(start(toy, "fan", settings=DISTRIBUTED, word="moon"))
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    assert run.results["joined"]["value"]["words"] == ["moon"] * 4
    steps = list(run.steps.order_by("position"))
    assert [step.nodes for step in steps] == [["split"], ["part_0"], ["part_1"], ["part_2"], ["part_3"], ["join"]]
    assert [step.needs for step in steps] == [[], [0], [0], [0], [0], [1, 2, 3, 4]]
    assert max(step.finished_at for step in steps[1:5]) <= steps[5].started_at
    assert (run.nodes_done, run.nodes_total) == (6, 6)
    assert list(run.node_runs.values_list("status", flat=True)) == [NodeStatus.SUCCEEDED] * 6


def test_a_chain_is_fused_into_one_step(worker: object, toy: Project) -> None:
    run = ended(start(toy, "chain", settings=DISTRIBUTED))
    assert run.status == Status.SUCCEEDED
    assert [step.nodes for step in run.steps.all()] == [["first", "second", "third"]]


def test_independent_branches_go_on_after_a_failure(worker: object, toy: Project, tmp_path: Path) -> None:
    run = ended(start(toy, "broken_fan", settings=DISTRIBUTED, mark=str(tmp_path / "mark")))
    assert (run.status, run.error) == (Status.FAILED, "Node part_3: ValueError: the mark is missing")
    found = dict(run.node_runs.values_list("name", "status"))
    assert found == {
        "split": NodeStatus.SUCCEEDED,
        "part_0": NodeStatus.SUCCEEDED,
        "part_1": NodeStatus.SUCCEEDED,
        "part_2": NodeStatus.SUCCEEDED,
        "part_3": NodeStatus.FAILED,
        "join": NodeStatus.BLOCKED,
    }


def test_a_value_that_cannot_be_handed_over_costs_steps_and_not_the_run(worker: object, toy: Project) -> None:
    run = ended(start(toy, "locked", settings=DISTRIBUTED, word="moon"))
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    assert run.results["joined"]["value"]["words"] == ["moon", "moon"]
    assert run.plan_reason == "lock cannot be handed to another process: step 0 goes on with what reads it."
    live.until(lambda: Pipeline.objects.get(pk=run.pipeline_id).unshareable == ["lock"], what="it is remembered")
    again = ended(start(toy, "locked", word="moon"))
    assert (again.status, again.steps.count()) == (Status.SUCCEEDED, 3)
    assert [step.nodes for step in again.steps.all()] == [["split", "locks", "left"], ["right"], ["join"]]
    assert "locks returns lock as a value that cannot be handed" in again.plan_reason


def test_a_generator_and_its_readers_are_one_process(worker: object, toy: Project) -> None:
    run = ended(start(toy, "streamed", settings=DISTRIBUTED, word="moon"))
    assert (run.status, run.steps.count()) == (Status.SUCCEEDED, 1)
    assert run.plan_reason.endswith("streams yields letters in pieces.")
    assert not any("letters" in path.name for path in run.store_folder.iterdir())


def test_a_cached_dataset_is_a_file_all_the_same(worker: object, tmp_path: Path) -> None:
    cached = "{type: CachedDataset, dataset: {type: json.JSONDataset, filepath: data/b.json}}"
    folder = make_project(tmp_path / "shop", "shop", NODES, PIPELINES, f"b: {cached}\n")
    run = ended(start(add_project(folder, at=clock.now()), "fan", settings=DISTRIBUTED))
    assert (run.status, run.steps.count()) == (Status.SUCCEEDED, 4)
    assert (folder / "data/b.json").read_text() == "2"
