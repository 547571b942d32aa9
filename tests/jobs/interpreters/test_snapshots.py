"""Projects are read in their own interpreter, and what is wrong is said before anything runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.errors import ProjectError
from jobs.interpreters.snapshots import add_project, take
from jobs.models import Pipeline, Project
from tests.factories import AT, make_project
from tests.toys import write_toy

pytestmark = pytest.mark.django_db


def test_a_project_is_added_with_its_pipelines(tmp_path: Path) -> None:
    project = add_project(write_toy(tmp_path / "My Shop"), at=AT)
    assert project.name == "my-shop"
    assert {"__default__", "chain", "raises"} <= set(project.pipelines.values_list("name", flat=True))
    snapshot = project.snapshot
    assert snapshot is not None
    assert snapshot.errors == []
    assert snapshot.picture.parameters["word"] == "hello"
    assert [node.name for node in snapshot.pipeline("chain").nodes] == ["first", "second", "third"]  # type: ignore[union-attr]


def test_an_unchanged_project_keeps_its_snapshot(tmp_path: Path) -> None:
    project = add_project(write_toy(tmp_path / "toy"), at=AT)
    assert take(project, at=AT) == project.snapshot
    assert project.snapshots.count() == 1


def test_a_pipeline_that_is_gone_keeps_its_row_unregistered(tmp_path: Path) -> None:
    project = add_project(write_toy(tmp_path / "toy"), at=AT)
    registry = project.folder / "src" / "toy" / "pipeline_registry.py"
    registry.write_text(registry.read_text().replace('"raises": one', '"rises": one'))
    take(project, at=AT)
    assert not Pipeline.objects.get(project=project, name="raises").is_registered
    assert Pipeline.objects.get(project=project, name="rises").is_registered


def test_broken_code_is_named_and_unregisters_nothing(tmp_path: Path) -> None:
    project = add_project(write_toy(tmp_path / "toy"), at=AT)
    (project.folder / "src" / "toy" / "nodes.py").write_text("import openpyxl_that_is_not_there\n")
    take(project, at=AT)
    assert any("openpyxl_that_is_not_there" in sentence for sentence in project.errors)
    assert Pipeline.objects.get(project=project, name="chain").is_registered


Spoil = Callable[[Project], object]


def _no_python(project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(interpreter="/nowhere/python")
    project.refresh_from_db()


SPOILT: dict[str, Spoil] = {
    "a half-written module": lambda project: _write(project, "src/toy/nodes.py", "def first(word:"),
    "a registry that is gone": lambda project: (project.folder / "src/toy/pipeline_registry.py").unlink(),
    "a registry without pipelines": lambda project: _write(
        project, "src/toy/pipeline_registry.py", "def register_pipelines():\n    return {}\n"
    ),
    "half a catalog": lambda project: _write(project, "conf/base/catalog.yml", "x: {type: "),
    "half of the parameters": lambda project: _write(project, "conf/base/parameters.yml", "word: [1,"),
    "half a pyproject": lambda project: _write(project, "pyproject.toml", "[tool.ked"),
    "settings that raise": lambda project: _write(project, "src/toy/settings.py", "raise RuntimeError('no')"),
    "a folder that is gone": lambda project: project.folder.rename(project.folder.with_name("away")),
    "an interpreter that is gone": _no_python,
}


def _write(project: Project, name: str, text: str) -> None:
    (project.folder / name).write_text(text)


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_worse_picture_does_not_replace_a_good_one(tmp_path: Path, spoil: Spoil) -> None:
    project = add_project(write_toy(tmp_path / "toy"), at=AT)
    good, registered = project.snapshot, project.pipelines.filter(is_registered=True).count()
    spoil(project)
    with suppress(ProjectError):
        take(project, at=AT)
    project = Project.objects.get()
    assert project.snapshot == good
    assert project.pipelines.filter(is_registered=True).count() == registered
    assert project.errors
    assert project.errors[0] in project.refusal("chain")


def test_a_good_reading_ends_the_trouble(tmp_path: Path) -> None:
    project = add_project(write_toy(tmp_path / "toy"), at=AT)
    nodes = (project.folder / "src/toy/nodes.py").read_text()
    _write(project, "src/toy/nodes.py", "import not_there_yet\n")
    take(project, at=AT)
    assert project.trouble
    _write(project, "src/toy/nodes.py", nodes)
    take(project, at=AT)
    assert (project.trouble, project.unread, project.refusal("chain")) == ([], [], "")


def test_a_reading_that_began_earlier_does_not_undo_a_later_one(tmp_path: Path) -> None:
    project = add_project(write_toy(tmp_path / "toy"), at=AT + timedelta(seconds=9))
    _write(project, "src/toy/nodes.py", "import not_there_yet\n")
    take(project, at=AT)
    assert not project.trouble


MODULES = """
from kedro.framework.project import find_pipelines


def register_pipelines():
    found = find_pipelines()
    return {**found, "__default__": sum(found.values())}
"""
MODULE = """
from kedro.pipeline import node, pipeline


def same(word):
    return word


def create_pipeline(**kwargs):
    return pipeline([node(same, "params:word", "NAME_out", name="NAME_node")])
"""


def test_of_two_modules_the_one_that_can_be_imported_goes_on(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "toy")
    (folder / "src/toy/pipeline_registry.py").write_text(MODULES)
    for name in ("left", "right"):
        place = folder / "src/toy/pipelines" / name
        place.mkdir(parents=True)
        (place / "__init__.py").write_text("from .pipeline import create_pipeline\n")
        (place / "pipeline.py").write_text(MODULE.replace("NAME", name))
    (folder / "src/toy/pipelines/__init__.py").touch()
    project = add_project(folder, at=AT)
    (folder / "src/toy/pipelines/right/pipeline.py").write_text("import not_there_yet\n")
    take(project, at=AT)
    assert project.refusal("left") == ""  # as `kedro run --pipeline left`
    assert "not_there_yet" in project.refusal("right")
    assert set(project.pipelines.filter(is_registered=True).values_list("name", flat=True)) >= {"left", "right"}
    assert project.snapshot and project.snapshot.pipeline("right")


@pytest.mark.parametrize(
    ("path", "interpreter", "words"),
    [
        ("nowhere", "", "There is no folder"),
        (".", "", "is not a Kedro project"),
        ("toy", "/usr/bin/no-such-python", "not a program that can be run"),
        ("toy", "/bin/true", "could not be read"),
    ],
)
def test_what_cannot_be_added_says_why_and_leaves_nothing(
    tmp_path: Path, path: str, interpreter: str, words: str
) -> None:
    write_toy(tmp_path / "toy")
    with pytest.raises(ProjectError, match=words):
        add_project(tmp_path / path, at=AT, interpreter=interpreter)
    assert not Project.objects.exists()


def test_a_name_is_one_project(tmp_path: Path) -> None:
    add_project(write_toy(tmp_path / "a" / "toy"), at=AT)
    assert add_project(write_toy(tmp_path / "b" / "toy"), at=AT).name == "toy-2"
    with pytest.raises(ProjectError, match=r"is in .*/a/toy: choose another name with --name, or say with --move"):
        add_project(write_toy(tmp_path / "c" / "toy"), at=AT, name="toy")
    moved = add_project(tmp_path / "c" / "toy", at=AT, name="toy", may_move=True)
    assert (moved.pk, moved.path) == (Project.objects.get(name="toy").pk, str(tmp_path / "c" / "toy"))


def facts(project: Project) -> tuple[str, ...]:
    project.refresh_from_db()
    return project.name, project.path, project.interpreter, project.kedro_env, str(project.environment)


def test_added_twice_nothing_changes_that_was_not_asked(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "toy")
    (folder / "conf/prod").mkdir()
    chosen = tmp_path / "python"
    chosen.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    chosen.chmod(0o755)
    given = {"kedro_env": "prod", "interpreter": str(chosen), "environment": {"WORD": "x"}}
    first = add_project(folder, at=AT, name="sales", **given)
    before = facts(first)
    for again in ({}, {"name": "sales"}):
        assert facts(add_project(folder, at=AT, **again)) == before
    assert Project.objects.count() == 1
    assert facts(add_project(folder, at=AT, kedro_env="")) == (*before[:3], "", before[4])


def test_one_path_is_two_projects_with_two_environments(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "toy")
    (folder / "conf/prod").mkdir()
    add_project(folder, at=AT)
    add_project(folder, at=AT, name="toy-prod", kedro_env="prod")
    assert dict(Project.objects.values_list("name", "kedro_env")) == {"toy": "", "toy-prod": "prod"}
    assert add_project(folder, at=AT, kedro_env="prod").name == "toy-prod"
    with pytest.raises(ProjectError, match=r"The projects toy and toy-prod are in .*: choose one with --name"):
        add_project(folder, at=AT)


def test_a_link_is_kept_as_it_was_given(tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(write_toy(tmp_path / "releases" / "12"))
    assert add_project(link, at=AT).path == str(link)
    again = add_project(tmp_path / "releases" / "12", at=AT)  # the same folder: the same project, by the path of now
    assert (Project.objects.count(), again.path) == (1, str(tmp_path / "releases" / "12"))


def test_a_change_that_cannot_be_read_is_not_made(tmp_path: Path) -> None:
    before = facts(project := add_project(write_toy(tmp_path / "toy"), at=AT))
    with pytest.raises(ProjectError, match="could not be read"):
        add_project(tmp_path / "toy", at=AT, interpreter="/bin/true")
    assert facts(project) == before
    assert not project.trouble


@pytest.mark.parametrize("name", ["two words", "a/b", "x" * 81, "naïve"])
def test_a_name_that_no_address_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProjectError, match="cannot be a project's name"):
        add_project(write_toy(tmp_path / "toy"), at=AT, name=name)


def test_secrets_of_a_project_are_ciphertext_in_the_database(tmp_path: Path) -> None:
    from django.db import connection

    add_project(write_toy(tmp_path / "toy"), at=AT, environment={"KEY": "canary-5f1"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT environment FROM jobs_project")
        (stored,) = cursor.fetchone()
    assert "canary" not in stored
    assert Project.objects.get().environment == {"KEY": "canary-5f1"}


def test_of_many_who_find_new_code_one_a_minute_asks() -> None:
    project = make_project()
    assert project.may_ask_for_check(AT)
    assert not project.may_ask_for_check(AT + timedelta(seconds=30))
    assert project.may_ask_for_check(AT + timedelta(seconds=61))
