from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from demo.addresses import dataset_name, in_project
from demo.pipelines.reporting.files import whole_file, write_csv_and_zip
from demo_api import datasets

from tests.demo.conftest import PROJECT
from tests.demo.frames import processed

URL = "http://127.0.0.1:8010/datasets/airports?page_size=100"


def test_the_csv_holds_the_rows_and_the_zip_holds_the_csv(tmp_path: Path) -> None:
    csv_file, zip_file = write_csv_and_zip(processed("airports"), URL, str(tmp_path))
    assert (csv_file, zip_file) == (f"{tmp_path}/airports.csv", f"{tmp_path}/airports.zip")
    content = Path(csv_file).read_bytes()
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [row["iata"] for row in rows] == [row["iata"] for row in datasets.rows("airports")]
    with zipfile.ZipFile(zip_file) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {"airports.csv": content}


def test_the_same_rows_give_the_same_zip_byte_for_byte(tmp_path: Path) -> None:
    digests = {
        hashlib.sha256(
            Path(write_csv_and_zip(processed("cars"), URL, str(tmp_path / place))[1]).read_bytes()
        ).hexdigest()
        for place in ("first", "second")
    }
    assert len(digests) == 1


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "report.csv"
    target.write_text("old")
    with pytest.raises(OSError, match="disk full"), whole_file(str(target)) as unfinished:
        unfinished.write_text("half")
        raise OSError("disk full")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_relative_paths_are_counted_from_the_project_whatever_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert in_project("data/x.csv") == PROJECT / "data" / "x.csv"
    assert in_project(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (URL, "airports"),
        ("http://host/datasets/us-employment/", "us-employment"),
        ("http://host", "data"),
        ("http://host/a/..%2f..%2fetc%2fpasswd", "passwd"),
        ("http://host/päth with space.json", "p-th-with-space-json"),
    ],
)
def test_the_files_are_named_after_the_data_set(url: str, name: str) -> None:
    assert dataset_name(url) == name
