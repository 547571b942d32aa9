"""Deliverables are copied whole, hashed, and only from where a run may leave them."""

from __future__ import annotations

import errno
import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kedro_console import wire
from kedro_console.line import keep


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


def kept_of(keeper: keep.Keeper, dataset: str, path: object = "", value: Any = None) -> wire.KeptFile:
    """The one file that is kept, with nothing left to say."""
    (kept,), unkept = keeper.keep(dataset, str(path), value)
    assert unkept == []
    return kept


def reason_of(keeper: keep.Keeper, dataset: str, path: object = "", value: Any = None) -> str:
    """Why the one deliverable is not kept."""
    kept, (unkept,) = keeper.keep(dataset, str(path), value)
    assert kept == []
    return unkept.reason


def test_a_file_for_people_is_kept_whole_with_its_hash_and_name(keeper, project):
    source = write(project / "data/report.pptx", b"slides")
    kept = kept_of(keeper, "deck", source)
    assert Path(kept.path).read_bytes() == b"slides" and kept.path.startswith(str(keeper.folder / "kept"))
    assert (kept.name, kept.size_bytes, kept.sha256) == ("report.pptx", 6, hashlib.sha256(b"slides").hexdigest())
    assert kept.media_type.endswith("presentationml.presentation")
    assert [path.name for path in (keeper.folder / "kept").iterdir()] == [Path(kept.path).name]


def test_what_was_kept_stays_when_the_file_is_written_again(keeper, project):
    source = write(project / "a.csv", b"first")
    first = kept_of(keeper, "a", source)
    source.write_bytes(b"second")
    second = kept_of(keeper, "a", source)
    assert (Path(first.path).read_bytes(), Path(second.path).read_bytes()) == (b"first", b"second")


def test_the_same_file_of_two_datasets_is_two_copies(keeper, project):
    source = write(project / "a.csv", b"same")
    first, second = kept_of(keeper, "a", source), kept_of(keeper, "b", source)
    Path(first.path).unlink()
    assert Path(second.path).read_bytes() == b"same"


@pytest.mark.parametrize(
    "name",
    ["a.tsv", "a.txt", "a.xml", "a.log", "nothing", "a.pkl", "a.parquet", "a.ipynb", "a.duckdb", "a.tar.gz", ".x"],
)
def test_a_final_output_is_kept_whatever_its_type(keeper, project, name):
    source = write(project / name)
    assert kept_of(keeper, "final", source).name == name
    assert keeper.keep("between", str(source), None) == ([], [])


def test_a_final_output_may_lie_where_the_catalog_says(keeper, tmp_path):
    source = write(tmp_path / "srv/reports/outside.csv", b"a")
    assert Path(kept_of(keeper, "final", source).path).read_bytes() == b"a"


def test_a_value_that_names_a_file_is_kept(keeper, project):
    write(project / "data/out.zip", b"zip")
    for value in ("data/out.zip", project / "data/out.zip"):
        assert kept_of(keeper, "path", value=value).name == "out.zip"


@pytest.mark.parametrize("name", ["data/model.bin", "data/nothing", "report"])
def test_a_final_value_that_names_a_file_is_kept_whatever_its_type(keeper, project, name):
    write(project / name)
    assert kept_of(keeper, "final", value=name).name == Path(name).name


def test_a_final_value_may_name_several_files(keeper, project):
    write(project / "data/a.bin")
    write(project / "data/b")
    for value in (["data/a.bin", project / "data/b"], {"one": "data/a.bin", "two": "data/b"}):
        kept, unkept = keeper.keep("final", "", value)
        assert [file.name for file in kept] == ["a.bin", "b"] and unkept == []
    assert keeper.keep("final", "", ["data/a.bin", "only words"]) == ([], [])


@pytest.mark.parametrize(
    "value", ["data/none.zip", "no path at all", "x" * 10_000, "a\0b.zip", 7, None, ["a.zip"], "", "."]
)
def test_a_value_that_names_no_file_is_nothing(keeper, value):
    assert keeper.keep("path", "", value) == keeper.keep("final", "", value) == ([], [])


def test_a_word_that_happens_to_be_a_folder_of_old_files_is_a_word(keeper, project, monkeypatch):
    write(project / "reports/old.txt")
    assert kept_of(keeper, "final", value="reports").name == "reports.zip"
    later = keep.Keeper(project, keeper.folder, 1_000, keeper.free_outputs, since=keeper.since + 60)
    assert later.keep("final", "", "reports") == later.keep("final", "", "/usr/bin/env") == ([], [])


def test_a_value_that_names_a_file_outside_is_not_kept_and_says_what_to_do(keeper, tmp_path):
    reason = reason_of(keeper, "path", value=str(write(tmp_path / "elsewhere/secret.csv")))
    assert reason.startswith("secret.csv was not kept: it is outside the project's folder; write it there, or")


def test_a_link_that_leads_outside_is_kept_for_the_catalog_alone(keeper, project, tmp_path):
    write(tmp_path / "elsewhere/table.csv")
    (project / "link.csv").symlink_to(tmp_path / "elsewhere/table.csv")
    assert kept_of(keeper, "table", project / "link.csv").name == "link.csv"
    assert "outside" in reason_of(keeper, "path", value="link.csv")


@pytest.mark.parametrize("place", ["conf/local/credentials.yml", "conf/base/catalog.csv", "other/conf/base/x.csv"])
def test_configuration_is_not_kept(keeper, project, place):
    write(project / "other/pyproject.toml")
    for path, value in ((write(project / place), None), ("", project / place)):
        assert "credentials" in reason_of(keeper, "final", path, value)


@pytest.mark.parametrize("path", ["/etc/hostname", "/proc/self/environ", "/dev/null"])
def test_what_is_the_systems_is_not_kept(keeper, project, path):
    (project / "link.csv").symlink_to(path)
    assert "the system" in reason_of(keeper, "final", path)
    assert "the system" in reason_of(keeper, "final", project / "link.csv")


def test_what_is_the_consoles_is_not_kept(project, tmp_path):
    keeper = keep.Keeper(project, tmp_path / "var/runs/uuid/0-1", 1_000, frozenset({"final"}))
    assert "console's own folder" in reason_of(keeper, "final", write(tmp_path / "var/secret_key"))
    assert kept_of(keeper, "final", write(tmp_path / "var/runs/uuid/0-1/made.bin"))


def test_a_final_folder_is_kept_as_a_zip_that_is_always_the_same(keeper, project):
    for name in ("b.parquet", "a.csv", "deep/er/c"):
        write(project / "parts" / name, name.encode())
    first = kept_of(keeper, "final", project / "parts")
    assert (first.name, first.media_type) == ("parts.zip", "application/zip")
    with zipfile.ZipFile(first.path) as archive:
        assert archive.testzip() is None
        assert [(name, archive.read(name)) for name in archive.namelist()] == [
            ("a.csv", b"a.csv"), ("b.parquet", b"b.parquet"), ("deep/er/c", b"deep/er/c"),
        ]  # fmt: skip
    os.utime(project / "parts/a.csv", (1, 1))
    second = kept_of(keeper, "final", value="parts/deep/../../parts")
    assert second.sha256 == first.sha256 == hashlib.sha256(Path(second.path).read_bytes()).hexdigest()
    assert keeper.keep("between", str(project / "parts"), None) == ([], [])


def test_links_in_a_folder_are_not_followed_out(keeper, project, tmp_path):
    write(project / "parts/a.csv", b"a")
    (project / "parts/again.csv").symlink_to("a.csv")
    (project / "parts/out.csv").symlink_to(write(tmp_path / "elsewhere/secret.csv", b"secret"))
    (project / "parts/up").symlink_to(tmp_path)
    os.mkfifo(project / "parts/pipe")
    (kept,), (unkept,) = keeper.keep("final", str(project / "parts"), None)
    with zipfile.ZipFile(kept.path) as archive:
        assert archive.namelist() == ["a.csv", "again.csv"]
    assert all(name in unkept.reason for name in ("out.csv", "up", "pipe"))


def test_a_folder_is_bounded_in_size_and_number(keeper, project, monkeypatch):
    for number in range(4):
        write(project / f"parts/{number}", b"x" * 300)
    assert "1,200 bytes are more than the limit of 1,000" in reason_of(keeper, "final", project / "parts")
    monkeypatch.setattr("kedro_console.line.pack.MAX_FILES", 3)
    assert "more than 3 files" in reason_of(keeper, "final", project / "parts")
    assert not list((keeper.folder / "kept").iterdir())


def test_a_folder_that_holds_the_project_or_nothing_is_not_kept(keeper, project):
    (project / "empty").mkdir()
    assert "no files" in reason_of(keeper, "final", project / "empty")
    assert "the project itself" in reason_of(keeper, "final", project)
    assert "the project itself" in reason_of(keeper, "final", project.parent)


def test_a_large_file_is_named_not_kept(keeper, project):
    reason = reason_of(keeper, "big", write(project / "big.csv", b"x" * 1_001))
    assert reason.startswith("big.csv was not kept: 1,001 bytes are more than the limit of 1,000; make it smaller")
    assert not list((keeper.folder / "kept").iterdir())


def test_what_lies_at_an_address_is_told_for_a_final_output(keeper):
    assert keeper.keep("remote", "s3://bucket/a.csv", None) == ([], [])
    assert "it is at s3://bucket/a.csv" in reason_of(keeper, "final", "s3://bucket/a.csv")


def test_a_file_that_is_not_there_is_told(keeper, project):
    assert "no such file" in reason_of(keeper, "final", project / "gone.bin")


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "there is no room left"), (errno.EACCES, "may not read it"), (errno.EIO, "error")],
)
def test_a_disk_that_does_not_take_it_is_told_and_harms_nothing(keeper, project, monkeypatch, number, words):
    def refuse(fd: int) -> None:
        raise OSError(number, os.strerror(number))

    source = write(project / "a.csv")
    monkeypatch.setattr("os.fsync", refuse)
    assert words in reason_of(keeper, "table", source)
    assert not list((keeper.folder / "kept").iterdir())


def test_a_name_that_is_no_text_is_kept_under_an_escaped_one(keeper, project):
    names = {
        b"caf\xe9.csv": "caf\\xe9.csv",
        b'a\nb"c.csv': 'a\\nb"c.csv',
        "ü\u202e.csv".encode(): "ü\\u202e.csv",
    }
    for name, shown in names.items():
        path = write(project / os.fsdecode(name))
        assert kept_of(keeper, "final", path).name == kept_of(keeper, "path", value=path).name == shown
    for name in names:
        write(project / "parts" / os.fsdecode(name))
    kept = kept_of(keeper, "final", project / "parts")
    with zipfile.ZipFile(kept.path) as archive:
        assert "caf\\xe9.csv" in archive.namelist()


def test_a_very_long_name_keeps_its_suffix(keeper, project):
    kept = kept_of(keeper, "final", write(project / f"{'ü' * 120}.parquet"))
    assert kept.name == f"{'ü' * 120}.parquet"
    staged = keeper.stage(write(project / "a.csv"), f"{'x' * 400}.xlsx")
    assert len(staged.name) == keep.MAX_NAME and staged.name.endswith("x.xlsx")


def test_the_deck_that_a_node_wrote_itself_is_kept(run_body):
    body = """
from pathlib import Path
Path("data/deck.pptx").write_bytes(b"slides")
return "data/deck.pptx"
"""
    saved = run_body(body).one(wire.DatasetSaved)
    assert saved.kept and saved.kept.name == "deck.pptx" and Path(saved.kept.path).read_bytes() == b"slides"


def test_a_node_may_return_a_folder_or_several_files_and_hears_what_is_not_kept(run_body):
    body = """
from pathlib import Path
for name in ("one.bin", "two"):
    Path("data/many").mkdir(exist_ok=True)
    Path("data/many", name).write_text(name)
return [Path("data/many/one.bin"), Path("data/many"), Path("conf/base/parameters.yml")]
"""
    talk = run_body(body)
    assert talk.one(wire.DatasetSaved).kept.name == "one.bin"
    more = talk.one(wire.FileKept)
    assert (more.kept.name, more.dataset) == ("many.zip", "result")
    unkept = talk.one(wire.FileUnkept)
    assert (unkept.name, unkept.dataset) == ("parameters.yml", "result") and "conf/" in unkept.reason
