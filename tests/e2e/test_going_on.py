"""A wide run on live workers: its children go on from step to step, and nothing is lost when one of them does not."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from jobs import clock
from jobs.models import LogChunk, Project, Run, Step
from jobs.runs.cancel import cancel
from jobs.states import NodeStatus, Status
from jobs.steps.outcome import bad_end
from tests import live
from tests.e2e.running import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
QUEUE = {"CONSOLE_WORKER_QUEUES": "wide", "CONSOLE_LEASE_SECONDS": "4"}
DISTRIBUTED = {"runner": "distributed", "queue": "wide", "overlap": "both", "locks_outputs": False}
WIDTH = 12


@pytest.fixture(autouse=True)
def alone(redis_server: subprocess.Popen[bytes], transactional_db: None) -> None:
    """Each test starts its own workers, on a queue that the shared one does not serve."""


def wide(toy: Project, diary: Path, seconds: float = 0.0) -> Run:
    return start(toy, "wide", settings=DISTRIBUTED, diary=str(diary), seconds=seconds)


def entries(diary: Path) -> list[tuple[int, int, str]]:
    """Of each part that ended: its number, its process, and what another left in its environment."""
    rows = (line.split(" ") for line in diary.read_text().splitlines())
    return [(int(number), int(pid), found) for number, pid, found in rows]


def written(diary: Path) -> int:
    return len(entries(diary)) if diary.exists() else 0


def said(step: Step) -> list[str]:
    lines = (line for chunk in LogChunk.objects.filter(step=step).after(0) for line in chunk.lines)
    return [line.text for line in lines if line.stream in ("stdout", "console")]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_few_processes_do_many_steps_and_each_step_owns_its_facts(toy: Project, tmp_path: Path) -> None:
    with live.worker("one", slots=2, **QUEUE):
        run = ended(wide(toy, tmp_path / "diary"))
    assert (run.status, run.error, run.nodes_done) == (Status.SUCCEEDED, "", WIDTH + 1)
    done = entries(tmp_path / "diary")
    assert sorted(number for number, _, _ in done) == list(range(WIDTH)), "each once"
    assert {found for _, _, found in done} == {""}, "no step finds what another left in its environment"
    assert len({pid for _, pid, _ in done}) < WIDTH
    steps = list(run.steps.order_by("position"))
    for step in steps[:WIDTH]:
        chunks = LogChunk.objects.filter(step=step)
        said = [line.text for chunk in chunks for line in chunk.lines if line.text.startswith("part ")]
        assert said == [f"part {step.position} of {tmp_path / 'diary'}"], "its lines are its own"
        assert step.peak_memory_bytes > 1_000_000
        kinds = list(step.events.order_by("seq").values_list("kind", flat=True))
        assert kinds[0] == "child_started" and kinds[-1] in ("child_waited", "child_exited")
    assert {step.peak_memory_bytes for step in steps} != {run.peak_memory_bytes}
    assert run.resolved_parameters["diary"] == str(tmp_path / "diary")


def test_two_workers_share_a_wide_run(toy: Project, tmp_path: Path) -> None:
    with live.worker("north", slots=2, **QUEUE), live.worker("south", slots=2, **QUEUE):
        run = ended(wide(toy, tmp_path / "diary", seconds=1.0))
    assert run.status == Status.SUCCEEDED
    shares = [run.steps.filter(worker_name=f"{name}@test").count() for name in ("north", "south")]
    assert min(shares) >= 3 and sum(shares) == WIDTH + 1


def test_a_worker_that_comes_later_gets_its_share(toy: Project, tmp_path: Path) -> None:
    with live.worker("early", slots=1, **QUEUE):
        run = wide(toy, tmp_path / "diary", seconds=1.0)
        live.until(lambda: written(tmp_path / "diary"), what="the first part")
        with live.worker("late", slots=4, **QUEUE):
            assert ended(run).status == Status.SUCCEEDED
    assert run.steps.filter(worker_name="late@test").count() >= 3


def test_a_kill_loses_one_step_and_it_starts_again(toy: Project, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    Path(f"{diary}.kill-5").touch()
    with live.worker("one", slots=2, **QUEUE):
        run = ended(wide(toy, diary))
    assert run.status == Status.SUCCEEDED
    assert sorted(number for number, _, _ in entries(diary)) == list(range(WIDTH))
    lost = run.steps.exclude(status=Status.SUCCEEDED).get()
    assert (lost.nodes, lost.attempt, lost.exit_signal) == (["wide_05"], 1, signal.SIGKILL)
    killed, again = (lost.pid, run.steps.get(position=5, attempt=2).pid)
    assert killed != again


def test_a_process_that_lingers_after_its_step_holds_nothing_up(toy: Project, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    for mark in ("gated", "gate-0", "lingers-0"):
        Path(f"{diary}.{mark}").touch()
    settings = {**DISTRIBUTED, "grace_seconds": 2}
    with live.worker("one", slots=WIDTH, **QUEUE):
        run = start(toy, "wide", settings=settings, diary=str(diary), seconds=0.0)
        first = run.steps.get(position=0)
        live.until(lambda: run.steps.filter(pk=first.pk, status=Status.SUCCEEDED).exists(), what="its step's end")
        live.until(lambda: len(said(first)) == 3, what="the last lines of its process")
        Path(f"{diary}.gated").unlink()
        assert ended(run).status == Status.SUCCEEDED
    _, *last = said(first)
    assert last == ["leaves slowly", bad_end(None)]
    live.until(lambda: not is_alive(run.steps.get(position=0).pid), what="the end of its process")


def test_after_a_stop_no_step_follows(toy: Project, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    with live.worker("one", slots=2, **QUEUE):
        run = wide(toy, diary, seconds=0.5)
        live.until(lambda: written(diary) >= 3, what="three parts")
        cancel(run, at=clock.now(), by="olga")
        assert ended(run).status == Status.CANCELLED
        count = written(diary)
        assert count < WIDTH
        assert ended(start(toy, "wide", diary=str(tmp_path / "other"), seconds=0.0)).status == Status.SUCCEEDED
        assert written(diary) == count, "and nothing of it went on"
    pids = [{pid for _, pid, _ in entries(tmp_path / name)} for name in ("diary", "other")]
    assert not pids[0] & pids[1], "no process serves two runs"


def test_a_worker_that_is_stopped_hands_back_what_follows(toy: Project, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    with live.worker("leaving", slots=2, **QUEUE) as leaving:
        run = wide(toy, diary, seconds=1.0)
        live.until(lambda: written(diary) >= 2, what="two parts")
        live.end(leaving, seconds=30)
    done = run.steps.filter(status=Status.SUCCEEDED).count()
    assert done < WIDTH, "it took nothing more when it was told to end"
    assert not run.steps.filter(status=Status.RUNNING).exists()
    with live.worker("next", slots=4, **QUEUE):
        assert ended(run).status == Status.SUCCEEDED
    assert set(run.node_runs.values_list("status", flat=True)) == {NodeStatus.SUCCEEDED}
    assert {number for number, _, _ in entries(diary)} == set(range(WIDTH))


def test_two_wide_runs_at_once_never_meet(toy: Project, tmp_path: Path) -> None:
    with live.worker("both", slots=4, **QUEUE):
        runs = [wide(toy, tmp_path / name, seconds=0.05) for name in ("a", "b")]
        assert all(ended(run).status == Status.SUCCEEDED for run in runs)
    assert not {pid for _, pid, _ in entries(tmp_path / "a")} & {pid for _, pid, _ in entries(tmp_path / "b")}
    for run, name in zip(runs, ("a", "b"), strict=True):
        assert run.results["joined"]["value"]["words"] == list(range(WIDTH))
        assert written(tmp_path / name) == WIDTH
