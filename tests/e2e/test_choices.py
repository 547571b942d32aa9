"""The choices of `kedro run` leave the same nodes and files as `kedro run` does, in one process and in many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs import clock
from jobs.errors import BadParameters
from jobs.interpreters.snapshots import add_project
from jobs.models import Pipeline, Project, Run
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.runs.resume import resume
from jobs.runs.retry import retry
from jobs.states import Cause, NodeStatus, Status
from jobs.structure.selection import Selection
from tests.choices_project import OLD, copied, kedro_run, left, write_project
from tests.e2e.running import ended

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

CASES: list[tuple[dict[str, Any], list[str], list[str]]] = [
    ({"from_inputs": ["counts"]}, ["--from-inputs", "counts"], []),
    ({"to_outputs": ["counts"], "tags": ["io"]}, ["--to-outputs", "counts", "--tags", "io"], []),
    ({"namespaces": ["a"]}, ["--namespaces", "a"], []),
    ({"nodes": ["fetch", "show"]}, ["--nodes", "fetch,show"], []),
    ({"only_missing_outputs": True}, ["--only-missing-outputs"], ["counts.json"]),
    ({"only_missing_outputs": True}, ["--only-missing-outputs"], ["raw.json", "shown.json"]),
    ({"only_missing_outputs": True, "to_outputs": ["shown"]}, ["--only-missing-outputs", "--to-outputs", "shown"], []),
    ({"nodes": ["show"], "load_versions": {"deck": OLD}}, ["--nodes", "show", "--load-versions", f"deck:{OLD}"], []),
    (
        {"from_nodes": ["ab.deck"], "load_versions": {"deck": OLD}},
        ["--from-nodes", "ab.deck", "--load-versions", f"deck:{OLD}"],
        [],
    ),
    ({"env": "prod"}, ["--env", "prod"], []),
    ({"env": "prod", "only_missing_outputs": True}, ["--env", "prod", "--only-missing-outputs"], []),
]


def begin(project: Project, runner: str = "", **choices: Any) -> Run:
    pipeline = Pipeline.objects.select_related("project").get(project=project, name="whole")
    selection = Selection(**choices)
    return launch(Order(pipeline, Cause.MANUAL, by_name="olga", selection=selection, runner=runner), at=clock.now())


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return write_project(tmp_path / "template")


@pytest.mark.parametrize(("choices", "options", "lost"), CASES, ids=lambda value: " ".join(map(str, value)))
def test_the_same_nodes_run_and_the_same_files_are_left(
    worker: object, template: Path, tmp_path: Path, choices: dict[str, Any], options: list[str], lost: list[str]
) -> None:
    plain = copied(template, tmp_path / "plain", *lost)
    assert kedro_run(plain, *options) == 0
    wanted = left(plain)
    for runner in ("sequential", "distributed"):
        project = add_project(copied(template, tmp_path / runner, *lost), at=clock.now())
        run = ended(begin(project, runner, **choices))
        assert (run.status, run.error) == (Status.SUCCEEDED, "")
        assert left(tmp_path / runner) == wanted
        assert run.env == choices.get("env", "")


def test_what_was_skipped_says_so_and_counts_as_done(worker: object, template: Path) -> None:
    (template / "data/counts.json").unlink()
    project = add_project(template, at=clock.now())
    run = ended(begin(project, only_missing_outputs=True))
    rows = {row.name: row for row in run.node_runs.all()}
    skipped = [name for name, row in rows.items() if row.status == NodeStatus.REUSED]
    assert sorted(skipped) == ["ab.deck", "fetch", "show"]
    assert rows["fetch"].reason == "Its outputs exist, and only missing outputs were asked for."
    assert (run.nodes_done, run.nodes_total) == (6, 6)
    again = ended(retry(run, at=clock.now()))
    assert again.selection == {"only_missing_outputs": True}
    assert left(template)["nodes"] == sorted(["clean", "count", "tell", "tell"])


def test_a_run_of_another_environment_stays_there_when_it_is_repeated(worker: object, template: Path) -> None:
    project = add_project(template, at=clock.now())
    run = ended(begin(project, env="prod", from_inputs=["raw"]))
    assert (run.kedro_env, run.resolved_parameters) == ("prod", {"label": "prod"})
    assert run.snapshot is not None
    assert run.snapshot.picture.parameters == {"label": "prod"}
    assert project.snapshot is not None
    assert project.snapshot.picture.parameters == {"label": "base"}
    again = ended(retry(run, at=clock.now()))
    assert (again.kedro_env, again.snapshot_id) == ("prod", run.snapshot_id)
    resumed = ended(resume(run, at=clock.now(), parameters={"label": "mine"}))
    assert (resumed.kedro_env, resumed.resolved_parameters) == ("prod", {"label": "mine"})
    (template / "conf/prod/parameters.yml").write_text("label: newer\n")
    newer = ended(begin(project, env="prod"))
    assert newer.snapshot_id != run.snapshot_id
    assert newer.resolved_parameters == {"label": "newer"}
    with pytest.raises(BadParameters, match=r"no Kedro environment “prd”\. Did you mean prod"):
        begin(project, env="prd")
