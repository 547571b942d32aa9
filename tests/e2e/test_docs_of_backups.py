"""The commands on the pages about upgrades and backups, run one after the other as they are written there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.models import Project
from tests import live
from tests.e2e.registered import add_toy
from tests.e2e.test_backup import SECRET, Console, elsewhere, other_database  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]


def commands(page: str, section: str = "") -> list[str]:
    """Each line of the page's (or its section's) shell blocks, and what stands in a sentence of it to take out keys."""
    text = (live.ROOT / "docs" / page).read_text()
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```|`(tar [^`]+)`", text, re.DOTALL)
    return [line for block, word in blocks for line in (block or word).splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where one stands: the tree's `manage.py` is there, and `python` is this Python."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (tmp_path / "manage.py").symlink_to(live.ROOT / "manage.py")
    return tmp_path


def follow(line: str, console: Console, folder: Path) -> str:
    environment = {**console.environment, "PATH": f"{folder / 'bin'}:{console.environment['PATH']}"}
    ended = subprocess.run(
        ["sh", "-c", line], env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=200
    )
    assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


@pytest.fixture
def toy(transactional_db: None, tmp_path: Path) -> Project:
    return add_toy(tmp_path / "toy", SECRET)


def test_an_upgrade_and_the_way_back(toy: Project, folder: Path) -> None:
    lines = commands("upgrade.md")
    assert [line.split()[2] for line in lines] == ["backup", "prepare", "restore"]
    here = Console(**live.environment())
    for line in lines[:2]:
        follow(line, here, folder)
    Project.objects.all().delete()
    follow(lines[2], here, folder)
    assert Project.objects.get().environment == SECRET


def test_a_backup_and_its_restore_elsewhere(toy: Project, folder: Path, other_database: str) -> None:  # noqa: F811
    lines = commands("operations.md", "Backups")
    assert [line.split()[0] for line in lines] == ["python", "python", "tar"]
    follow(lines[0], Console(**live.environment()), folder)
    there = elsewhere(folder / "there", other_database)
    follow(lines[1], there, folder)
    assert there.look()["environment"] == {"toy": SECRET}
    assert "encryption_keys" in follow(lines[2], there, folder)
