"""Tables in a process of their own: windows, orders and conditions over all rows, and files that mean harm."""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import connection

from console.files import workbooks
from console.files.tables import readers
from console.files.tables.asked import description, wish
from console.files.tables.readers import READERS, rows_of
from console.files.tables.wishes import Condition, TableError, Wish, condition
from jobs.errors import PlatformError
from jobs.interpreters.artifacts import key_of, store
from jobs.models import Artifact
from tests.console.files.workbook import a_workbook
from tests.live import until
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> Iterator[None]:
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {
        **settings.STORAGES,
        "artifacts": {"BACKEND": backend, "OPTIONS": {"location": tmp_path / "store"}},
    }
    yield
    READERS.close()


def a_parquet(columns: dict[str, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, **options)
    return buffer.getvalue()


def a_table(name: str, data: bytes) -> Artifact:
    return an_artifact(ended(), name, data)


def first_cells(row: Artifact, asked: Wish, sheet: int = -1) -> list[str | None]:
    return [cells[0] for cells in rows_of(row, asked, sheet=sheet)["rows"]]


CARS = {"name": ["ann", "bob", None, "dan"], "hp": [9, None, 100, 20], "made": ["2024-01-02", "2023-01-01", "", "x"]}


def test_a_parquet_file_is_read_in_windows_and_knows_its_types() -> None:
    row = a_table("a.parquet", a_parquet({"n": list(range(50_000)), "half": [n / 2 for n in range(50_000)]}))
    told = rows_of(row, wish(49_990, 100))
    assert [cells[0] for cells in told["rows"]] == [str(n) for n in range(49_990, 50_000)]
    assert (told["total"], told["found"]) == (50_000, 50_000)
    assert [(each["name"], each["kind"]) for each in told["columns"]] == [("n", "whole number"), ("half", "number")]


def test_order_and_conditions_hold_over_all_rows() -> None:
    row = a_table("a.parquet", a_parquet({"n": list(range(30_000)), "word": [f"w{n % 7}" for n in range(30_000)]}))
    assert first_cells(row, wish(0, 3, sort="-n")) == ["29999", "29998", "29997"]
    chosen = rows_of(row, wish(0, 2, sort="-n", where=["word:is:w3", "n:below:100"]))
    assert (chosen["found"], [cells[0] for cells in chosen["rows"]]) == (14, ["94", "87"])
    assert rows_of(row, wish(0, 1, find="W6"))["found"] == sum(n % 7 == 6 for n in range(30_000))
    assert first_cells(row, wish(9_999, 5, sort="n")) == ["9999"], "an order can be gone through for 10,000 rows"


def test_columns_are_described_over_all_rows() -> None:
    row = a_table("a.parquet", a_parquet({"n": [3, None, 1, 2], "list": [[1], None, [2], []]}))
    told = rows_of(row, description())["columns"]
    assert told[0] == {"name": "n", "kind": "whole number", "empty_share": 0.25, "least": "1", "most": "3"}
    assert (told[1]["kind"], told[1]["least"]) == ("list", None)


def test_a_csv_keeps_its_texts_and_is_ordered_by_what_they_mean() -> None:
    row = a_table("a.csv", b"code;hp;made\n007;9;2024-01-02\n08;;2023-01-01\n1;10;\n")
    told = rows_of(row, description())["columns"]
    assert [each["kind"] for each in told] == ["whole number", "whole number", "date"]
    assert [each["empty_share"] for each in told] == [0, 0.333333, 0.333333]
    assert first_cells(row, wish(0, 9, sort="hp")) == ["007", "1", "08"], "as numbers, the empty one last"
    assert first_cells(row, wish(0, 9, where=["made:at_least:2023-06-01"])) == ["007"]
    assert first_cells(row, wish(0, 9, where=["hp:empty"])) == ["08"]


@pytest.mark.parametrize(
    ("name", "data", "rows"),
    [
        ("ragged.csv", b'a,b\n1,2,3\n\n4\n"x ""y""",z\n', [["1", "2"], ["4", None], ['x "y"', "z"]]),
        ("hint.csv", b"sep=;\na;b\n1,5;2\n", [["1,5", "2"]]),
        ("one.csv", b"only\n1\n\n2\n", [["1"], ["2"]]),
        ("wide.csv", "ä\tb\n1\t2\n".encode("utf-16"), [["1", "2"]]),
        ("lines.csv", b'a,b\n"1\n2",3\n', [["1\n2", "3"]]),
        ("twice.csv", b"a,a,\n1,2,3\n", [["1", "2", "3"]]),
        ("a.tsv", b"a\tb\n1,5\t2\n", [["1,5", "2"]]),
        ("names.csv", b"a,b\n", []),
    ],
)
def test_tables_as_people_write_them(name: str, data: bytes, rows: list[list[str | None]]) -> None:
    told = rows_of(a_table(name, data), wish(0, 100))
    assert [[cell or None for cell in cells] for cells in told["rows"]] == rows
    assert len({each["name"] for each in told["columns"]}) == len(told["columns"])


def test_a_column_is_what_all_of_its_rows_are_not_its_first_ones() -> None:
    lines = "".join(f"{n},{n},true\n" for n in range(5_000))
    row = a_table("a.csv", f"n,late,flag\n{lines}1.5,word,\n".encode())
    assert [each["kind"] for each in rows_of(row, wish(0, 1))["columns"]] == ["number", "text", "true or false"]


def test_a_sheet_is_read_to_its_end() -> None:
    rows = "".join(
        f'<row r="{n}"><c r="A{n}"><v>{n}</v></c><c r="B{n}" t="s"><v>0</v></c></row>' for n in range(2, 3_002)
    )
    head = '<row r="1"><c r="A1" t="str"><v>n</v></c><c r="B1" t="str"><v>word</v></c></row>'
    row = a_table("a.xlsx", a_workbook(head + rows, "<row><c><v>7</v></c></row>"))
    told = rows_of(row, wish(0, 2, sort="-n"), sheet=0)
    assert (told["total"], told["rows"][0], told["sheets"]) == (3_000, ["3001", "Größe <b>"], ["Sheet 1", "Sheet 2"])
    assert rows_of(row, wish(0, 2), sheet=1)["total"] == 0


def test_names_and_values_are_never_statements() -> None:
    evil = 'a"; DROP TABLE x; --'
    row = a_table("a.parquet", a_parquet({evil: ["1", "2"], "b'c": ["x", "y"], "p:above:1": [1, 2]}))
    assert first_cells(row, wish(0, 9, sort=f"-{evil}")) == ["2", "1"]
    assert first_cells(row, Wish(where=(Condition("b'c", "is", "x' OR '1'='1"),))) == []
    assert first_cells(row, wish(0, 9, where=["p:above:1:above:1"])) == ["2"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"sort": "nope"}, "no column nope"),
        ({"where": ["n:above:many"]}, "“many” is no whole number"),
        ({"where": ["n:like:1"]}, "column:operator:value"),
        ({"where": ["n:is:1"] * 9}, "At most 8"),
        ({"first": 10_000, "sort": "n"}, "first 10,000"),
        ({"limit": 501}, "1 to 500 rows"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(asked: dict[str, Any], words: str) -> None:
    row = a_table("a.parquet", a_parquet({"n": [1, 2]}))
    with pytest.raises(TableError, match=words):
        rows_of(row, wish(asked.pop("first", 0), asked.pop("limit", 10), **asked))
    assert first_cells(row, wish(0, 1)) == ["1"], "the next wish is answered"


BROKEN = {
    "cut.parquet": a_parquet({"n": list(range(9_000))})[:-30],
    "noise.parquet": b"x" * 9_000,
    "liar.parquet": b"PAR1\xff\xff\xff\x7fPAR1",
    "empty.parquet": b"",
    "empty.csv": b"",
    "noise.xlsx": b"PK" * 900,
    "fat.parquet": a_parquet({"x": ["x" * 60_000_000] * 30}, compression="zstd"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_broken_or_means_harm_ends_in_a_sentence(name: str) -> None:
    with pytest.raises(TableError, match=r"ownload|is empty"):
        rows_of(a_table(name, BROKEN[name]), wish(0, 100))


def test_a_workbook_that_would_burst_is_read_no_further() -> None:
    data = a_workbook('<row><c t="str"><v>' + "x" * 1_000_000 + "</v></c></row>")
    with (
        pytest.raises(workbooks.WorkbookError, match="too large when unpacked"),
        workbooks.opened(io.BytesIO(data)) as book,
    ):
        list(book.rows(0, columns=5, most_bytes=500_000))


def test_a_wish_that_takes_too_long_is_given_up_and_the_process_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    row = a_table("a.parquet", a_parquet({"n": [1]}))
    rows_of(row, wish(0, 1))
    (reader,) = READERS._readers.values()
    assert reader._process
    os.kill(reader._process.pid, 19)  # it stands still
    monkeypatch.setattr(readers, "SECONDS", 0.3)
    with pytest.raises(TableError, match="took too long"):
        rows_of(row, wish(0, 1, sort="n"))
    assert not reader.is_alive and not READERS._readers
    monkeypatch.undo()
    assert first_cells(row, wish(0, 1)) == ["1"], "another takes its place"


def test_one_that_was_killed_is_started_again_unseen() -> None:
    row = a_table("a.parquet", a_parquet({"n": [1]}))
    rows_of(row, wish(0, 1))
    (reader,) = READERS._readers.values()
    assert reader._process
    reader._process.kill()
    until(lambda: not reader.is_alive)
    assert first_cells(row, wish(0, 1)) == ["1"]


def test_few_processes_stay() -> None:
    for number in range(readers.KEPT + 1):
        rows_of(a_table("a.parquet", a_parquet({"n": [number]})), wish(0, 1))
    assert len(READERS._readers) == readers.KEPT


@pytest.mark.django_db(transaction=True)
def test_a_store_that_hangs_over_one_table_holds_up_no_other() -> None:
    hanging = [a_table(f"{name}.parquet", name.encode()) for name in ("one", "two", "three")]
    for row in hanging:
        lying = Path(store().path(key_of(row.sha256)))
        lying.unlink()
        os.mkfifo(lying)  # who opens it waits until somebody writes
    other = a_table("a.parquet", a_parquet({"n": [1]}))
    with ThreadPoolExecutor(len(hanging)) as pool:
        asked = [pool.submit(sentence_of, row) for row in hanging]
        until(lambda: sum(reader.lock.locked() for reader in READERS._readers.values()) == len(hanging))
        try:
            begun = time.monotonic()
            assert first_cells(other, wish(0, 1)) == ["1"]
            assert time.monotonic() - begun < readers.PATIENCE, "it did not wait for its turn"
            assert not any(each.done() for each in asked)
        finally:
            for row in hanging:
                Path(store().path(key_of(row.sha256))).open("wb").close()
    assert all(each.result() for each in asked)


def sentence_of(row: Artifact) -> str:
    """Why it cannot be shown."""
    try:
        rows_of(row, wish(0, 1))
    except (TableError, PlatformError) as error:
        return str(error)
    finally:
        connection.close()
    return ""


def test_the_process_hears_no_secret_and_has_no_open_door() -> None:
    row = a_table("a.parquet", a_parquet({"n": [1]}))
    rows_of(row, wish(0, 1))
    (reader,) = READERS._readers.values()
    assert reader._process
    place = Path(f"/proc/{reader._process.pid}")
    environment = (place / "environ").read_bytes().decode().split("\0")
    assert {each.partition("=")[0] for each in environment if each} <= {"PATH", "LANG", "LC_CTYPE"}
    limits = (place / "limits").read_text()
    assert "Max core file size        0" in limits and "Max open files            64" in limits


def test_a_condition_is_read_from_its_end() -> None:
    assert condition("a:b:is:x:y") == Condition("a:b", "is", "x:y")
    assert condition("a:empty") == Condition("a", "empty")
    assert Wish.from_json(wish(0, 5, where=["a:is:1"]).to_json()) == wish(0, 5, where=["a:is:1"])


def test_what_is_in_a_zip_is_no_table_to_scroll() -> None:
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    with pytest.raises(TableError, match="no table"):
        rows_of(a_table("a.zip", buffer.getvalue()), wish(0, 1))
