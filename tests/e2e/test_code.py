"""Which code a run executes: the one that lies there when it starts, and that one to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import clock
from jobs.models import Project, Run
from jobs.snapshots import add_project
from jobs.states import Status
from tests.e2e.test_runs import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

PYPROJECT = '[tool.kedro]\npackage_name = "tiny"\nproject_name = "tiny"\nkedro_init_version = "1.7.0"\n'
READS_DATA = "from tiny.data.loader import VALUE\n\ndef work():\n    return VALUE\n"
ONE = """
from kedro.pipeline import Pipeline, node
from tiny import nodes

def register_pipelines():
    return {"__default__": Pipeline([node(nodes.work, None, "value", name="work")])}
"""


def write_project(folder: Path, files: dict[str, str]) -> Path:
    """A Kedro project with these files of its package; its path."""
    usual = {"pyproject.toml": PYPROJECT, "conf/base/catalog.yml": "", "conf/base/parameters.yml": "",
             "src/tiny/__init__.py": "", "src/tiny/settings.py": ""}  # fmt: skip
    for name, text in {**usual, **{f"src/tiny/{name}": text for name, text in files.items()}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "conf/local").mkdir()
    return folder


def value_of(run: Run, dataset: str = "value") -> object:
    assert ended(run).status == Status.SUCCEEDED, run.error
    return run.results[dataset]["value"]


@pytest.mark.parametrize("folder", ["data", "build", "dist", "logs", "venv"])
def test_a_source_folder_may_have_any_name(worker: object, transactional_db: None, tmp_path: Path, folder: str) -> None:
    files = {"nodes.py": READS_DATA.replace("data", folder), "pipeline_registry.py": ONE,
             f"{folder}/__init__.py": "", f"{folder}/loader.py": 'VALUE = "old"'}  # fmt: skip
    path = write_project(tmp_path / "tiny", files)
    project = add_project(path, at=clock.now())
    before = start(project, "__default__")
    assert value_of(before) == "old"
    (path / f"src/tiny/{folder}/loader.py").write_text('VALUE = "new"')
    after = start(project, "__default__")
    assert value_of(after) == "new"
    assert after.revision != before.revision


def test_the_link_to_a_release_leads_to_the_next_one(worker: object, transactional_db: None, tmp_path: Path) -> None:
    for release in ("41", "42"):
        nodes = f"def work():\n    return {release!r}\n"
        write_project(tmp_path / "releases" / release, {"nodes.py": nodes, "pipeline_registry.py": ONE})
    current = tmp_path / "current"
    current.symlink_to("releases/41")
    project = add_project(current, at=clock.now())
    assert project.path == str(current)
    assert value_of(start(project, "__default__")) == "41"
    (tmp_path / "next").symlink_to("releases/42")
    (tmp_path / "next").replace(current)
    assert value_of(start(project, "__default__")) == "42"
    again = add_project(tmp_path / "releases/42", at=clock.now())
    assert again.pk == project.pk and Project.objects.count() == 1
