"""A deploy that is read half-way: nobody has to do anything for the project to run again."""

from __future__ import annotations

import pytest

from jobs import clock
from jobs.errors import ProjectError
from jobs.interpreters.snapshots import take
from jobs.models import Project
from jobs.runs.find import find_pipeline
from jobs.states import Status
from tests import live
from tests.e2e.running import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]


def trouble() -> list[dict[str, str]]:
    return list(Project.objects.values_list("trouble", flat=True).get())


def test_a_worker_notices_that_a_project_broke_and_that_it_is_whole_again(worker: object, toy: Project) -> None:
    nodes = toy.folder / "src" / "toy" / "nodes.py"
    good = nodes.read_text()
    nodes.write_text("import not_there_yet\n")
    live.until(trouble, seconds=120, what="the worker read the broken project")
    assert find_pipeline("chain").project.errors
    with pytest.raises(ProjectError, match="not_there_yet"):
        start(toy, "chain")
    nodes.write_text(good)
    Project.objects.update(check_asked_at=None)  # the minute between two questions is over
    live.until(lambda: not trouble(), seconds=120, what="the worker read the project again")
    assert ended(start(toy, "chain")).status == Status.SUCCEEDED


def test_a_start_goes_on_where_the_picture_is_bad_and_the_code_is_good(worker: object, toy: Project) -> None:
    nodes = toy.folder / "src" / "toy" / "nodes.py"
    good = nodes.read_text()
    nodes.write_text(good[: len(good) // 2] + "\n  def")
    take(toy, at=clock.now())
    assert trouble()
    nodes.write_text(good)
    assert ended(start(toy, "chain")).status == Status.SUCCEEDED
