"""The kernel's word that nothing was written: by whatever name a file is written, it is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kedro_console.line import processes
from kedro_console.project import notices
from kedro_console.project.notices import Notices


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "site-packages/lib/module.py"
    path.parent.mkdir(parents=True)
    path.write_text("VALUE = 1\n")
    return path


def rewrite_in_place(path: Path) -> None:
    with path.open("r+") as file:
        file.write("VALUE = 2\n")


def replace(path: Path) -> None:
    other = path.with_name("new")
    other.write_text("VALUE = 2\n")
    other.replace(path)


@pytest.mark.parametrize("act", [rewrite_in_place, replace, Path.unlink, Path.touch, lambda path: os.truncate(path, 0)])
def test_what_is_done_to_a_file_is_told_once(module: Path, act: Callable[[Path], None]) -> None:
    told = Notices([str(module)])
    assert told.are_quiet()
    act(module)
    assert not told.are_quiet()
    assert told.are_quiet()


def test_reading_is_quiet(module: Path) -> None:
    told = Notices([str(module)])
    module.read_text()
    list(module.parent.iterdir())
    assert told.are_quiet()


def test_a_file_that_has_another_name_elsewhere_is_told_of_when_it_is_written_by_that(module: Path) -> None:
    other = module.parents[2] / "cache.py"
    os.link(module, other)
    told = Notices([str(module)])
    rewrite_in_place(other)
    assert not told.are_quiet()


@pytest.mark.parametrize("act", [rewrite_in_place, replace])
def test_a_link_is_told_of_when_what_it_leads_to_is_written(module: Path, act: Callable[[Path], None]) -> None:
    target = module.parents[2] / "store/module.py"
    target.parent.mkdir()
    module.rename(target)
    module.symlink_to(target)
    told = Notices([str(module)])
    act(target)
    assert not told.are_quiet()


def test_there_are_none_for_a_folder_that_is_gone(module: Path) -> None:
    assert not Notices([str(module), str(module.parent / "gone/one.py")]).are_quiet()


def test_there_are_none_for_file_systems_that_others_write_to(module: Path, monkeypatch) -> None:
    nfs = 0x6969
    monkeypatch.setattr(notices.processes, "file_system", lambda path: nfs)
    assert not Notices([str(module)]).are_quiet()


def test_the_kernel_says_what_a_file_lies_on(module: Path) -> None:
    assert processes.file_system("/proc") == 0x9FA0
    assert processes.file_system(str(module)) == processes.file_system(str(module.parent)) != 0
    assert processes.file_system("/no/such/place") == 0


def test_there_are_none_when_the_kernel_gives_no_more(module: Path, monkeypatch) -> None:
    monkeypatch.setattr(notices.processes, "open_notices", lambda: -1)
    assert not Notices([str(module)]).are_quiet()


def test_what_was_closed_tells_nothing(module: Path) -> None:
    told = Notices([str(module)])
    told.close()
    told.close()
    assert not told.are_quiet()
