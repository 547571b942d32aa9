"""What a run leaves for people is kept, whatever it is, or the run says what is not, and why."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from jobs import clock
from jobs.interpreters.artifacts import open_file
from jobs.interpreters.snapshots import add_project
from jobs.models import Project, Run
from jobs.states import Runner, Status
from tests import live
from tests.disks import disk
from tests.e2e.running import ended, lines, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

CATALOG = """
table: {{type: pandas.CSVDataset, filepath: data/report.tsv}}
outside: {{type: pandas.CSVDataset, filepath: "{outside}"}}
parts: {{type: partitions.PartitionedDataset, path: data/parts, dataset: json.JSONDataset, filename_suffix: .json}}
model: {{type: pickle.PickleDataset, filepath: data/model.pkl, versioned: true}}
gone: {{type: tiny.nodes.Forgets, filepath: data/gone.bin}}
middle: {{type: pickle.PickleDataset, filepath: data/middle.pkl}}
"""
NODES = """
from pathlib import Path
import pandas as pd
from kedro.io import AbstractDataset


class Forgets(AbstractDataset):
    def __init__(self, filepath): self._filepath = Path(filepath)
    def _load(self): return None
    def _describe(self): return {}
    def _save(self, data):
        if Path("data/again").exists():
            self._filepath.write_text("late")


class FailsOnce(Forgets):
    def _save(self, data):
        super()._save(data)
        if not Path("data/again").exists():
            Path("data/again").write_text("x")
            raise ValueError("not yet")


def make():
    return pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]}), 1


def more(middle):
    Path("data/site/assets").mkdir(parents=True, exist_ok=True)
    Path("data/site/index.html").write_text("<p>hello</p>")
    Path("data/site/assets/style").write_text("p {}")
    parts = {f"{number:03}": {"n": number} for number in range(150)}
    return parts, {"weights": [1, 2]}, 1, Path("data/site"), "conf/local/credentials.yml"
"""
REGISTRY = """
from kedro.pipeline import node, pipeline
from . import nodes as n
def register_pipelines():
    return {"__default__": pipeline([
        node(n.make, None, ["table", "outside", "middle"], name="make"),
        node(n.more, "middle", ["parts", "model", "gone", "site", "named"], name="more"),
    ])}
"""


@pytest.fixture
def tiny(transactional_db: None, tmp_path: Path) -> Project:
    root, source = tmp_path / "tiny", tmp_path / "tiny/src/tiny"
    source.mkdir(parents=True)
    outside = tmp_path / "srv/reports/outside.csv"
    for path, text in {
        root / "pyproject.toml": '[tool.kedro]\npackage_name="tiny"\nproject_name="tiny"\nkedro_init_version="1.0.0"\n',
        root / "conf/base/catalog.yml": CATALOG.format(outside=outside),
        root / "conf/local/credentials.yml": "{}\n",
        source / "__init__.py": "",
        source / "settings.py": "",
        source / "nodes.py": NODES,
        source / "pipeline_registry.py": REGISTRY,
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return add_project(root, at=clock.now())


@pytest.mark.parametrize("runner", [Runner.SEQUENTIAL, Runner.DISTRIBUTED])
def test_every_free_output_is_kept_or_named(worker: object, tiny: Project, runner: str) -> None:
    run = ended(start(tiny, "__default__", settings={"runner": runner}))
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    kept = {row.dataset: row for row in run.artifacts.all()}
    assert {dataset: row.name for dataset, row in kept.items()} == {
        "table": "report.tsv", "outside": "outside.csv", "parts": "parts.zip", "model": "model.pkl",
        "site": "site.zip",
    }  # fmt: skip
    with open_file(kept["parts"]) as file, zipfile.ZipFile(file) as archive:
        assert len(archive.namelist()) == 150 and json.loads(archive.read("007.json")) == {"n": 7}
    with open_file(kept["site"]) as file, zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["assets/style", "index.html"]
    assert run.results and run.results["table"]["artifact"] == str(kept["table"].uuid)
    unkept = {row.dataset: row.reason for row in run.unkept_files.all()}
    assert set(unkept) == {"gone", "named"}
    assert "no such file" in unkept["gone"] and "credentials" in unkept["named"]
    assert all(reason in lines(run) for reason in unkept.values())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[None]:
    """A disk of 64 kB for what a run stages."""
    with disk("runs", "64k"):
        yield


@pytest.mark.parametrize("name", ["runs", "unsent", "artifacts"])
def test_any_folder_of_the_console_may_be_a_disk_of_its_own(worker: object, tiny: Project, name: str) -> None:
    with disk(name, "64m"):
        leftovers = {path.name for path in (settings.VAR / "unsent").glob("*")}
        run = ended(start(tiny, "__default__"))
        assert (run.status, run.error) == (Status.SUCCEEDED, "")
        for dataset in ("table", "outside", "parts", "model", "site"):
            with open_file(run.artifacts.get(dataset=dataset)) as file:
                assert file.read()
        assert set(run.unkept_files.values_list("dataset", flat=True)) == {"gone", "named"}
        left = {path.name for path in (settings.VAR / "unsent").iterdir()} - leftovers
        sums = set(run.artifacts.values_list("sha256", flat=True))
        assert left <= sums  # a store elsewhere takes them when it can
        unsent = [settings.VAR / "unsent" / each for each in sums]
        live.until(lambda: not any(path.exists() for path in unsent), seconds=180, what="the store has them")


def test_a_full_disk_is_never_plain_green(worker: object, tiny: Project, small_disk: None) -> None:
    nodes = Path(tiny.path) / "src/tiny/nodes.py"
    nodes.write_text(nodes.read_text().replace('"a": [1]', '"a": list(range(100_000))'))
    run: Run = ended(start(tiny, "__default__"))
    assert run.status == Status.SUCCEEDED
    assert "table" not in run.artifacts.values_list("dataset", flat=True)
    assert "there is no room left" in run.unkept_files.get(dataset="table").reason
    assert run.artifacts.filter(dataset="outside").exists()


def test_a_later_attempt_says_anew_what_is_not_kept(worker: object, tiny: Project) -> None:
    catalog = Path(tiny.path) / "conf/base/catalog.yml"
    catalog.write_text(catalog.read_text() + "named: {type: tiny.nodes.FailsOnce, filepath: data/named.bin}\n")
    run = ended(start(tiny, "__default__", settings={"retries": 1, "retry_wait_seconds": 0}))
    assert (run.status, run.steps.count()) == (Status.SUCCEEDED, 2)
    assert run.artifacts.filter(dataset="gone").exists()
    assert not run.unkept_files.filter(dataset="gone").exists()
