"""A large value is handed on in memory to the steps of one process, and is in the run's store for all others."""

from __future__ import annotations

import shelve
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from host_client import Conversation, HostProcess
from kedro_projects import make_project

from kedro_console import wire
from kedro_console.child.kept_values import KeptValues, kept, plain_bytes
from kedro_console.child.shelf import Folder, Remote
from kedro_console.child.store import read, write

LARGE = 400_000


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.open()
    return folder


def table() -> pd.DataFrame:
    return pd.DataFrame({"number": np.arange(LARGE), "word": ["x"] * LARGE})


@pytest.mark.parametrize(
    ("value", "is_kept"),
    [
        (table(), True),
        (table()["number"], True),
        (np.ones((1000, 1000), order="F"), True),
        (table().set_index("word"), True),
        (table().assign(day=pd.Timestamp("2024-01-01", tz="UTC")), True),
        (table().head(10), False),
        (table().assign(objects=[[1]] * LARGE), False),
        (table().assign(mixed=pd.Series([1, "a"] * (LARGE // 2), dtype=object)), False),
        (np.array([[1], "a"] * LARGE, dtype=object), False),
        (["x"] * LARGE, False),
    ],
)
def test_what_is_the_same_copied_or_read_back_is_kept(place: Folder, value: Any, is_kept: bool) -> None:
    write(place, "value", value)
    found = kept.get(place, wire.store_file("value"))
    assert (found is not None) == is_kept == (plain_bytes(value) >= 1024**2)
    for one in (read(place, "value"), *([found] if is_kept else [])):
        if isinstance(value, np.ndarray):
            assert (one == value).all() and one.flags.f_contiguous == value.flags.f_contiguous
        elif isinstance(value, list):
            assert one == value
        else:
            same = pd.testing.assert_frame_equal if isinstance(value, pd.DataFrame) else pd.testing.assert_series_equal
            same(one, value)


def test_who_changes_a_value_changes_it_for_nobody_else(place: Folder) -> None:
    mine = table()
    write(place, "value", mine)
    mine.loc[0, "number"] = -1
    theirs = read(place, "value")
    theirs["number"] = 7
    assert read(place, "value")["number"].tolist()[:2] == [0, 1]


def test_a_file_that_another_process_has_written_counts(place: Folder, tmp_path: Path) -> None:
    write(place, "value", table())
    with place.new(wire.store_file("value")) as part:
        pd.DataFrame({"other": [1]}).to_pickle(part, compression=None)
    assert list(read(place, "value").columns) == ["other"]


def test_a_store_elsewhere_is_read(tmp_path: Path) -> None:
    place = Remote(f"file://{tmp_path}/store")
    place.open()
    write(place, "value", table())
    assert kept.get(place, wire.store_file("value")) is None and len(read(place, "value")) == LARGE


def test_only_what_fits_is_kept_the_newest_first(place: Folder) -> None:
    values = KeptValues()
    values.limit_bytes = 4 * 20_000_000
    for name in ("one", "two", "three"):
        (Path(place.address) / name).write_text(name)
        values.put(place, name, np.zeros(1_000_000))
    assert [values.get(place, name) is not None for name in ("one", "two", "three")] == [False, True, True]


NODES = """
import os
import numpy as np
import pandas as pd

def first():
    return pd.DataFrame({f"c{n}": np.arange(5_000_000, dtype="float64") for n in range(10)})

def second(a):
    a["c0"] = -1.0
    return a

def third(a, b):
    return [os.getpid(), float(a["c0"].sum()), float(b["c0"].sum()), float(b["c9"].sum())]
"""
PIPELINES = """
from kedro.pipeline import Pipeline, node
from .nodes import first, second, third

def register_pipelines():
    chain = [node(first, None, "a", name="first"), node(second, "a", "b", name="second"),
             node(third, ["a", "b"], "c", name="third")]
    return {"__default__": Pipeline(chain)}
"""


def test_a_child_goes_on_with_the_table_that_it_keeps(tmp_path: Path, start_host: Any) -> None:
    host: HostProcess = start_host(make_project(tmp_path / "project", nodes=NODES, pipelines=PIPELINES))
    store = str(tmp_path / "store")
    request: dict[str, Any] = {"store_folder": store, "may_go_on": True, "free_outputs": ["c"]}
    said: Conversation = host.begin(nodes=["first"], **request)
    pids = [said.wait_for(wire.ChildStarted).pid]
    for node in ("second", "third"):
        said.wait_for(wire.ChildWaited)
        said.messages.clear()
        step = wire.StepStarted("run", node, "__default__", nodes=[node], folder=str(tmp_path / node), **request)
        wire.send(said.connection, step)
        pids.append(said.wait_for(wire.ChildStarted).pid)
    value = said.wait_for(wire.DatasetSaved).value
    total = 4_999_999 * 2_500_000.0
    assert len(set(pids)) == 1 and value == [pids[0], total, -5_000_000.0, total]
    said.wait_for(wire.ChildWaited)
    wire.send(said.connection, wire.LeaveAsked())
    said.wait_for(wire.ChildExited)
    alone = host.run(nodes=["third"], run_id="resumed", store_folder=store, free_outputs=["c"])
    assert alone.one(wire.DatasetSaved).value[1:] == value[1:]


SHELVED = """
from pathlib import Path
from kedro.framework.session.store import BaseSessionStore

class OnDisk(BaseSessionStore):
    def save(self):
        import shelve
        Path(self._path).mkdir(parents=True, exist_ok=True)
        with shelve.open(str(Path(self._path) / self._session_id)) as file:
            file.update({name: str(value) for name, value in self.data.items()})

SESSION_STORE_CLASS = OnDisk
SESSION_STORE_ARGS = {"path": "sessions"}
"""


@pytest.mark.parametrize("is_failing", [False, True])
def test_the_session_store_of_the_project_saves_the_session(host_of: Any, tmp_path: Path, is_failing: bool) -> None:
    end = "1 / 0" if is_failing else "1"
    nodes = f"def first():\n    return 1\ndef second(a):\n    return a\ndef third(b):\n    return {end}"
    host = host_of(nodes=nodes, settings=SHELVED)
    version = "2024-01-01T00.00.00.000Z"
    host.run(save_version=version)
    with shelve.open(str(host.project / "sessions" / version)) as file:
        assert file["session_id"] == version and ("exception" in file) == is_failing
