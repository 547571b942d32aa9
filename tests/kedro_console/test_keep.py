"""Deliverables are copied whole, hashed, and only from where a run may leave them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kedro_console import keep, wire


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project/conf").mkdir(parents=True)
    return tmp_path / "project"


@pytest.fixture
def keeper(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> keep.Keeper:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return keep.Keeper(project, tmp_path / "step", 1_000, frozenset({"final"}))


def write(path: Path, data: bytes = b"data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_file_for_people_is_kept_whole_with_its_hash_and_name(keeper, project):
    source = write(project / "data/report.pptx", b"slides")
    kept, note = keeper.keep("deck", str(source), None)
    assert kept and note == ""
    assert Path(kept.path).read_bytes() == b"slides" and kept.path.startswith(str(keeper.folder / "kept"))
    assert (kept.name, kept.size_bytes, kept.sha256) == ("report.pptx", 6, hashlib.sha256(b"slides").hexdigest())
    assert kept.media_type.endswith("presentationml.presentation")
    assert [path.name for path in (keeper.folder / "kept").iterdir()] == [Path(kept.path).name]


def test_what_was_kept_stays_when_the_file_is_written_again(keeper, project):
    source = write(project / "a.csv", b"first")
    first, _ = keeper.keep("a", str(source), None)
    source.write_bytes(b"second")
    second, _ = keeper.keep("a", str(source), None)
    assert first and second
    assert (Path(first.path).read_bytes(), Path(second.path).read_bytes()) == (b"first", b"second")


def test_other_known_types_are_kept_only_as_final_outputs(keeper, project):
    source = str(write(project / "model.json"))
    assert keeper.keep("between", source, None) == (None, "")
    assert keeper.keep("final", source, None)[0]
    assert keeper.keep("final", str(write(project / "model.pkl")), None) == (None, "")


def test_a_value_that_names_a_file_is_kept(keeper, project):
    write(project / "data/out.zip", b"zip")
    for value in ("data/out.zip", project / "data/out.zip"):
        kept, _ = keeper.keep("path", "", value)
        assert kept and kept.name == "out.zip"


@pytest.mark.parametrize("value", ["data/none.zip", "no path at all", "x" * 10_000, "a\0b.zip", 7, None, ["a.zip"]])
def test_a_value_that_names_no_file_is_nothing(keeper, value):
    assert keeper.keep("path", "", value) == (None, "")


def test_a_file_outside_is_not_kept_and_says_why(keeper, tmp_path):
    kept, note = keeper.keep("path", "", str(write(tmp_path / "elsewhere/secret.csv")))
    assert kept is None and note == "secret.csv was not kept: it lies outside the project's folder."


def test_a_link_that_leads_outside_is_not_kept(keeper, project, tmp_path):
    write(tmp_path / "elsewhere/secret.csv")
    (project / "link.csv").symlink_to(tmp_path / "elsewhere/secret.csv")
    kept, note = keeper.keep("table", str(project / "link.csv"), None)
    assert kept is None and "outside" in note


def test_configuration_is_not_kept(keeper, project):
    kept, note = keeper.keep("path", "", str(write(project / "conf/local/credentials.yml")))
    assert kept is None and "credentials" in note


def test_a_folder_is_not_kept_and_says_what_to_do(keeper, project):
    (project / "parts.csv").mkdir()
    kept, note = keeper.keep("parts", str(project / "parts.csv"), None)
    assert kept is None and "zip" in note


def test_a_large_file_is_named_not_kept(keeper, project):
    kept, note = keeper.keep("big", str(write(project / "big.csv", b"x" * 1_001)), None)
    assert kept is None and note == "big.csv was not kept: 1,001 bytes are more than the limit of 1,000."
    assert not list((keeper.folder / "kept").iterdir())


def test_a_url_is_not_a_file(keeper):
    assert keeper.keep("remote", "s3://bucket/a.csv", None) == (None, "")


def test_a_full_disk_is_told_and_harms_nothing(keeper, project):
    write(keeper.folder, b"a file where the folder should be")
    kept, note = keeper.keep("table", str(write(project / "a.csv")), None)
    assert kept is None and note.startswith("a.csv was not kept: ")


def test_the_deck_that_a_node_wrote_itself_is_kept(run_body):
    body = """
from pathlib import Path
Path("data/deck.pptx").write_bytes(b"slides")
return "data/deck.pptx"
"""
    saved = run_body(body).one(wire.DatasetSaved)
    assert saved.kept and saved.kept.name == "deck.pptx" and Path(saved.kept.path).read_bytes() == b"slides"
