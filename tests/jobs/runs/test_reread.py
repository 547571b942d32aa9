"""A project that could not be read is read again by itself, and whoever starts something meanwhile is told why."""

from __future__ import annotations

import os
import platform
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs import clock
from jobs.errors import ProjectError
from jobs.interpreters.fingerprint import fingerprint
from jobs.interpreters.snapshots import add_project, take
from jobs.models import Firing, Pipeline, Project, Rule, Run, Tick, Worker
from jobs.rules.decide import decide
from jobs.runs import reread
from jobs.runs.find import find_pipeline
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.schedules.schedules import wish
from jobs.schedules.start import start_scheduled
from jobs.states import Cause, Decision, NodeStatus, Occasion, Status, TickDecision
from jobs.steps import on_end
from tests.factories import AT
from tests.toys import write_toy

pytestmark = pytest.mark.django_db(transaction=True)


class Broken:
    """A project that was good, whose sources were then half written, and read so."""

    def __init__(self, folder: Path) -> None:
        self.project = add_project(write_toy(folder), at=AT)
        self.nodes = folder / "src" / "toy" / "nodes.py"
        self._good = self.nodes.read_text()
        self.nodes.write_text("import not_there_yet\n" + self._good)
        take(self.project, at=AT)

    @property
    def chain(self) -> Pipeline:
        return Pipeline.objects.get(name="chain")

    def mend(self) -> None:
        self.nodes.write_text(self._good)


@pytest.fixture
def broken(tmp_path: Path) -> Broken:
    return Broken(tmp_path / "toy")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The projects of which a worker was asked to read them."""
    found: list[int] = []
    monkeypatch.setattr(reread, "ask_for_snapshot", found.append)
    return found


def start(pipeline: Pipeline, cause: Cause = Cause.API, **facts: Any) -> Run:
    return launch(Order(pipeline, cause, **facts), at=AT)


def test_what_is_broken_is_refused_with_the_reason(broken: Broken) -> None:
    with pytest.raises(ProjectError, match="not_there_yet"):
        start(broken.chain)
    assert not Run.objects.exists()


def test_what_is_mended_starts_at_once(broken: Broken) -> None:
    broken.mend()
    assert start(broken.chain).status == Status.QUEUED
    assert Project.objects.get().trouble == []


def test_a_folder_that_came_back_starts_at_once(broken: Broken) -> None:
    broken.mend()
    folder = broken.project.folder
    folder.rename(folder.with_name("away"))
    with pytest.raises(ProjectError, match="does not exist"):
        take(Project.objects.get(), at=AT)
    with pytest.raises(ProjectError, match="does not exist"):
        start(broken.chain)
    folder.with_name("away").rename(folder)
    assert start(broken.chain).status == Status.QUEUED


@pytest.mark.parametrize(("host", "is_refused"), [(platform.node(), True), ("another machine", False)])
def test_a_folder_that_is_gone_is_noticed_by_a_start_where_the_workers_are(
    broken: Broken, host: str, is_refused: bool
) -> None:
    broken.mend()
    take(broken.project, at=AT)
    now = clock.now()
    Worker.objects.create(name="w", host=host, pid=1, slots=1, started_at=now, heartbeat_at=now)
    broken.project.folder.rename(broken.project.folder.with_name("away"))
    if is_refused:
        with pytest.raises(ProjectError, match="does not exist"):
            start(broken.chain)
    else:
        assert start(broken.chain).status == Status.QUEUED


def test_the_same_broken_files_are_not_read_for_every_start(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProjectError):
        start(broken.chain)
    monkeypatch.setattr(reread, "take", lambda *_, **__: pytest.fail("it was read again"))
    with pytest.raises(ProjectError, match="not_there_yet"):
        start(broken.chain)


def test_what_was_mended_elsewhere_is_found_a_little_later(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    broken.mend()
    Project.objects.update(fingerprint=fingerprint(broken.project))  # the files are as they were when it was read
    with pytest.raises(ProjectError):
        start(broken.chain)
    run = launch(Order(broken.chain, Cause.API), at=AT + reread.BELIEVED + timedelta(seconds=1))
    assert run.status == Status.QUEUED


def test_a_due_time_leaves_a_failed_run_that_says_why(broken: Broken) -> None:
    every = IntervalSchedule.objects.create(every=1, period="minutes")
    PeriodicTask.objects.create(
        name="each minute",
        task="jobs.start",
        interval=every,
        kwargs=wish(broken.chain, {"word": "x"}),
        last_run_at=AT - timedelta(minutes=1),
    )
    run = start_scheduled(broken.chain.pk, {"word": "x"}, "each minute", AT)
    assert (run.status, run.cause, run.cause_detail) == (Status.FAILED, Cause.SCHEDULE, "each minute")
    assert "not_there_yet" in run.error
    assert set(run.node_runs.values_list("status", flat=True)) == {NodeStatus.BLOCKED}
    assert start_scheduled(broken.chain.pk, {"word": "x"}, "each minute", AT) == run
    tick = Tick.objects.get()
    assert (tick.decision, tick.run, tick.reason) == (TickDecision.REFUSED, run, run.error)
    broken.mend()
    later = start_scheduled(broken.chain.pk, {"word": "x"}, "each minute", AT + timedelta(minutes=1))
    assert later.status == Status.QUEUED


def _fire(pipeline: Pipeline) -> Firing:
    """What came of the rules when a run of this pipeline ended."""
    run = Run.objects.create(pipeline=pipeline, created_at=AT)
    run.begin(at=AT, by="test")
    run.start(at=AT, by="test").end(Status.FAILED, at=AT, by="test")
    with transaction.atomic():
        on_end.run_ended(run, AT)
    return Firing.objects.get(ended=run)


@pytest.mark.parametrize(("is_mended", "decision"), [(False, Decision.REFUSED), (True, Decision.STARTED)])
def test_a_rule_waits_until_its_project_was_read_again(broken: Broken, is_mended: bool, decision: Decision) -> None:
    raises = Pipeline.objects.get(name="raises")
    rule = Rule.objects.create(
        name="goes on", target=broken.chain, outcome=Occasion.FINISHED, created_at=AT, edited_at=AT
    )
    rule.sources.add(raises)
    if is_mended:
        broken.mend()
    firing = _fire(raises)
    assert firing.decision == Decision.DECIDING
    decide(firing.pk, AT)
    firing.refresh_from_db()
    assert firing.decision == decision, firing.sentence
    assert is_mended or "not_there_yet" in firing.sentence


def test_a_pipeline_that_was_just_added_is_found(broken: Broken) -> None:
    broken.mend()
    take(broken.project, at=AT)
    registry = broken.project.folder / "src" / "toy" / "pipeline_registry.py"
    registry.write_text(registry.read_text().replace('"chain": chain', '"brand_new": chain, "chain": chain'))
    assert find_pipeline("brand_new").name == "brand_new"


def test_a_project_of_which_nothing_was_ever_read_says_why(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "toy")
    (folder / "src/toy/nodes.py").write_text("import not_there_yet\n")
    add_project(folder, at=AT)
    with pytest.raises(ProjectError, match="not_there_yet"):
        find_pipeline("chain")


def test_a_change_of_the_files_is_noticed_and_read_once(broken: Broken, asked: list[int]) -> None:
    known: dict[int, str] = {}
    reread.look(known, AT)
    assert asked == []
    broken.mend()
    reread.look(known, AT)
    reread.look(known, AT)
    assert asked == [broken.project.pk]


def test_a_project_in_trouble_is_tried_again_now_and_then(broken: Broken, asked: list[int]) -> None:
    known: dict[int, str] = {}
    reread.look(known, AT + reread.TRIED_AGAIN + timedelta(seconds=1))
    assert asked == [broken.project.pk]


def test_a_package_that_was_installed_is_noticed(tmp_path: Path) -> None:
    packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    python = tmp_path / "venv" / "bin" / "python"
    project = Project(name="toy", path=str(write_toy(tmp_path / "toy")), interpreter=str(python))
    before = fingerprint(project)
    os.utime(packages, (1, 1))
    assert fingerprint(project) != before


def test_links_in_a_circle_are_walked_once(tmp_path: Path) -> None:
    project = Project(name="toy", path=str(write_toy(tmp_path / "toy")), interpreter="/usr/bin/python3")
    for name in ("one", "two", "three"):
        (project.folder / "src" / name).symlink_to(project.folder / "src")
    assert fingerprint(project) == fingerprint(project)
