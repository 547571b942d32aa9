"""A foreign project: its own interpreter with another Kedro, without Django, Celery or anything of ours, unmodified."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jobs import clock
from jobs.interpreters.snapshots import add_project
from jobs.states import Status
from tests.e2e.running import ended, lines, start
from tests.toys import write_toy

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

KEDRO = "0.19.15"


@pytest.fixture(scope="module")
def foreign_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", f"kedro=={KEDRO}", "setuptools<81"]
    installed = subprocess.run(command, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"Kedro {KEDRO} cannot be installed here: {installed.stderr[-300:]}")
    return python


def test_a_project_with_another_kedro_runs_unmodified(worker: object, foreign_python: Path, tmp_path: Path) -> None:
    for name in ("django", "celery"):
        found = subprocess.run([str(foreign_python), "-c", f"import {name}"], capture_output=True, check=False)
        assert found.returncode != 0, f"{name} must not be there"
    folder = write_toy(tmp_path / "foreign")
    (folder / "conf" / "base" / "catalog.yml").write_text(
        "source:\n  type: MemoryDataset\n"  # Kedro alone is installed there, no datasets
    )
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("1.7.0", KEDRO))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    project = add_project(folder, at=clock.now(), interpreter=str(foreign_python))
    assert project.snapshot is not None
    assert (project.snapshot.kedro_version, project.snapshot.errors) == (KEDRO, [])
    run = ended(start(project, "chain", word="abroad"))
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    assert run.results["c"]["value"]["word"] == "abroad"
    assert run.versions["kedro"] == KEDRO
    assert "first says abroad" in lines(run)
    failed = ended(start(project, "raises"))
    assert failed.error == "Node raises: ValueError: the shelf is empty"
    after = {path: path.read_bytes() for path in before}
    assert after == before
