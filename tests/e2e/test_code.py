"""Which code a run executes: the one that is there when it starts, and that one to its end."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobs import clock
from jobs.interpreters.snapshots import add_project, take
from jobs.models import Project, Run
from jobs.states import NodeStatus, Status
from jobs.steps.verdict import TRIES
from tests import live
from tests.e2e.running import ended, start

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


CHANGES_WHILE_IT_IS_READ = """
import subprocess, sys
from pathlib import Path

COUNT = Path(__file__).with_name("count.py")
VALUE = COUNT.read_text()[1:].strip()
if VALUE < "{last}" and "kedro_console.host" in sys.orig_argv:
    subprocess.run(["sh", "-c", f"echo '#{{chr(ord(VALUE) + 1)}}' > {{COUNT}}"])

def work():
    return VALUE
"""


def test_files_that_keep_changing_are_awaited(worker: object, transactional_db: None, tmp_path: Path) -> None:
    last = chr(ord("a") + TRIES + 1)
    nodes = CHANGES_WHILE_IT_IS_READ.format(last=last)
    path = write_project(tmp_path / "tiny", {"nodes.py": nodes, "pipeline_registry.py": ONE, "count.py": f"#{last}"})
    project = add_project(path, at=clock.now())
    (path / "src/tiny/count.py").write_text("#a")  # each host reads it, and it is another then
    assert value_of(start(project, "__default__")) == last


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


PARTS = """
import time
from pathlib import Path

VERSION = "one"

def first(mark, go):
    Path(mark).touch()
    while not Path(go).exists():
        time.sleep(0.02)
    return VERSION

def second(a, word):
    return [a, VERSION, word]

def third(a):
    from tiny import later
    return [a, VERSION, later.VERSION]

def last(b, c):
    return [*b, *c, VERSION]
"""
PIPELINE = """
from kedro.pipeline import Pipeline, node
from tiny import nodes

def register_pipelines():
    return {"__default__": Pipeline([
        node(nodes.first, ["params:mark", "params:go"], "a", name="first"),
        node(nodes.second, ["a", "params:word"], "b", name="second"),
        node(nodes.third, "a", "c", name="third"),
        node(nodes.last, ["b", "c"], "d", name="last"),
    ])}
"""
NEW_PARTS = PARTS.replace('"one"', '"two"').replace("third", "renamed")
NEW_PIPELINE = PIPELINE.replace("third", "renamed")


@dataclass
class Begun:
    """A distributed run whose first node waits until it may go on."""

    run: Run
    project: Project
    path: Path
    go: Path

    def change(self) -> None:
        """Other code, another module, a node with another name, and other parameters."""
        for name, text in {
            "nodes.py": NEW_PARTS,
            "pipeline_registry.py": NEW_PIPELINE,
            "later.py": 'VERSION = "two"',
        }.items():
            (self.path / "src/tiny" / name).write_text(text)
        (self.path / "conf/base/parameters.yml").write_text('word: new\nmark: ""\ngo: ""\n')


def begin(tmp_path: Path, **settings: Any) -> Begun:
    files = {"nodes.py": PARTS, "pipeline_registry.py": PIPELINE, "later.py": 'VERSION = "one"'}
    path = write_project(tmp_path / "tiny", files)
    (path / "conf/base/parameters.yml").write_text('word: old\nmark: ""\ngo: ""\n')
    project = add_project(path, at=clock.now())
    mark, go = tmp_path / "mark", tmp_path / "go"
    settings = {"runner": "distributed", **settings}
    run = start(project, "__default__", settings=settings, mark=str(mark), go=str(go))
    live.until(mark.exists, what="the first node's start")
    return Begun(run, project, path, go)


def test_a_run_goes_on_with_the_code_that_it_began_with(worker: object, transactional_db: None, tmp_path: Path) -> None:
    begun = begin(tmp_path)
    begun.change()
    begun.project = Project.objects.get(pk=begun.project.pk)
    take(begun.project, at=clock.now())
    other = start(begun.project, "__default__", mark=str(tmp_path / "other"), go=str(tmp_path / "go"))
    live.until((tmp_path / "other").exists, what="the start of the run with new code")
    begun.go.touch()
    assert value_of(begun.run, "d") == ["one", "one", "old", "one", "one", "one", "one"]
    assert value_of(other, "d") == ["two", "two", "new", "two", "two", "two", "two"]
    for run in (begun.run, other):
        assert run.code_change == "" and set(run.steps.values_list("revision", flat=True)) == {run.revision}
    assert begun.run.revision != other.revision


def test_where_it_cannot_go_on_with_its_code_it_says_so(alone: None, transactional_db: None, tmp_path: Path) -> None:
    with live.worker("mortal", CONSOLE_WORKER_QUEUES="code") as first:
        begun = begin(tmp_path, queue="code")
        begun.path.joinpath("src/tiny/nodes.py").write_text(PARTS.replace('"one"', '"two"'))
        first.send_signal(signal.SIGTERM)
        first.wait(60)
    begun.go.touch()
    with live.worker("next", CONSOLE_WORKER_QUEUES="code"):
        assert ended(begun.run).status == Status.SUCCEEDED
    before, after = begun.run.revisions
    assert begun.run.code_change == f"Attempt 2, from node first on, ran on other code: {after} instead of {before}."


def test_a_node_that_is_gone_is_said_in_words(alone: None, transactional_db: None, tmp_path: Path) -> None:
    with live.worker("mortal", CONSOLE_WORKER_QUEUES="code") as first:
        begun = begin(tmp_path, queue="code")
        begun.change()
        first.send_signal(signal.SIGTERM)
        first.wait(60)
    begun.go.touch()
    with live.worker("next", CONSOLE_WORKER_QUEUES="code"):
        assert ended(begun.run).status == Status.FAILED
    wanted = "The node third is not in the code any more: it was renamed or removed after this run began."
    assert begun.run.error == wanted


COUNT = 10
EACH_LOAD = f"""
import uuid
from kedro.pipeline import Pipeline, node

def part():
    return 1

def total(*parts):
    return sum(parts)

def register_pipelines():
    names = [uuid.uuid4().hex[:8] for _ in range({COUNT})]
    parts = [node(part, None, f"value_{{name}}", name=f"part_{{name}}") for name in names]
    join = node(total, [f"value_{{name}}" for name in names], f"total_{{names[0]}}", name="join")
    return {{"__default__": Pipeline([*parts, join])}}
"""


@pytest.mark.parametrize("runner", ["sequential", "threads", "distributed"])
def test_a_pipeline_with_other_nodes_at_each_load_runs_with_its_own(
    worker: object, transactional_db: None, tmp_path: Path, runner: str
) -> None:
    project = add_project(write_project(tmp_path / "tiny", {"pipeline_registry.py": EACH_LOAD}), at=clock.now())
    run = ended(start(project, "__default__", settings={"runner": runner}))
    assert run.status == Status.SUCCEEDED, run.error
    assert (run.nodes_done, run.nodes_total) == (COUNT + 1, COUNT + 1)
    assert set(run.node_runs.values_list("status", flat=True)) == {NodeStatus.SUCCEEDED}
    assert run.graph_change == (
        f"The pipeline's nodes are not those it had when the project was read: {COUNT} new, {COUNT} gone."
    )
    assert [result["value"] for result in run.results.values()] == [COUNT]
    if runner == "distributed":
        assert run.plan_reason.startswith(f"1 step instead of {COUNT + 1}. ")
    assert not run.steps.exclude(status__in=[Status.SUCCEEDED, Status.CANCELLED]).exists()


@pytest.fixture
def alone(redis_server: object) -> None:
    """These tests start their own workers, on a queue that the shared one does not serve."""
