"""Takes snapshots of small projects, as the console does: by a process of the project's interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from kedro_projects import make_project, one_node

from kedro_console import wire

PIPELINES = Path(__file__).parents[2] / "pipelines"
OMEGA = "from kedro.config import OmegaConfigLoader\nCONFIG_LOADER_CLASS = OmegaConfigLoader\n"
WORK = "def work(*values): return values\n"


def run_snapshot(
    project: Path, *options: str, python: str = sys.executable, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KEDRO", "DJANGO"))}
    return subprocess.run(
        [python, "-m", "kedro_console.reading.snapshot", "--project", str(project), *options],
        env={**kept, "PYTHONPATH": str(PIPELINES), **(environ or {})},
        cwd=project if project.is_dir() else None,
        capture_output=True,
        timeout=120,
        check=False,
    )


def snapshot(project: Path, *options: str, **how: Any) -> wire.ProjectSnapshot:
    """What is printed, exactly one JSON object; the exit status is 0."""
    ended = run_snapshot(project, *options, **how)
    assert ended.returncode == 0, ended.stderr.decode()
    return wire.parse_snapshot(json.loads(ended.stdout))


def write(project: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(dedent(text))
    return project


def project_of_one(folder: Path, nodes: str = WORK, **more: Any) -> Path:
    return make_project(folder / "project", **one_node(nodes, **more))


def problem(picture: wire.ProjectSnapshot, subject: str) -> wire.Problem:
    found = [each for each in picture.problems if each.subject == subject]
    assert len(found) == 1, picture.problems
    return found[0]


def dataset(picture: wire.ProjectSnapshot, name: str) -> wire.SnapshotDataset:
    return next(each for each in picture.datasets if each.name == name)
