"""A revision changes with the code and configuration, and with nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from kedro_projects import make_project

from kedro_console.project import revision


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def git(project: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=project, check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def committed(project: Path) -> Path:
    (project / ".gitignore").write_text("conf/local/*\n__pycache__/\n")
    git(project, "init")
    git(project, "add", ".")
    git(project, "commit", "-m", "first")
    return project


def test_without_git_it_is_made_of_the_files(project):
    name = revision.of(project)
    assert name.startswith("files-") and len(name) == len("files-") + 8 and revision.of(project) == name


@pytest.mark.parametrize("path", ["src/demo/nodes.py", "conf/base/catalog.yml", "conf/local/parameters.yml",
                                  "src/demo/deep/er/query.sql", "src/demo/data/loader.py", "src/demo/build/rules.yml",
                                  "src/demo/page.j2", "pyproject.toml", "requirements.txt"])  # fmt: skip
def test_a_changed_source_changes_it(project, path):
    before = revision.of(project)
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text("changed: yes")
    assert revision.of(project) != before


@pytest.mark.parametrize("path", ["data/01_raw/x.csv", "data/a.json", "logs/info.txt", "src/demo/__pycache__/n.py",
                                  "notebooks/a.py", ".venv/lib/x.py", "src/demo/.hidden/x.py", "a.md",
                                  "conf/local/credentials.yml"])  # fmt: skip
def test_what_is_not_source_does_not_change_it(project, path):
    before = revision.of(project)
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text("changed: yes")
    assert revision.of(project) == before


def test_a_clean_commit_is_its_short_sha(committed):
    assert revision.of(committed) == git(committed, "rev-parse", "HEAD")[:8]


def test_changes_beside_a_commit_are_marked(committed):
    (committed / "src/demo/nodes.py").write_text("x = 1")
    sha, _, digest = revision.of(committed).partition("+")
    assert sha == git(committed, "rev-parse", "HEAD")[:8] and len(digest) == 8
    (committed / "src/demo/untracked.py").write_text("x = 1")
    assert revision.of(committed).partition("+")[2] != digest


def test_an_ignored_file_makes_no_commit_dirty(committed):
    name = revision.of(committed)
    (committed / "conf/local/globals.yml").write_text("a: 1")
    assert revision.of(committed) == name


def test_the_content_counts_and_no_time(committed):
    nodes = committed / "src/demo/nodes.py"
    name, text = revision.of(committed), nodes.read_text()
    nodes.write_text("x = 1")
    assert revision.of(committed) != name
    nodes.write_text(text)
    os.utime(nodes, (1, 1))
    assert revision.of(committed) == name


def test_what_git_is_told_to_overlook_makes_it_dirty_all_the_same(committed):
    git(committed, "update-index", "--assume-unchanged", "src/demo/nodes.py")
    (committed / "src/demo/nodes.py").write_text("x = 1")
    assert "+" in revision.of(committed)


def test_a_deleted_source_makes_a_commit_dirty(committed):
    (committed / "src/demo/settings.py").unlink()
    assert "+" in revision.of(committed)


def test_a_clone_has_the_same_name_wherever_it_lies(project, tmp_path):
    shutil.copytree(project, tmp_path / "elsewhere/clone")
    assert revision.of(tmp_path / "elsewhere/clone") == revision.of(project)


def test_a_package_beside_the_repository_has_an_entry_of_its_own(committed, tmp_path):
    beside = tmp_path / "beside/shared"
    beside.mkdir(parents=True)
    (beside / "__init__.py").write_text("x = 1")
    before = revision.of(committed, packages=[str(beside)])
    assert before.startswith(f"{revision.of(committed)} shared-")
    (beside / "deep.py").write_text("x = 2")
    assert revision.of(committed, packages=[str(beside)]) != before


def test_a_file_that_was_read_counts_wherever_in_the_project_it_lies(project):
    (project / "data/rules.csv").write_text("a")
    read = [str(project / "data/rules.csv")]
    before = revision.of(project, read)
    assert before != revision.of(project)
    (project / "data/rules.csv").write_text("b")
    assert revision.of(project, read) != before


def test_a_packed_head_and_a_worktree_are_read(committed, tmp_path):
    sha = git(committed, "rev-parse", "HEAD")[:8]
    git(committed, "pack-refs", "--all")
    assert revision.of(committed) == sha
    git(committed, "worktree", "add", str(tmp_path / "tree"))
    assert revision.of(tmp_path / "tree") == sha
    git(tmp_path / "tree", "checkout", "--detach")
    assert revision.of(tmp_path / "tree") == sha


def test_a_project_below_the_repositorys_root_has_its_revision(committed):
    (committed / "sub").mkdir()
    inner = make_project(committed / "sub/project")
    assert revision.of(inner).startswith(git(committed, "rev-parse", "HEAD")[:8] + "+")
