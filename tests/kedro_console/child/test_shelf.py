"""A run's store keeps the same promises in a folder and at an address."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pandas
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from kedro_projects import make_project, one_node

from kedro_console import wire
from kedro_console.child import shelf as shelves
from kedro_console.child import store
from kedro_console.child.shelf import Folder, Remote, Shelf, main, shelf

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["folder", "file", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    where = {"folder": str(tmp_path / "s"), "file": f"file://{tmp_path}/s", "memory": f"memory://{tmp_path.name}/s"}
    found = shelf(where[request.param])
    found.open()
    return found


def test_what_is_written_is_read_again(place: Shelf) -> None:
    table = pandas.DataFrame({"n": [1, 2], "s": ["a", "b"]})
    store.write(place, "shop.table", table)
    store.write(place, "a/b", {"x": [1]})
    pandas.testing.assert_frame_equal(store.read(place, "shop.table"), table)
    assert store.read(place, "a/b") == {"x": [1]}
    assert place.has(wire.store_file("a/b")) and not place.has(wire.store_file("b"))


def test_what_is_not_there_is_named(place: Shelf) -> None:
    with pytest.raises(FileNotFoundError, match="No step of this run has saved gone yet"):
        store.read(place, "gone")


def test_a_failed_write_leaves_the_old_value(place: Shelf) -> None:
    store.write(place, "v", "old")
    with pytest.raises(store.StoreError) as refused:
        store.write(place, "v", threading.Lock())
    assert (refused.value.dataset, store.read(place, "v")) == ("v", "old")


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_the_console_drops(scheme: str, tmp_path: Path) -> None:
    one, two = f"{scheme}://{tmp_path}/one", f"{scheme}://{tmp_path}/two"
    for place in (one, two):
        Remote(place).open()
        store.write(Remote(place), "a", "a")
    main(["drop", one, two])
    main(["drop", one])
    assert not Remote(one).has("a.data") and not Remote(two).has("a.data")


def test_an_address_that_nothing_opens_ends_with_the_reason(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kedro_console.child.shelf", "drop", "nowhere://bucket/x"]
    ended = subprocess.run(command, env={"PYTHONPATH": str(ROOT / "pipelines")}, capture_output=True, text=True)
    assert ended.returncode and "nowhere" in ended.stderr.splitlines()[-1]


class HTTPClientError(Exception):
    """As botocore's, which is no OSError."""


class Flaky(MemoryFileSystem):
    """A store that refuses the next calls with these errors."""

    protocol = "flaky"
    refusals: ClassVar[list[Exception]] = []

    def _refuse(self) -> None:
        if self.refusals:
            raise self.refusals.pop(0)

    def put_file(self, *args: Any, **options: Any) -> None:
        self._refuse()
        super().put_file(*args, **options)

    def get_file(self, *args: Any, **options: Any) -> None:
        self._refuse()
        super().get_file(*args, **options)


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Remote:
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    monkeypatch.setattr(shelves, "LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(shelves, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(Flaky, "refusals", [])
    return Remote(f"flaky://{tmp_path.name}/s")


AWAY = [ConnectionResetError("reset"), TimeoutError(), OSError(5, "InternalError"), HTTPClientError("Connect timeout")]


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_a_store_that_is_away_is_awaited(flaky: Remote, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    Flaky.refusals += [error, error]
    store.write(flaky, "v", [1])
    Flaky.refusals += [error]
    assert store.read(flaky, "v") == [1]
    assert caplog.messages[0].startswith(f"The store of this run, {flaky.address}, does not answer (")
    assert len(caplog.messages) == 3


@pytest.mark.parametrize(
    "error", [PermissionError("denied"), OSError(28, "No space left on device"), ValueError("no"), ImportError("s3fs")]
)
def test_what_waiting_cannot_mend_is_told_at_once(flaky: Remote, error: Exception) -> None:
    Flaky.refusals += [error]
    with pytest.raises(type(error)):
        store.write(flaky, "v", [1])
    assert not Flaky.refusals


def test_nobody_waits_for_ever(flaky: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "PATIENCE_SECONDS", 0.1)
    Flaky.refusals += [ConnectionResetError("reset")] * 1000
    with pytest.raises(ConnectionResetError):
        store.write(flaky, "v", [1])


def test_what_an_earlier_run_lends_is_read_there_and_never_written(playground, tmp_path: Path) -> None:
    assert playground.run("chain", nodes=["first"], store_folder=f"file://{tmp_path}/old").one(wire.RunFinished)
    before = (tmp_path / "old" / "a.data").read_bytes()
    lent = {f"file://{tmp_path}/old": ["a.data", "b.data"]}
    said = playground.run("chain", nodes=["second"], store_folder=f"file://{tmp_path}/new", lent=lent)
    assert said.one(wire.RunFinished)
    assert (tmp_path / "old" / "a.data").read_bytes() == before and not (tmp_path / "old" / "b.data").exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["b.data"]
    gone = {f"file://{tmp_path}/gone": ["a.data"]}
    failed = playground.run("chain", nodes=["second"], store_folder=f"file://{tmp_path}/new", lent=gone)
    failure = failed.one(wire.RunFailed)
    assert (failure.reason, failure.dataset) == ("lent_gone", "a")


def test_the_steps_of_a_run_meet_at_an_address(playground, tmp_path: Path) -> None:
    for node in ("first", "second", "third"):
        said = playground.run("chain", nodes=[node], store_folder=f"file://{tmp_path}/store", free_outputs=["c"])
        assert said.one(wire.RunFinished)
    assert said.one(wire.DatasetSaved).value == 3
    assert Folder(tmp_path / "store").has("c.data")


def test_what_stays_in_memory_is_not_on_the_shelf(tmp_path: Path, start_host) -> None:
    project = one_node("def work():\n    return lambda: 1", inputs=None, outputs="result")
    host = start_host(make_project(tmp_path / "project", **project))
    folder = str(tmp_path / "store")
    failed = host.run(store_folder=folder).one(wire.RunFailed)
    assert (failed.reason, failed.dataset, failed.node) == ("unshareable", "result", "work")
    assert host.run(store_folder=folder, in_memory=["result"]).one(wire.RunFinished)
