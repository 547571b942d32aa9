"""A revision changes with the code and configuration, and with nothing else."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from kedro_projects import make_project

from kedro_console import revision


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


@pytest.mark.parametrize("path", ["src/demo/nodes.py", "conf/base/catalog.yml", "conf/local/credentials.yml",
                                  "src/demo/deep/er/query.sql", "pyproject.toml", "requirements.txt"])  # fmt: skip
def test_a_changed_source_changes_it(project, path):
    before = revision.of(project)
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text("changed: yes")
    assert revision.of(project) != before


@pytest.mark.parametrize("path", ["data/01_raw/x.csv", "data/a.json", "logs/info.txt", "src/demo/__pycache__/n.py",
                                  "notebooks/a.py", ".venv/lib/x.py", "src/demo/.hidden/x.py", "a.md"])  # fmt: skip
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


def test_an_ignored_file_changes_the_fingerprint_but_not_the_name(committed):
    name, fingerprint = revision.of(committed), revision.fingerprint(committed)
    (committed / "conf/local/credentials.yml").write_text("a: 1")
    assert revision.of(committed) == name and revision.fingerprint(committed) != fingerprint


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


def test_it_is_quick(committed):
    for number in range(200):
        (committed / f"src/demo/m{number}.py").write_text("")
    revision.of(committed)
    started = time.perf_counter()
    for _ in range(10):
        revision.of(committed)
    assert (time.perf_counter() - started) / 10 < 0.05  # 0.002 on an idle machine
