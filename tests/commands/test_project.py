from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from jobs.models import Pipeline, Project, Run
from jobs.states import Status
from tests.factories import AT, content, make_pipeline, make_project, make_run

PROBLEM = {"severity": "error", "subject": "dependency:x", "sentence": "The package x is missing: pip install x."}
WARNING = {"severity": "warning", "subject": "credentials:s3", "sentence": "There are no credentials s3."}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A Kedro project whose Python prints what is in picture.json as its snapshot."""
    place = tmp_path / "Sales Report"
    place.mkdir()
    (place / "pyproject.toml").write_text("[tool.kedro]\n")
    (place / "python").write_text(
        f"#!/bin/sh\ncat {shlex.quote(str(place / 'picture.json'))}\n"
    )  # a path may have a space
    (place / "python").chmod(0o755)
    draw(place)
    return place


def draw(folder: Path, *problems: dict[str, str]) -> None:
    (folder / "picture.json").write_text(json.dumps(content(problems=list(problems))))


def add(manage, folder: Path, *words: str):
    return manage("project", "add", str(folder), "--python", str(folder / "python"), *words)


def test_a_project_is_added_by_its_path_alone(manage, folder: Path) -> None:
    said = add(manage, folder)
    assert (said.code, said.err) == (0, "")
    assert said.out == "sales-report: 2 pipelines, Kedro 1.7.0, Python 3.11.7, revision files-00000001\n"
    assert set(Pipeline.objects.values_list("name", flat=True)) == {"report", "__default__"}


def test_name_and_environment_are_taken(manage, folder: Path) -> None:
    add(manage, folder, "--name", "sales", "--env", "prod")
    project = Project.objects.get()
    assert (project.name, project.kedro_env, project.interpreter) == ("sales", "prod", str(folder / "python"))


def test_a_known_project_says_what_was_changed(manage, folder: Path) -> None:
    add(manage, folder, "--name", "sales", "--env", "prod")
    said = manage("project", "add", str(folder))
    assert said.out.startswith("sales is already known; nothing of it was changed.\n")
    said = manage("project", "add", str(folder), "--env", "test")
    assert said.out.startswith("sales is already known; Kedro environment: prod → test.\n")
    assert Project.objects.get().interpreter == str(folder / "python")


def test_a_name_that_lies_elsewhere_needs_a_word(manage, folder: Path) -> None:
    add(manage, folder, "--name", "sales")
    folder = folder.rename(folder.with_name("moved"))
    (folder / "python").write_text(f"#!/bin/sh\ncat {shlex.quote(str(folder / 'picture.json'))}\n")
    said = add(manage, folder, "--name", "sales")
    assert (said.code, "--move" in said.err) == (1, True)
    assert add(manage, folder, "--name", "sales", "--move").code == 0
    assert Project.objects.get().path == str(folder)


def test_errors_are_named_a_line_each_and_leave_with_1(manage, folder: Path) -> None:
    draw(folder, PROBLEM, WARNING)
    said = add(manage, folder)
    assert said.code == 1
    assert said.err.splitlines() == [
        "sales-report: error: The package x is missing: pip install x.",
        "sales-report: warning: There are no credentials s3.",
    ]


def test_a_warning_alone_does_not_fail(manage, folder: Path) -> None:
    draw(folder, WARNING)
    assert add(manage, folder).code == 0


@pytest.mark.parametrize("place", ["/nowhere/at/all", "/tmp"])
def test_a_path_that_is_no_project_says_so(manage, place: str) -> None:
    said = manage("project", "add", place)
    assert (said.code, Project.objects.count()) == (1, 0)
    assert len(said.err.splitlines()) == 1


def test_check_reads_again_and_goes_through_all(manage, folder: Path) -> None:
    add(manage, folder, "--name", "sales")
    make_project("away", folder / "moved")
    draw(folder, PROBLEM)
    said = manage("project", "check")
    assert said.code == 1
    assert "away: The project's folder" in said.err
    assert "sales: error: The package x" in said.err
    draw(folder)
    assert manage("project", "check", "sales").code == 0


def test_check_needs_a_project(manage) -> None:
    assert manage("project", "check").code == 2
    make_project("sales")
    said = manage("project", "check", "sale")
    assert (said.code, said.err) == (2, "There is no project “sale”. Did you mean sales?\n")


def test_the_list_names_pipelines(manage) -> None:
    make_pipeline()
    make_pipeline("gone", is_registered=False)
    make_project("empty", environment={"PASSWORD": "s3cr3t"})
    assert manage("project", "list").out.splitlines() == [
        "empty  /srv/shop  /usr/bin/python3",
        "  no pipelines",
        "shop  /srv/shop  /usr/bin/python3",
        "  report",
    ]


def test_a_project_without_runs_is_removed(manage) -> None:
    make_pipeline()
    assert manage("project", "remove", "shop").code == 0
    assert Project.objects.count() == Pipeline.objects.count() == 0


def test_history_is_only_removed_when_that_is_asked_for(manage) -> None:
    run = make_run()
    run.start(at=AT, by="w").end(Status.FAILED, at=AT, by="w")
    refused = manage("project", "remove", "shop")
    assert (refused.code, Run.objects.count()) == (2, 1)
    assert "--with-history" in refused.err
    assert manage("project", "remove", "shop", "--with-history").code == 0
    assert Run.objects.count() == Project.objects.count() == 0


def test_a_run_under_way_keeps_its_project(manage) -> None:
    make_run()
    said = manage("project", "remove", "shop", "--with-history")
    assert (said.code, Run.objects.count()) == (2, 1)
    assert "1 runs under way" in said.err


def test_what_a_project_says_does_not_steer_the_terminal(manage, folder: Path) -> None:
    draw(folder, {**PROBLEM, "sentence": "red \x1b[31m\nand a second line"})
    said = add(manage, folder)
    assert "\x1b" not in said.err
    assert len(said.err.splitlines()) == 1
