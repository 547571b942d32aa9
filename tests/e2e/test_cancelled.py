"""A cancelled run looks cancelled, wherever the cancel meets it; a time limit is a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import clock
from jobs.insight.stopping import stages
from jobs.interpreters.snapshots import add_project
from jobs.models import Project, RequestRecord, Run
from jobs.runs.cancel import cancel, force
from jobs.states import NodeStatus, Runner, Status
from tests import live
from tests.e2e.running import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

NODES = """
import ctypes, time
from pathlib import Path
from kedro.io import AbstractDataset


def rest(what):
    Path(what).write_text("x")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.02)


class Slow(AbstractDataset):
    def __init__(self, when): self._when = when
    def _describe(self): return {}
    def _load(self):
        if self._when == "load": rest("data/at")
        return 1
    def _save(self, data):
        if self._when == "save": rest("data/at")


def node(x):
    rest("data/at")


def catches(x):
    try:
        rest("data/at")
    except KeyboardInterrupt:
        raise ValueError("tidied up")


def stubborn(x):
    Path("data/at").write_text("x")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            time.sleep(0.1)
        except KeyboardInterrupt:
            pass


def calls(x):
    import socket, urllib.request
    server = socket.create_server(("127.0.0.1", 0))
    Path("data/at").write_text("x")
    urllib.request.urlopen(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=60)


def c_loop(x):
    Path("data/at").write_text("x")
    ctypes.PyDLL(None).usleep(60_000_000)


def reads(x):
    return x


def fails(x):
    raise ValueError("by itself")
"""
REGISTRY = """
from kedro.pipeline import node, pipeline
from . import nodes as n


def one(function, source="params:x", target="out"):
    first = node(n.reads, "params:x", "before", name="before")
    return pipeline([first, node(function, source, target, name="work"), node(n.reads, target, "after", name="after")])


def register_pipelines():
    return {
        "node": one(n.node), "catches": one(n.catches), "calls": one(n.calls), "c_loop": one(n.c_loop),
        "stubborn": one(n.stubborn), "load": one(n.reads, "slow_load"), "save": one(n.reads, target="slow_save"),
        "__default__": one(n.reads),
    }
"""
CATALOG = """
slow_load: {type: stops.nodes.Slow, when: load}
slow_save: {type: stops.nodes.Slow, when: save}
"""


@pytest.fixture
def stops(transactional_db: None, tmp_path: Path) -> Project:
    root, source = tmp_path / "stops", tmp_path / "stops/src/stops"
    facts = 'package_name="stops"\nproject_name="stops"\nkedro_init_version="1.0.0"\n'
    for path, text in {
        root / "pyproject.toml": f"[tool.kedro]\n{facts}",
        root / "conf/base/catalog.yml": CATALOG,
        root / "conf/base/parameters.yml": "x: 1\n",
        root / "conf/local/.gitkeep": "",
        root / "data/.gitkeep": "",
        source / "__init__.py": "",
        source / "settings.py": "",
        source / "nodes.py": NODES,
        source / "pipeline_registry.py": REGISTRY,
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return add_project(root, at=clock.now())


def cancelled(run: Run, mark: Path) -> Run:
    live.until(mark.exists, what="it has come to where it is to be cancelled")
    live.until(lambda: run.node_runs.filter(name="work", status=NodeStatus.RUNNING).exists(), what="the node's row")
    cancel(run, at=clock.now(), by="olga")
    return ended(run)


@pytest.mark.parametrize(
    ("where", "runner"),
    [
        *((where, Runner.SEQUENTIAL) for where in ("node", "load", "save", "catches", "calls", "c_loop")),
        *((where, Runner.DISTRIBUTED) for where in ("node", "catches", "c_loop")),
        ("catches", Runner.THREADS),
    ],
)
def test_a_run_is_cancelled_where_it_is(worker: object, stops: Project, where: str, runner: str) -> None:
    run = start(stops, where, settings={"runner": runner, "grace_seconds": 1})
    run = cancelled(run, Path(stops.path) / "data/at")
    assert (run.status, run.error) == (Status.CANCELLED, "Cancelled by olga while work ran.")
    nodes = {node.name: node for node in run.node_runs.all()}
    work, after = nodes["work"], nodes["after"]
    assert (work.status, work.error, work.failure) == (NodeStatus.CANCELLED, "", None)
    assert after.status in (NodeStatus.CANCELLED, NodeStatus.BLOCKED) and not after.error
    if where in ("node", "catches", "calls") and runner != Runner.THREADS:  # a thread hears of nothing until it is over
        assert "src/stops/nodes.py" in work.reason
    assert not RequestRecord.objects.exists()
    assert not run.steps.filter(status__in=[Status.FAILED, Status.CRASHED]).exists()


def test_force_does_not_wait_out_the_grace(worker: object, stops: Project) -> None:
    run = start(stops, "stubborn", settings={"grace_seconds": 300})
    mark = Path(stops.path) / "data/at"
    live.until(mark.exists, what="it is in its loop")
    live.until(lambda: run.steps.filter(pid__isnull=False).exists(), what="its process is in its row")
    cancel(run, at=clock.now(), by="olga")
    live.until(lambda: run.steps.filter(stops__isnull=False).exists(), what="the interrupt was sent")
    force(run, at=clock.now(), by="nora")
    run = ended(run, seconds=30)
    assert (run.status, run.force_requested_by) == (Status.CANCELLED, "nora")
    step = run.steps.get()
    assert [stop["stage"] for stop in step.stops] == ["interrupt", "kill"] and step.exit_signal == 9
    assert [stage.did for stage in stages(run)] == ["asked to stop", "interrupted", "forced", "killed"]


def test_a_time_limit_is_a_failure_and_says_so(worker: object, stops: Project) -> None:
    run = ended(start(stops, "node", settings={"node_time_limit_seconds": 2, "grace_seconds": 5}))
    work = run.node_runs.get(name="work")
    assert run.status == Status.FAILED and "time limit" in run.error
    assert (work.status, work.error) == (NodeStatus.FAILED, run.error)
    assert work.failure["exception"] == "TimeLimit" and work.failure["frames"]


def test_a_cancel_while_the_project_is_imported_is_no_error_of_the_project(
    worker: object, stops: Project, tmp_path: Path
) -> None:
    nodes, mark = Path(stops.path) / "src/stops/nodes.py", tmp_path / "importing"
    nodes.write_text(nodes.read_text() + f"\n\nif Path({str(mark)!r} + '.slow').exists(): rest({str(mark)!r})\n")
    run = ended(start(stops, "__default__"))
    assert run.status == Status.SUCCEEDED
    Path(f"{mark}.slow").write_text("x")
    nodes.write_text(nodes.read_text() + "\n# changed\n")
    run = start(stops, "__default__")
    live.until(mark.exists, what="the import has begun")
    live.until(lambda: run.steps.filter(status=Status.RUNNING).exists(), what="the step is claimed")
    cancel(run, at=clock.now(), by="olga")
    run = ended(run, seconds=20)  # the import takes a minute, and nobody has to wait for it
    assert (run.status, run.error) == (Status.CANCELLED, "Cancelled by olga.")
