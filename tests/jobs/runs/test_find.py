"""A name leads to the pipeline that is meant, or to the truth about why there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.errors import AmbiguousPipeline, BadParameters, EmptyPipeline, ProjectError, UnknownPipeline, UnknownProject
from jobs.interpreters.snapshots import add_project, take
from jobs.models import Pipeline, Snapshot
from jobs.runs.find import find_pipeline
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.states import Cause, Status
from tests.factories import AT, content, make_pipeline, make_project
from tests.kedro_console.kedro_projects import THREE_FUNCTIONS
from tests.kedro_console.kedro_projects import make_project as write_project

pytestmark = pytest.mark.django_db


def two_shops() -> tuple[Pipeline, Pipeline]:
    first = make_pipeline("__default__", make_project("one", "/srv/one"))
    return first, make_pipeline("__default__", make_project("two", "/srv/two"))


def test_of_several_projects_none_is_taken_by_chance() -> None:
    first, second = two_shops()
    with pytest.raises(AmbiguousPipeline) as caught:
        find_pipeline("__default__")
    assert caught.value.projects == ["one", "two"]
    assert "one and two have a pipeline “__default__”" in str(caught.value)
    assert "write one/__default__" in str(caught.value)
    assert find_pipeline("__default__", "two") == find_pipeline("two/__default__") == second
    Pipeline.objects.filter(pk=second.pk).update(is_registered=False)
    assert find_pipeline("__default__") == first


def test_a_project_that_is_not_there_is_what_is_named() -> None:
    two_shops()
    for given in (("__default__", "tow"), ("tow/__default__", "")):
        with pytest.raises(UnknownProject, match=r"There is no project “tow”\. Did you mean two\?"):
            find_pipeline(*given)
    with pytest.raises(UnknownProject, match=r"There are one, two\."):
        find_pipeline("x", "shop")


def test_two_projects_in_one_wish_are_a_contradiction() -> None:
    two_shops()
    with pytest.raises(BadParameters, match="names the project one, but the project given is two") as caught:
        find_pipeline("one/__default__", "two")
    assert list(caught.value.fields) == ["project"]
    assert find_pipeline("two/__default__", "two").project.name == "two"


def test_a_slash_may_be_a_part_of_a_pipelines_name() -> None:
    first, _ = two_shops()
    odd = make_pipeline("two/load", first.project)
    assert find_pipeline("two/load") == find_pipeline("one/two/load") == find_pipeline("two/load", "one") == odd


def test_an_unknown_pipeline_is_looked_for_in_its_project() -> None:
    two_shops()
    make_pipeline("report", Pipeline.objects.first().project)
    with pytest.raises(UnknownPipeline, match=r"no pipeline “repot” in the project one\. Did you mean report\?"):
        find_pipeline("repot", "one")
    with pytest.raises(UnknownPipeline, match=r"There is no pipeline “repot”\. Did you mean report\?"):
        find_pipeline("repot")


def test_a_pipeline_without_nodes_is_no_wrong_choice() -> None:
    empty = {"name": "empty", "nodes": [], "inputs": [], "outputs": [], "parameters": []}
    project = make_project()
    picture = content(pipelines=[empty, *content()["pipelines"]])
    Snapshot.objects.create(project=project, revision="r", content=picture, taken_at=AT)
    pipeline = make_pipeline("empty", project)
    with pytest.raises(EmptyPipeline, match=r"“empty” contains no nodes\. Please ensure that at least one pipeline"):
        launch(Order(pipeline, Cause.MANUAL), at=AT)
    due = launch(Order(pipeline, Cause.SCHEDULE), at=AT)
    assert (due.status, "contains no nodes" in due.error) == (Status.FAILED, True)


def test_what_cannot_be_read_is_said_with_the_projects_own_error(tmp_path: Path) -> None:
    make_pipeline("report")
    folder = write_project(tmp_path / "broken", package="broken", nodes="import a_package_that_is_missing")
    project = add_project(folder, at=AT)
    for given in (("chain", "broken"), ("broken/chain", "")):
        with pytest.raises(ProjectError, match="a_package_that_is_missing"):
            find_pipeline(*given)
    with pytest.raises(UnknownPipeline, match="Not all of broken could be read"):
        find_pipeline("chain")
    (folder / "src/broken/nodes.py").write_text(THREE_FUNCTIONS)
    take(project, at=AT)
    assert find_pipeline("chain").project == project
