"""A run's store keeps the same promises in a folder and at an address."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pandas
import pytest
from kedro_projects import make_project, one_node

from kedro_console import wire
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
def test_the_console_lists_copies_and_drops(scheme: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = f"{scheme}://{tmp_path}/one", f"{scheme}://{tmp_path}/two"
    Remote(one).open()
    for name in "abc":
        store.write(Remote(one), name, name)
    main(["copy", one, two, "a.data", "c.data"])
    main(["list", two])
    assert json.loads(capsys.readouterr().out) == ["a.data", "c.data"]
    assert store.read(Remote(two), "c") == "c"
    main(["drop", one, two])
    main(["drop", one])
    assert (Remote(one).names(), Remote(two).names()) == ([], [])


def test_an_address_that_nothing_opens_ends_with_the_reason(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kedro_console.child.shelf", "list", "nowhere://bucket/x"]
    ended = subprocess.run(command, env={"PYTHONPATH": str(ROOT / "pipelines")}, capture_output=True, text=True)
    assert ended.returncode and "nowhere" in ended.stderr.splitlines()[-1]


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
