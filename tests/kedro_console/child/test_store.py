"""In-memory datasets travel between the steps of a distributed run, exactly and whole."""

from __future__ import annotations

import threading
from pathlib import Path

import pandas
import pytest
from kedro_projects import make_project, one_node

from kedro_console import wire
from kedro_console.child import store
from kedro_console.child.shelf import Folder


def test_each_step_of_a_run_continues_from_what_the_others_left(playground, tmp_path):
    folder = str(tmp_path / "store")
    for node in ("first", "second", "third"):
        said = playground.run("chain", nodes=[node], store_folder=folder, free_outputs=["c"])
        assert said.one(wire.RunFinished)
    saved = said.one(wire.DatasetSaved)
    assert (saved.dataset, saved.value, saved.type) == ("c", 3, "MemoryDataset")
    assert said.one(wire.DatasetLoaded).type == "MemoryDataset"


def test_a_step_whose_input_nobody_left_says_which(playground, tmp_path):
    said = playground.run("chain", nodes=["second"], store_folder=str(tmp_path / "store"))
    failed = said.one(wire.RunFailed)
    assert failed.reason == "missing_dataset" and "No step of this run has saved a yet" in failed.failure.message
    assert failed.node == "second"


def test_two_runs_do_not_share_a_store(playground, tmp_path):
    assert playground.run("chain", nodes=["first"], store_folder=str(tmp_path / "one")).one(wire.RunFinished)
    assert playground.run("chain", nodes=["second"], store_folder=str(tmp_path / "two")).one(wire.RunFailed)


def test_what_cannot_travel_is_named_with_what_to_do(run_body, tmp_path):
    said = run_body("import threading\nreturn threading.Lock()", store_folder=str(tmp_path / "store"))
    failed = said.one(wire.RunFailed)
    assert failed.node == "work" and "cannot be handed to another process" in failed.failure.message


SETTINGS = """
from kedro.framework.hooks import hook_impl
from kedro.io import MemoryDataset
class Fill:
    @hook_impl
    def after_catalog_created(self, catalog):
        catalog["given"] = MemoryDataset("by a hook")
HOOKS = (Fill(),)
"""


def test_data_that_a_hook_puts_into_the_catalog_stays(tmp_path, start_host):
    project = one_node("def work(given):\n    return given", inputs="given", settings=SETTINGS)
    host = start_host(make_project(tmp_path / "project", **project))
    said = host.run(store_folder=str(tmp_path / "store"), free_outputs=["result"])
    assert said.one(wire.DatasetSaved).value == "by a hook"


# ---- files -----------------------------------------------------------------------------------------


TIMES = pandas.to_datetime(["2020-01-01", None])
TABLE = pandas.DataFrame({"n": [1, 2], "x": [0.5, None], "t": TIMES, "s": ["a", "b"]})
SECONDS = pandas.DataFrame({"t": pandas.array(["2020-01-01"], dtype="datetime64[s]")})
WHOLE = pandas.DataFrame({"n": pandas.array([1, None], dtype="Int64")})
DAILY = pandas.DataFrame({"x": [1, 2]}, index=pandas.date_range("2020-01-01", periods=2))


@pytest.mark.parametrize("value", [
    TABLE, TABLE.set_index("s"), TABLE.assign(o=[[1], {"a": 2}]), TABLE.rename(columns={"n": 5}), TABLE.iloc[:0],
    TABLE.assign(c=pandas.Categorical(["x", "y"], ordered=True)), DAILY, SECONDS, WHOLE,
])  # fmt: skip
def test_a_table_comes_back_as_it_was(tmp_path, value):
    store.write(Folder(tmp_path), "t", value)
    pandas.testing.assert_frame_equal(store.read(Folder(tmp_path), "t"), value)


@pytest.mark.parametrize("value", [None, 1, {"a": [1, (2,)]}, Path("x"), b"PAR1 looks like a table"])
def test_any_other_value_comes_back_as_it_was(tmp_path, value):
    store.write(Folder(tmp_path), "v", value)
    back = store.read(Folder(tmp_path), "v")
    assert type(back) is type(value) and back == value


def test_plain_tables_are_stored_in_columns(tmp_path):
    pytest.importorskip("pyarrow")
    store.write(Folder(tmp_path), "t", TABLE)
    assert (tmp_path / "t.data").read_bytes()[:4] == b"PAR1"


def test_a_failed_write_leaves_the_old_value_and_nothing_else(tmp_path):
    store.write(Folder(tmp_path), "v", "old")
    with pytest.raises(store.StoreError):
        store.write(Folder(tmp_path), "v", threading.Lock())
    assert store.read(Folder(tmp_path), "v") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["v.data"]


def test_every_dataset_name_has_a_file_of_its_own(tmp_path):
    names = ["a", "a.b", "a/b", "../a", "..", "a b", "a%2Fb", "語" * 100, "語" * 101, "x" * 300, "x" * 301, "A", "a:b"]
    files = [wire.store_file(name) for name in names]
    assert len(set(files)) == len(names)
    for name in files:
        assert (tmp_path / name).parent == tmp_path and len(name.encode()) < 200
        (tmp_path / name).write_bytes(b"")
