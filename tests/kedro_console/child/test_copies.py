"""Copies of what passes between nodes cost little, change nothing, and are whole or not there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("kedro")

from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

from kedro_console import wire
from kedro_console.child import store
from kedro_console.child.copies import Copies
from kedro_console.child.shelf import Folder

PIPELINE = pipeline([node(lambda: 1, None, "a", name="a"), node(lambda a: a, "a", "b", name="b")])


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    return begun(tmp_path / "store", limit_bytes=1_000_000)


def begun(folder: Path, **limits: int) -> Copies:
    made = Copies(folder, **limits)
    made.before_pipeline_run(PIPELINE, DataCatalog({"b": MemoryDataset()}))
    return made


def copy_of(folder: Path, name: str) -> Any:
    return store.read(Folder(folder), name)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_value_is_read_back_as_it_was(copies: Copies, tmp_path: Path) -> None:
    copies.after_dataset_saved("a", {"rows": [1, None, "ä"]})
    assert copy_of(tmp_path / "store", "a") == {"rows": [1, None, "ä"]}
    copies.drop()
    assert not (tmp_path / "store").exists()


def test_what_is_not_in_memory_or_not_made_here_is_not_copied(copies: Copies, tmp_path: Path) -> None:
    copies.after_dataset_saved("other", 1)
    assert names(tmp_path / "store") == []


def test_so_many_bytes_and_no_more_and_smaller_ones_still_fit(tmp_path: Path) -> None:
    copies = begun(tmp_path / "store", limit_bytes=1_000)
    copies.after_dataset_saved("a", b"x" * 2_000)
    copies.after_dataset_saved("b", b"x" * 500)
    assert names(tmp_path / "store") == [wire.store_file("b")]


def test_a_disk_with_little_room_is_left_to_the_run(tmp_path: Path) -> None:
    copies = begun(tmp_path / "store", limit_bytes=10**18)
    copies.after_dataset_saved("a", 1)
    assert names(tmp_path / "store") == []


def test_what_cannot_be_pickled_or_asks_first_is_left_out_and_harms_nothing(copies: Copies, tmp_path: Path) -> None:
    copies.after_dataset_saved("a", threading.Lock())
    lazy = type("LazyFrame", (), {"__module__": "polars.lazyframe"})()
    copies.after_dataset_saved("b", lazy)
    assert names(tmp_path / "store") == []


def test_a_small_share_of_the_time_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beats = count()
    monkeypatch.setattr("kedro_console.child.copies.time", SimpleNamespace(monotonic=lambda: next(beats) * 0.05))
    copies = begun(tmp_path / "store", limit_bytes=100_000_000)
    copies.after_dataset_saved("a", [{"n": str(number)} for number in range(100_000)])
    copies.after_dataset_saved("b", 1)
    assert names(tmp_path / "store") == []


class Speaks:
    def __getstate__(self) -> dict[str, Any]:
        print("asked for my state")
        return {}


class Guesses:
    def __getattr__(self, name: str) -> str:
        print("asked for", name)
        raise AttributeError(name)


class Pages(list[int]):
    def __iter__(self) -> Iterator[int]:
        print("leafed through")
        return super().__iter__()


@dataclass(frozen=True)
class Plain:
    number: int


@pytest.mark.parametrize("value", [Speaks(), Guesses(), Pages([1])], ids=lambda value: type(value).__name__)
def test_code_of_the_project_has_no_say_in_a_copy(
    copies: Copies, tmp_path: Path, capsys: pytest.CaptureFixture[str], value: Any
) -> None:
    copies.after_dataset_saved("a", {"deep": [value]})
    copies.after_dataset_saved("b", {Plain(1): Decimal("1.5")})
    assert capsys.readouterr().out == ""
    assert names(tmp_path / "store") == [wire.store_file("b")]
    assert copy_of(tmp_path / "store", "b") == {Plain(1): Decimal("1.5")}


def test_a_folder_that_cannot_be_made_is_no_fault_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    copies = begun(tmp_path / "file" / "store", limit_bytes=1_000)
    copies.after_dataset_saved("a", 1)
    copies.after_dataset_saved("a", 2)


def test_a_dataset_that_cannot_be_made_is_told_by_the_run_itself(tmp_path: Path) -> None:
    copies = Copies(tmp_path / "store", limit_bytes=1_000)
    copies.before_pipeline_run(PIPELINE, None)
    copies.after_dataset_saved("a", 1)
    assert names(tmp_path / "store") == []


def test_what_comes_in_pieces_is_no_one_value(copies: Copies, tmp_path: Path) -> None:
    copies.after_dataset_saved("a", [1])
    copies.after_dataset_saved("a", [2])
    copies.after_dataset_saved("a", [3])
    assert names(tmp_path / "store") == []
