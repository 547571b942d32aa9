"""Batch queues through real workers and processes: nothing skipped, nothing done twice, whatever is killed."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from jobs import clock
from jobs.batches.mend import disagreements
from jobs.batches.parked import put_back
from jobs.interpreters.snapshots import add_project
from jobs.models import BatchQueue, Item, Project, Run, Taking
from jobs.states import Status
from tests.batch_project import write_batch_project
from tests.e2e.running import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
ITEMS = 2_000


@pytest.fixture
def unlucky(transactional_db: None, tmp_path: Path) -> Project:
    """A project whose queue `words` is filled by a run of its own."""
    return add_project(write_batch_project(tmp_path / "unlucky"), at=clock.now())


def fill(project: Project, number: int = ITEMS) -> Run:
    run = ended(start(project, "fill", number=number))
    assert run.status == Status.SUCCEEDED, run.error
    return run


def counters() -> tuple[int, int, int, int]:
    queue = BatchQueue.objects.get(name="words")
    return queue.waiting, queue.taken, queue.done, queue.parked


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def test_a_pipeline_puts_items_in_and_a_second_time_none(worker: object, unlucky: Project) -> None:
    assert fill(unlucky).results["filled"]["value"] == {"added": ITEMS, "known": 0}  # type: ignore[index]
    again = fill(unlucky, ITEMS + 5)
    assert again.results["filled"]["value"] == {"added": 5, "known": ITEMS}  # type: ignore[index]
    assert Taking.objects.get(run=again).put == 5
    assert counters() == (ITEMS + 5, 0, 0, 0)
    assert list(disagreements()) == []


def test_a_node_whose_process_is_killed_in_a_drain_gets_its_batch_again_and_no_other_twice(
    worker: object, unlucky: Project, tmp_path: Path
) -> None:
    fill(unlucky, 95)
    (tmp_path / "stumble").touch()
    run = ended(start(unlucky, "drain", count=10, folder=str(tmp_path)))
    assert (run.status, run.steps.count()) == (Status.SUCCEEDED, 2)
    handed = Counter(lines(tmp_path / "drained.log"))
    assert len(handed) == 95
    assert Counter(handed.values()) == {1: 85, 2: 10}
    assert set(Item.objects.values_list("status", "attempts")) == {("done", 1)}
    assert counters() == (0, 0, 95, 0)


def test_a_loop_of_unlucky_runs_loads_every_item_once_and_parks_the_refused_ones(
    worker: object, unlucky: Project, tmp_path: Path
) -> None:
    fill(unlucky)
    work = {"count": 250, "folder": str(tmp_path)}
    statuses = Counter[str]()

    def loop(bad_luck: float) -> None:
        while counters()[0]:
            runs = [start(unlucky, "work", bad_luck=bad_luck, **work) for _ in range(2)]
            statuses.update(ended(run).status for run in runs)
            assert counters()[1] == 0

    loop(0.15)
    parked = dict(Item.objects.parked().values_list("key", "error"))
    refused = {f"word {number:07}" for number in range(7, ITEMS, 500)}
    assert refused <= parked.keys()
    assert all(parked.values()), "who is parked says what its last try met: the node's word, or the end of its run"
    assert any("is not a word" in parked[key] for key in refused)
    (tmp_path / "mended").touch()
    assert put_back(BatchQueue.objects.get(name="words")) == len(parked)
    loop(0.0)
    assert counters() == (0, 0, ITEMS, 0)
    with sqlite3.connect(tmp_path / "table.db") as table:
        loaded = [word for (word,) in table.execute("SELECT word FROM words ORDER BY word")]
    assert loaded == [f"word {number:07}" for number in range(ITEMS)]
    assert list(disagreements()) == []
    assert statuses[Status.SUCCEEDED] >= ITEMS // 250
