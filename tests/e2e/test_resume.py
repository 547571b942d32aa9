"""A run that ended badly goes on: only what is missing is executed, and it reads what the old run left."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobs.models import Project, Run
from jobs.runs.resume import preview
from jobs.states import Cause, NodeStatus, Status
from tests import live
from tests.e2e.running import ended, executed, resumed, start, statuses

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

KEPT = {"is_resumable": True}
COPIED: dict[str, Any] = {}
"""As pipelines are by themselves."""
ALONE = {"copies_mb": 0}
DISTRIBUTED = {"runner": "distributed"}


@pytest.mark.parametrize("settings", [COPIED, KEPT, DISTRIBUTED, {"runner": "threads"}], ids=str)
def test_a_bad_parameter_at_the_last_node_costs_only_that_node(
    worker: object, toy: Project, settings: dict[str, Any]
) -> None:
    old = ended(start(toy, "divides", settings=settings, word="moon", divisor=0))
    assert (old.status, old.error) == (Status.FAILED, "Node divides: ZeroDivisionError: division by zero")
    new = ended(resumed(old, divisor=3))
    assert (new.status, new.error) == (Status.SUCCEEDED, "")
    assert executed(new) == ["divides"]
    assert statuses(new) == {
        "first": NodeStatus.REUSED, "second": NodeStatus.REUSED, "divides": NodeStatus.SUCCEEDED
    }  # fmt: skip
    assert new.results["out"]["value"] == {"word": "moon", "second": True, "quotient": 4.0}
    assert (new.cause, new.retry_of, new.nodes_done, new.nodes_total) == (Cause.RETRY, old, 3, 3)
    assert new.parameters == {"word": "moon", "divisor": 3}


def test_a_broken_fan_executes_the_failed_part_and_the_join_alone(worker: object, toy: Project, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    old = ended(start(toy, "broken_fan", settings=DISTRIBUTED, word="moon", mark=str(mark)))
    before = {path.name: path.stat().st_mtime_ns for path in old.store_folder.iterdir()}
    mark.write_text("here")
    new = ended(resumed(old))
    assert (new.status, new.error) == (Status.SUCCEEDED, "")
    assert sorted(executed(new)) == ["join", "part_3"]
    assert new.results["joined"]["value"]["words"] == ["moon"] * 4
    assert {path.name: path.stat().st_mtime_ns for path in old.store_folder.iterdir()} == before


def test_a_run_without_a_store_starts_at_the_nearest_stored_dataset(worker: object, toy: Project) -> None:
    old = ended(start(toy, "divides_stored", settings=ALONE, word="moon", divisor=0))
    new = ended(resumed(old, divisor=3))
    assert (new.status, executed(new)) == (Status.SUCCEEDED, ["divides"])
    assert new.results["out"]["value"]["word"] == "moon"


def test_copies_are_gone_when_the_run_has_succeeded(worker: object, toy: Project) -> None:
    run = ended(start(toy, "divides", word="moon"))
    assert (run.status, run.has_copies) == (Status.SUCCEEDED, True)
    assert not run.store_folder.exists()


def test_what_was_only_in_memory_is_made_again_and_the_preview_says_so(worker: object, toy: Project) -> None:
    old = ended(start(toy, "divides", settings=ALONE, divisor=0))
    assert [tuple(part) for part in preview(old).rerun] == [
        ("first", "Its a was kept in memory only."),
        ("second", "Its b was kept in memory only."),
        ("divides", "It failed: ZeroDivisionError: division by zero."),
    ]
    assert executed(ended(resumed(old, divisor=3))) == ["first", "second", "divides"]


def test_a_version_saved_by_another_run_since_is_not_read(worker: object, toy: Project) -> None:
    old = ended(start(toy, "divides_versioned", word="moon", divisor=0))
    ended(start(toy, "divides_versioned", word="sun"))
    new = ended(resumed(old, divisor=3))
    assert (new.status, executed(new)) == (Status.SUCCEEDED, ["divides"])
    assert new.results["out"]["value"]["word"] == "moon"


def test_a_file_that_another_run_wrote_over_is_made_again(worker: object, toy: Project) -> None:
    old = ended(start(toy, "divides_stored", settings=ALONE, word="moon", divisor=0))
    other = ended(start(toy, "divides_stored", word="sun"))
    found = preview(old, {"divisor": 3})
    assert (found.rerun[1].node, found.rerun[1].reason) == ("second", f"Run #{other.pk} has saved stored since.")
    assert ("second", "It had saved stored and saves it again.") in [tuple(part) for part in found.again]
    new = ended(resumed(old, divisor=3))
    assert new.results["out"]["value"]["word"] == "moon"


def test_a_resumed_run_that_fails_is_resumed_again_from_what_the_first_left(worker: object, toy: Project) -> None:
    first = ended(start(toy, "divides", settings=KEPT, word="moon", divisor=0))
    second = ended(resumed(first))
    assert (second.status, executed(second)) == (Status.FAILED, ["divides"])
    first.delete()
    second = Run.objects.get(pk=second.pk)
    third = ended(resumed(second, divisor=3))
    assert (third.status, executed(third)) == (Status.SUCCEEDED, ["divides"])


def test_after_the_kill_of_its_worker_a_run_is_resumed_where_it_was(
    redis_server: subprocess.Popen[bytes], toy: Project, tmp_path: Path
) -> None:
    diary = tmp_path / "diary"
    settings = {**KEPT, "queue": "resumed", "crash_retries": 0}
    short = {"CONSOLE_WORKER_QUEUES": "resumed", "CONSOLE_LEASE_SECONDS": "4"}
    with live.worker("mortal", **short) as worker:
        old = start(toy, "naps_after", settings=settings, seconds=60.0, word="moon", diary=str(diary))
        live.until_written(diary, what="the last node's start")
        live.until(lambda: old.node_runs.filter(status=NodeStatus.RUNNING, name="naps_after").exists())
        worker.kill()
        worker.wait()
    with live.worker("heir", **short):
        assert ended(old).status == Status.CRASHED
        new = ended(resumed(old, seconds=0.1))
    assert (new.status, executed(new)) == (Status.SUCCEEDED, ["naps_after"])
    assert new.results["out"]["value"]["word"] == "moon"
