"""Runs through Celery, the host and a real Kedro project, each to the right end with a sentence."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import pytest
from celery.result import AsyncResult

from jobs import clock
from jobs.errors import ProjectError, StepFailed
from jobs.interpreters.artifacts import open_file
from jobs.interpreters.hosts import HOSTS
from jobs.interpreters.snapshots import add_project
from jobs.models import Project, Run
from jobs.runs.cancel import cancel
from jobs.states import NodeStatus, Status
from tests import live
from tests.e2e.running import ended, lines, start
from tests.toys import write_toy

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]


def test_a_chain_runs_to_its_end_with_results_logs_and_facts(worker: object, toy: Project) -> None:
    run = ended(start(toy, "chain", word="moon"))
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    assert run.results["c"]["value"] == {"word": "moon", "second": True, "third": True}
    assert list(run.node_runs.values_list("status", flat=True)) == [NodeStatus.SUCCEEDED] * 3
    assert (run.nodes_done, run.nodes_total) == (3, 3)
    assert "first says moon" in lines(run)
    assert run.versions["kedro"]
    assert run.resolved_parameters["word"] == "moon"
    assert run.peak_memory_bytes > 1_000_000
    kinds = set(run.events.values_list("kind", flat=True))
    assert {"child_started", "run_started", "node_started", "dataset_saved", "run_finished", "child_exited"} <= kinds
    assert [t.to_status for t in run.transitions.filter(step=None)] == ["queued", "running", "succeeded"]


def test_the_celery_result_names_the_step_and_the_step_the_result(worker: object, toy: Project) -> None:
    from django_celery_results.models import TaskResult

    step = ended(start(toy, "chain")).steps.get()
    result = TaskResult.objects.get(task_id=str(step.task_id))
    assert (result.task_name, result.status, result.worker) == ("jobs.execute", "SUCCESS", step.worker_name)
    assert (json.loads(result.task_args), result.date_started) == ([step.pk], step.started_at)
    assert AsyncResult(str(step.task_id)).get() == {"run": step.run_id, "step": 0, "attempt": 1, "error": ""}


def test_each_step_has_a_result_also_one_that_a_child_took_over(worker: object, toy: Project) -> None:
    from django_celery_results.models import TaskResult

    run = ended(start(toy, "broken_fan", settings={"runner": "distributed"}))
    steps = {str(step.task_id): step for step in run.steps.all()}
    results = dict(TaskResult.objects.filter(task_id__in=steps).values_list("task_id", "status"))
    states = {"succeeded": "SUCCESS", "failed": "FAILURE", "crashed": "FAILURE", "cancelled": "REVOKED"}
    assert results == {task_id: states[step.status] for task_id, step in steps.items()}
    assert len(steps) > 3
    assert set(results.values()) == {"SUCCESS", "FAILURE", "REVOKED"}
    for task_id, step in steps.items():
        if step.status == Status.FAILED:
            with pytest.raises(StepFailed, match="the mark is missing"):
                AsyncResult(task_id).get()


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("raises", Status.FAILED, "Node raises: ValueError: the shelf is empty"),
        ("exits", Status.CRASHED, "exited with code 3 while raises"),
        ("kills", Status.CRASHED, "ended by SIGKILL (signal 9) while kills ran"),
    ],
)
def test_a_node_that_goes_wrong_says_how(worker: object, toy: Project, name: str, status: Status, words: str) -> None:
    run = ended(start(toy, name, settings={"crash_retries": 0}))
    assert run.status == status
    assert words.replace("while raises", "while exits ran") in run.error
    assert run.node_runs.get().status == NodeStatus(status)
    after = ended(start(toy, "chain"))
    assert after.status == Status.SUCCEEDED, "nothing else is harmed"


def test_the_failure_of_a_node_shows_the_projects_own_frame(worker: object, toy: Project) -> None:
    failure = ended(start(toy, "raises")).node_runs.get().failure
    assert failure["exception"] == "ValueError"
    ours = [frame for frame in failure["frames"] if frame["is_project"]]
    assert ours[-1]["function"] == "raises"
    assert "shelf is empty" in ours[-1]["code"]


def test_a_killed_process_is_started_again_by_itself(worker: object, toy: Project, tmp_path: Path) -> None:
    run = ended(start(toy, "kills_once", settings={"crash_retries": 1}, mark=str(tmp_path / "mark")))
    assert run.status == Status.SUCCEEDED
    assert [step.status for step in run.steps.order_by("attempt")] == [Status.CRASHED, Status.SUCCEEDED]


def test_a_node_that_eats_too_much_memory_is_killed_and_says_so(worker: object, toy: Project) -> None:
    run = ended(start(toy, "eats", settings={"memory_limit_mb": 300, "crash_retries": 0}, megabytes=2000))
    assert run.status == Status.CRASHED
    assert "allowed while eats ran" in run.error
    assert "Killed at" in run.error


def test_a_node_that_prints_100_mb_keeps_a_bounded_log(worker: object, toy: Project) -> None:
    run = ended(start(toy, "prints", megabytes=100), seconds=170)
    assert run.status == Status.SUCCEEDED
    kept_lines = lines(run)
    assert any("lines are in the download" in text for text in kept_lines)
    assert "the very last line" in kept_lines
    kept = sum(len(text) for text in kept_lines)
    assert 10_000_000 < kept < 30_000_000


def test_bytes_that_are_not_text_are_shown_as_what_they_are(worker: object, toy: Project) -> None:
    run = ended(start(toy, "prints_bytes"))
    assert run.status == Status.SUCCEEDED
    assert any("not text" in text and "\x00" not in text for text in lines(run))


def test_a_progress_bar_shows_without_code(worker: object, toy: Project) -> None:
    run = start(toy, "progress", n=40)
    live.until(lambda: (run.node_runs.get().progress or {}).get("total") == 40, what="a progress bar")
    assert ended(run).status == Status.SUCCEEDED
    assert run.node_runs.get().progress["done"] == 40


def test_a_run_past_its_time_limit_is_stopped(worker: object, toy: Project, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    run = ended(start(toy, "naps", settings={"time_limit_seconds": 3}, seconds=60.0, diary=str(diary)))
    assert run.status == Status.FAILED
    assert "Stopped after 3 s, the time limit" in run.error
    assert not diary.exists() or "end" not in diary.read_text()  # a cold host may use up the limit by itself


def test_a_cancelled_run_is_cancelled_when_its_process_is_gone(worker: object, toy: Project, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    run = start(toy, "naps", seconds=60.0, diary=str(diary))
    live.until_written(diary, what="the node's start")
    pid = int(diary.read_text().split()[1])
    cancel(run, at=clock.now(), by="olga")
    assert ended(run).status == Status.CANCELLED
    assert not Path(f"/proc/{pid}").exists()
    assert run.error == "Cancelled by olga while naps ran."


def test_a_busy_c_call_is_ended_after_its_grace(worker: object, toy: Project) -> None:
    run = start(toy, "spins", settings={"grace_seconds": 1}, seconds=60.0)
    live.until(lambda: run.node_runs.filter(status=NodeStatus.RUNNING).exists(), what="the node's start")
    assert cancelled_after(run) < 30


def test_a_loop_in_c_that_hears_no_signal_is_gone_within_a_second_of_its_grace(
    worker: object, toy: Project, tmp_path: Path
) -> None:
    diary = tmp_path / "diary"
    run = start(toy, "grinds", settings={"grace_seconds": 2}, diary=str(diary))
    live.until(lambda: diary.exists() and diary.read_text().endswith("\n"), what="the node's start")
    assert 2 <= cancelled_after(run) < 3
    assert [pid for pid in diary.read_text().split() if Path(f"/proc/{pid}").exists()] == []


def cancelled_after(run: Run) -> float:
    """Seconds from the wish until the row says cancelled."""
    cancel(run, at=clock.now(), by="olga")
    assert ended(run).status == Status.CANCELLED
    assert run.finished_at
    assert run.cancel_requested_at
    return (run.finished_at - run.cancel_requested_at).total_seconds()


def test_a_file_that_a_node_writes_is_kept_immutable(worker: object, toy: Project) -> None:
    first = ended(start(toy, "writes", word="one"))
    second = ended(start(toy, "writes", word="two"))
    contents = [open_file(run.artifacts.get()).read() for run in (first, second)]
    assert contents == [b"word\none\n", b"word\ntwo\n"]
    artifact = first.artifacts.get()
    assert (artifact.name, artifact.media_type, artifact.size_bytes) == ("report.csv", "text/csv", 9)
    assert first.results["out"]["artifact"] == str(artifact.uuid)


def test_a_child_sees_no_secret_of_ours(worker: object, toy: Project) -> None:
    run = ended(start(toy, "environment"))
    seen = run.results["out"]["value"]
    assert not {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "CONSOLE_VAR", "CONSOLE_ENCRYPTION_KEYS"} & set(seen)
    assert not any("only-for-tests" in value for value in seen.values())


def test_the_projects_own_variables_reach_its_nodes(worker: object, toy: Project) -> None:
    toy.environment = {"SHOP_KEY": "s3cret"}
    toy.save()
    assert "s3cret" not in str(Project.objects.filter(pk=toy.pk).values("environment").query)
    run = ended(start(toy, "environment"))
    assert run.results["out"]["value"]["SHOP_KEY"] == "s3cret"


def test_two_projects_with_the_same_package_name_do_not_disturb_each_other(
    worker: object, transactional_db: None, tmp_path: Path
) -> None:
    projects = [
        add_project(write_toy(tmp_path / name, package="same", word=name), at=clock.now(), name=name)
        for name in ("red", "blue")
    ]
    runs = [start(project, "chain") for project in projects * 3]
    words = [ended(run).results["c"]["value"]["word"] for run in runs]
    assert words == ["red", "blue"] * 3


def test_many_runs_at_once_each_see_their_own_parameters(worker: object, toy: Project) -> None:
    runs = [start(toy, "chain", word=f"word-{number}") for number in range(60)]
    seen = [ended(run, seconds=150).results["c"]["value"]["word"] for run in runs]
    assert seen == [f"word-{number}" for number in range(60)]


def test_changed_code_is_used_by_the_next_run(worker: object, toy: Project) -> None:
    assert ended(start(toy, "chain")).status == Status.SUCCEEDED
    nodes = toy.folder / "src" / "toy" / "nodes.py"
    nodes.write_text(nodes.read_text().replace("first says", "FIRST SAYS"))

    def says_so() -> bool:
        return "FIRST SAYS hello" in lines(ended(start(toy, "chain")))

    live.until(says_so, seconds=60, what="the new code")
    live.until(lambda: toy.snapshots.count() == 2, seconds=60, what="a snapshot of the new code")


def test_a_project_that_is_gone_says_so(worker: object, toy: Project, tmp_path: Path) -> None:
    toy.folder.rename(tmp_path / "elsewhere")
    Project.objects.filter(pk=toy.pk).update(environment=Project(environment={"A": "1"}).environment)
    with pytest.raises(ProjectError, match="does not exist: restore it, or change the path of toy"):
        start(toy, "chain")
    (tmp_path / "elsewhere").rename(toy.folder)
    assert ended(start(toy, "chain")).status == Status.SUCCEEDED


def test_a_csv_keeps_its_rows(worker: object, toy: Project) -> None:
    run = ended(start(toy, "writes", word="x"))
    with open_file(run.artifacts.get()) as file:
        rows = list(csv.reader(file.read().decode().splitlines()))
    assert rows == [["word"], ["x"]]


def test_without_the_shared_worker_nothing_is_running_twice(worker: subprocess.Popen[bytes], toy: Project) -> None:
    """The same message delivered five times starts the nodes once."""
    from celery import current_app

    run = start(toy, "naps", seconds=0.5, diary=str(toy.folder / "diary"))
    step = run.steps.get()
    for _ in range(5):
        current_app.send_task("jobs.execute", [step.pk], queue="default")
    assert ended(run).status == Status.SUCCEEDED
    assert (toy.folder / "diary").read_text().count("start") == 1


def test_a_node_asks_the_console_and_a_function_is_called_without_a_run(worker: object, toy: Project) -> None:
    from jobs.interpreters.call import call

    run = ended(start(toy, "asks"))
    assert run.results and run.results["out"]["value"] == {
        "number": run.pk, "pipeline": "asks", "cause": "manual", "iteration": 0
    }  # fmt: skip
    try:
        assert call(toy, "toy.nodes:second", {"a": {"b": 1}}, seconds=30) == {"b": 1, "second": True}
        with pytest.raises(ProjectError, match="the shelf is empty"):
            call(toy, "toy.nodes:raises", {"word": ""}, seconds=30)
        with pytest.raises(ProjectError, match="exceeded its time limit"):
            call(toy, "toy.nodes:naps", {"seconds": 60, "diary": "diary.txt"}, seconds=0.5)
    finally:
        HOSTS.stop_all()
