"""Collectors on real workers: any number of them, some that fail, and a gathering that nothing loses."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jobs import clock
from jobs.interpreters.snapshots import add_project
from jobs.models import Project, Run
from jobs.states import NodeStatus, Status
from tests import live
from tests.demo.conftest import PROJECT, served
from tests.demo.trouble import failing
from tests.e2e.running import ended, lines, start
from tests.e2e.test_faults import LEASE, broker

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

DISTRIBUTED = {"runner": "distributed"}
CARS = 406
FOR_EVER = 10_000
OWN_API = {"DEMO_API_URL": "http://127.0.0.1:9"}
"""The sources are named by each test: no hook of the project starts its server and keeps a run in one process."""


@pytest.fixture
def demo(transactional_db: None, tmp_path: Path) -> Project:
    """A copy of the demo project, registered."""
    copy = tmp_path / "demo"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("data", "__pycache__", ".viz", ".mypy_cache"))
    return add_project(copy, at=clock.now(), environment=OWN_API)


@contextmanager
def sources(count: int, refused: int = 0) -> Iterator[tuple[list[str], list[str]]]:
    """Addresses of so many sources, the first of which is refused so many times; and what that one was asked."""
    from demo_api.messages import Request
    from demo_api.server import ApiServer

    refuse, seen = failing(refused, 500)

    def policy(request: Request) -> None:
        if request.query.get("collector") == "0":
            refuse(request)

    with served(ApiServer("127.0.0.1", 0, policies=[("/datasets", policy)])) as server:
        yield [f"{server.url}/datasets/cars?collector={number}" for number in range(count)], seen


def collected(project: Project, wanted: list[str], settings: dict[str, Any] | None = None, **parameters: Any) -> Run:
    patience = {"fetch": {"attempts": 3}}
    return start(
        project, "subcollectors", settings={**DISTRIBUTED, **(settings or {})},
        sources=wanted, topic="", **patience, **parameters,
    )  # fmt: skip


@pytest.mark.parametrize("count", [3, 50])
def test_any_number_of_collectors_from_a_parameter(worker: object, demo: Project, count: int) -> None:
    with sources(count) as (wanted, _):
        run = ended(collected(demo, wanted), seconds=150)
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    answer = run.results["collection"]["value"]
    assert sorted(answer) == ["item_count", "request_id"]
    assert answer["item_count"] == CARS, "the same rows of the same data set are there once"
    assert f"Joined {count * CARS} rows of {count} collectors, 0 missing." in " ".join(lines(run))


def test_fifty_collect_nodes_beside_each_other_on_two_workers(
    worker: object, transactional_db: None, demo: Project
) -> None:
    (demo.folder / "conf" / "base" / "graph.yml").write_text("collect_nodes: 50\n")
    wide = add_project(demo.folder, name="wide", at=clock.now(), environment=OWN_API)
    with sources(50) as (wanted, _), live.worker("second", slots=4):
        run = ended(collected(wide, wanted), seconds=170)
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    steps = run.steps.filter(nodes__0__startswith="collect_").exclude(position=0)
    assert steps.count() == 50
    assert {step.worker_name for step in steps} == {"shared@test", "second@test"}
    assert run.results["collection"]["value"]["item_count"] == CARS


def test_a_collector_that_fails_twice_then_answers_is_not_missing(worker: object, demo: Project) -> None:
    with sources(3, refused=2) as (wanted, seen):
        run = ended(collected(demo, wanted))
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    assert len(seen) == 3
    assert run.results["missing_sources"]["value"] == []


def test_one_that_fails_for_ever_is_missing_within_the_tolerance(worker: object, demo: Project) -> None:
    with sources(3, refused=FOR_EVER) as (wanted, seen):
        run = ended(collected(demo, wanted, missing_tolerated=1))
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    assert len(seen) == 3, "it gave up after its own tries"
    assert run.results["missing_sources"]["value"] == wanted[:1]
    assert run.results["collection"]["value"]["item_count"] == CARS


def test_beyond_the_tolerance_the_run_says_which_are_missing(worker: object, demo: Project) -> None:
    with sources(3, refused=FOR_EVER) as (wanted, _):
        run = ended(collected(demo, wanted))
    assert run.status == Status.FAILED
    assert f"1 of 3 collectors are missing and none may be: {wanted[0]}." in run.error
    found = dict(run.node_runs.values_list("name", "status"))
    assert found["collector_gathering"] == NodeStatus.FAILED
    assert {status for name, status in found.items() if name.startswith("collect_")} == {NodeStatus.SUCCEEDED}


def test_the_gathering_is_not_lost_with_the_worker_and_every_message(
    redis_server: subprocess.Popen[bytes], demo: Project
) -> None:
    """What loses the callback of a chord: the worker dies and the broker forgets while the collectors run."""
    with sources(8) as (wanted, _):
        slow = [f"{source}&delay=1" for source in wanted]
        with live.worker("mortal", CONSOLE_WORKER_QUEUES="faults", **LEASE) as first:
            run = collected(demo, slow, {"queue": "faults", "crash_retries": 1})
            done = run.node_runs.filter(name__startswith="collect_", status=NodeStatus.SUCCEEDED)
            live.until(lambda: done.count() >= 2, what="two collectors to end")
            first.kill()
        broker().flushall()
        with live.worker("heir", CONSOLE_WORKER_QUEUES="faults", **LEASE):
            run = ended(run, seconds=120)
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    assert run.results["collection"]["value"]["item_count"] == CARS
    assert run.node_runs.get(name="collector_gathering").attempts == 1
