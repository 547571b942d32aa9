"""A child is not believed what it tells of its files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import PlatformError
from jobs.interpreters.artifacts import keep, key_of, store
from jobs.steps.left_files import LeftFiles
from kedro_console.wire import DatasetSaved, KeptFile, sha256_of

ELSE = "it is not in the folder of its own step"
OTHER = "it is not the file that its process told of"
LINK = "it is not a file of its own"


@pytest.fixture
def step(tmp_path: Path, settings: Any) -> Path:
    settings.VAR = tmp_path / "var"
    folder = tmp_path / "var" / "runs" / "1" / "run" / "0-1"
    (folder / "kept").mkdir(parents=True)
    (tmp_path / "var" / "secret_key").write_text("the key")
    return folder


def told(file: Path, **other: Any) -> KeptFile:
    facts = {"size_bytes": file.stat().st_size, "sha256": sha256_of(file)} if file.is_file() else {}
    named = {"path": str(file), "name": "a.csv", "media_type": "text/csv", "size_bytes": 1, "sha256": "0" * 64}
    return KeptFile(**{**named, **facts, **other})


def staged(step: Path, text: str = "a,b") -> Path:
    file = step / "kept" / "file"
    file.write_text(text)
    return file


def test_its_own_file_is_kept(step: Path) -> None:
    kept = told(staged(step))
    assert keep(kept, step) is None
    place = Path(store().path(key_of(kept.sha256)))
    assert place.read_text() == "a,b" and place.stat().st_mode & 0o777 == 0o440
    assert not (step / "kept" / "file").exists()


@pytest.mark.parametrize("path", ["{var}/secret_key", "{step}/kept/../../../../../secret_key", "{step}", "secret_key"])
def test_a_file_elsewhere_is_not_taken(step: Path, path: str) -> None:
    var = step.parents[3]
    place = path.format(var=var, step=step)
    with pytest.raises(PlatformError, match=ELSE):
        keep(told(Path(place)), step)
    assert (var / "secret_key").read_text() == "the key"


@pytest.mark.parametrize("link", ["kept", "0-1", "run"])
def test_no_link_leads_out_of_the_folder(step: Path, tmp_path: Path, link: str) -> None:
    """Also one of the folders that its own run made."""
    outside = tmp_path / "outside"
    (outside / "run" / "0-1" / "kept").mkdir(parents=True)
    (outside / "run" / "0-1" / "kept" / "file").write_text("theirs")
    kept = told(outside / "run" / "0-1" / "kept" / "file", path=str(step / "kept" / "file"))
    place = {"kept": step / "kept", "0-1": step, "run": step.parent}[link]
    place.rename(tmp_path / "moved")
    place.symlink_to({"kept": outside / "run/0-1/kept", "0-1": outside / "run/0-1", "run": outside / "run"}[link])
    with pytest.raises(PlatformError, match="could not store it"):
        keep(kept, step)
    assert (outside / "run" / "0-1" / "kept" / "file").read_text() == "theirs"


def test_a_link_is_no_file(step: Path) -> None:
    var = step.parents[3]
    (step / "kept" / "file").symlink_to(var / "secret_key")
    kept = told(var / "secret_key", path=str(step / "kept" / "file"))
    with pytest.raises(PlatformError, match="could not store it"):
        keep(kept, step)
    assert (var / "secret_key").exists() and not store().exists(key_of(kept.sha256))


def test_a_file_with_a_second_name_could_still_be_written_to(step: Path) -> None:
    os.link(staged(step), step / "second")
    with pytest.raises(PlatformError, match=LINK):
        keep(told(step / "kept" / "file"), step)


@pytest.mark.parametrize("lie", [{"sha256": "0" * 64}, {"size_bytes": 2}])
def test_a_checksum_or_size_that_is_not_its_own_puts_nothing_in_anothers_place(step: Path, lie: dict[str, Any]) -> None:
    others = Path(store().path(key_of("0" * 64)))
    others.parent.mkdir(parents=True, exist_ok=True)
    others.write_text("another project's")
    with pytest.raises(PlatformError, match=OTHER):
        keep(told(staged(step), **lie), step)
    assert others.read_text() == "another project's"
    assert not list((step.parents[3] / "unsent").iterdir())


def test_what_is_not_taken_is_told_beside_the_run(step: Path) -> None:
    files = LeftFiles(step)
    event = DatasetSaved(0.0, dataset="out", node="n", type="x", seconds=0, kept=told(step.parents[3] / "secret_key"))
    assert ELSE in files.take(event)
    assert files.artifacts == [] and ELSE in files.unkept[0]["reason"]
