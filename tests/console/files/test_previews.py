from __future__ import annotations

import io
import zipfile
from typing import IO

import pytest

from console.files.previews import COLUMNS, ENTRIES, ROWS, TEXT_BYTES, Preview, preview
from console.files.zips import stream
from jobs.models import Artifact
from tests.factories import AT


def an_artifact(name: str, data: bytes = b"", **facts: object) -> Artifact:
    given = {"media_type": "application/octet-stream", "size_bytes": len(data), "created_at": AT, **facts}
    return Artifact(name=name, **given)


def shown(name: str, data: bytes, **facts: object) -> Preview:
    return preview(an_artifact(name, data, **facts), lambda artifact: io.BytesIO(data))


def a_zip(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_csv_is_a_table_with_types_and_shares_of_empty_cells() -> None:
    data = b"name,count,share,day,ok\nann,1,0.5,2026-01-01,true\nbob,,1e3,2026-01-02,false\n"
    table = shown("a.csv", data)
    assert [column.kind for column in table.columns] == ["text", "whole number", "number", "date", "true or false"]
    assert [column.empty_percent for column in table.columns] == [0, 50, 0, 0, 0]
    assert table.rows[1] == ["bob", "", "1e3", "2026-01-02", "false"]
    assert table.sentence == "All 2 rows."


def test_a_long_csv_shows_its_first_rows_and_says_of_how_many() -> None:
    data = b"n\n" + b"".join(b"%d\n" % n for n in range(5_000))
    table = shown("a.csv", data, rows=5_000)
    assert len(table.rows) == ROWS
    assert table.sentence == "The first 200 of 5,000 rows."


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_usual_delimiters_are_seen(delimiter: str) -> None:
    assert shown("a.csv", f"a{delimiter}b\n1{delimiter}2\n".encode()).rows == [["1", "2"]]


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe\x00a,b\n",
        b"a,b\n\x00\xff\xfe,2\n",
        b'a,b\n"never closed,' + b"x" * 300_000,
        b"a" * 3_000_000,
        b"," * 100_000 + b"\n" + b"," * 100_000,
        b'"a\r\nb",c\r"d"',
        b"a,b\n1\n1,2,3,4\n",
        b"\n\n\n",
    ],
)
def test_a_hostile_csv_is_shown_somehow_and_small(data: bytes) -> None:
    seen = shown("a.csv", data)
    assert seen.kind in ("table", "text", "none")
    assert len(seen.columns) <= COLUMNS
    assert sum(len(cell) for row in seen.rows for cell in row) < 5_000_000
    assert all(len(row) == len(seen.columns) for row in seen.rows)


@pytest.mark.parametrize(
    ("data", "rows", "note"),
    [
        ("Name;Größe;Preis €\r\nMüller;1,5;3 €\r\n".encode("cp1252"), [["Müller", "1,5", "3 €"]], "decoded as cp1252"),
        ("\ufeffname,größe\nä,1\n".encode(), [["ä", "1"]], ""),
        ("name\tgröße\nä\t1\n".encode("utf-16"), [["ä", "1"]], "Decoded as UTF-16"),
        ("name\tgröße\nä\t1\n".encode("utf-16-be"), [["ä", "1"]], "no byte order mark"),
        ("name,größe\nä,1\n".encode("utf-32"), [["ä", "1"]], "Decoded as UTF-32"),
        ("größe,länge,höhe\n".encode() + b"\xff,2,3\n", [["�", "2", "3"]], "1 places in it are not"),
    ],
)
def test_a_csv_is_read_in_its_encoding_and_says_so_when_it_is_not_utf_8(data: bytes, rows: object, note: str) -> None:
    table = shown("a.csv", data)
    assert table.rows == rows and note in table.sentence
    assert note or table.sentence == "The only row."


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ('a;"b, c, d"\n1,5;2\n3,5;4\n', ["a", "b, c, d"], [["1,5", "2"], ["3,5", "4"]]),
        ('a,b\n"x\ny;z;z",2\n', ["a", "b"], [["x\ny;z;z", "2"]]),
        ('"a\nb",c\n1,2\n', ["a\nb", "c"], [["1", "2"]]),
        ("sep=|\r\na,b|c\r\n1|2\r\n", ["a,b", "c"], [["1", "2"]]),
        ("a\nx, y and z\nw\n", ["a"], [["x, y and z"], ["w"]]),
        ("a|b|c\n1,2|3|4\n", ["a", "b", "c"], [["1,2", "3", "4"]]),
    ],
)
def test_cells_are_divided_as_most_rows_say(text: str, names: list[str], rows: list[list[str]]) -> None:
    table = shown("a.csv", text.encode())
    assert [column.name for column in table.columns] == names
    assert table.rows == rows


def test_a_tsv_is_divided_by_tabs_alone() -> None:
    assert shown("a.tsv", b"a, b, c\td\n1,5,7\t2\n").rows == [["1,5,7", "2"]]


def test_a_row_that_was_cut_is_not_shown() -> None:
    rows = b"".join(b'"' + letter * 100_000 + b'",1\n' for letter in (b"a", b"b", b"c")) * 10
    table = shown("a.csv", b"x,y\n" + rows)
    assert table.kind == "table" and {row[1] for row in table.rows} == {"1"}


def test_underscores_make_no_number() -> None:
    assert shown("a.csv", b"a\n1_000\n").columns[0].kind == "text"


def test_an_empty_csv_says_so() -> None:
    assert shown("a.csv", b"") == Preview("none", "The file is empty.")


def test_halves_of_characters_in_json_are_named() -> None:
    text = shown("a.json", b'{"a": "x\\ud800y", "\\udc00": 1}').text
    assert "x\\ud800y" in text and text.encode()


def test_json_that_would_lose_something_stands_as_it_is() -> None:
    assert shown("a.json", b'{"a": 1, "a": 2}').text == '{"a": 1, "a": 2}'


def test_a_zip_is_listed_and_never_unpacked() -> None:
    listing = shown("a.zip", a_zip(**{"in/cars.csv": b"x" * 1_000, "../../etc/passwd": b"evil"}))
    lines = [(line.name, line.folder, line.files, line.size_bytes) for line in listing.lines]
    assert lines == [("..", "../", 1, 4), ("in", "in/", 1, 1_000)]


def test_a_folder_of_a_zip_has_its_files_and_folders() -> None:
    data = a_zip(**{"a/b/two.csv": b"xy", "a/one.csv": b"x", "top.txt": b""})
    inside = preview(an_artifact("a.zip"), lambda _: io.BytesIO(data), folder="a/")
    assert [(line.name, line.folder, line.number) for line in inside.lines] == [("b", "a/b/", -1), ("one.csv", "", 1)]
    assert preview(an_artifact("a.zip"), lambda _: io.BytesIO(data), folder="nope/").folder == ""


def test_a_zip_that_would_burst_is_listed_with_a_warning() -> None:
    listing = shown("a.zip", a_zip(zeros=b"\x00" * 200_000_000))
    assert listing.kind == "archive"
    assert "it unpacks to 0.2 GB" in listing.sentence


def test_a_zip_of_very_many_files_shows_the_first_of_them() -> None:
    listing = shown("a.zip", a_zip(**{f"file-{n}": b"" for n in range(ENTRIES + 1)}))
    assert len(listing.lines) == ENTRIES
    assert listing.sentence.startswith(f"The first {ENTRIES:,} of {ENTRIES + 1:,}")


def test_a_list_of_contents_that_is_too_long_is_not_read() -> None:
    long_names = {f"{'n' * 60_000}{number}": b"" for number in range(140)}
    assert "too long" in shown("a.zip", a_zip(**long_names)).sentence


BROKEN = {
    "empty": b"",
    "short": b"PK",
    "end": b"PK\x05\x06" + b"\xff" * 18,
    "cut": a_zip(a=b"1")[:-10],
    "noise": b"x" * 70_000,
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_broken_zip_says_so(data: bytes) -> None:
    assert "cannot be read as a zip file" in shown("a.zip", data).sentence


def test_json_is_made_readable_and_broken_json_is_shown_as_it_stands() -> None:
    assert shown("a.json", b'{"a":[1,2]}').text == '{\n  "a": [\n    1,\n    2\n  ]\n}'
    assert shown("a.json", b"{nope").text == "{nope"
    assert "not valid JSON" in shown("a.json", b"[" * 100_000).sentence


def test_of_a_long_text_the_beginning_is_shown() -> None:
    seen = shown("a.txt", b"x" * (TEXT_BYTES + 5))
    assert len(seen.text) == TEXT_BYTES
    assert seen.sentence == "The first 200 kB."


@pytest.mark.parametrize(
    ("name", "kind"), [("a.pptx", "slides"), ("a.PNG", "picture"), ("a.html", "html"), ("a.md", "text")]
)
def test_each_type_has_its_preview(name: str, kind: str) -> None:
    assert shown(name, b"x").kind == kind


@pytest.mark.parametrize("name", ["a.xlsx", "a.pdf", "a.bin", "noname"])
def test_other_types_get_a_sentence(name: str) -> None:
    seen = shown(name, b"x")
    assert seen.kind == "none"
    assert "ownload it" in seen.sentence


def test_what_is_too_large_for_the_browser_is_left_to_the_download() -> None:
    assert "Larger than 60 MB" in shown("a.pptx", b"", size_bytes=61_000_000).sentence


class Counting(io.BytesIO):
    """A file that knows how much of it was read."""

    amount = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.amount += len(data)
        return data


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.json", "a.zip"])
def test_a_preview_reads_a_bounded_part(name: str) -> None:
    file = Counting(b"a,b\n" * 5_000_000)
    preview(an_artifact(name, size_bytes=20_000_000), lambda artifact: file)
    assert file.amount < 2_100_000


def test_many_files_become_one_zip_with_equal_names_told_apart() -> None:
    files = {"../cars.csv": b"1", "Cars.csv": b"2", "deck.pptx": b"x" * 600_000}
    contents = iter(files.values())

    def open_next(artifact: Artifact) -> IO[bytes]:
        return io.BytesIO(next(contents))

    parts = list(stream([an_artifact(name) for name in files], open_next))
    archive = zipfile.ZipFile(io.BytesIO(b"".join(parts)))
    assert archive.testzip() is None
    assert {name: archive.read(name) for name in archive.namelist()} == {
        "_cars.csv": b"1",
        "Cars.csv": b"2",
        "deck.pptx": files["deck.pptx"],
    }
    assert max(map(len, parts)) < 400_000


def test_files_of_one_name_are_all_in_the_zip() -> None:
    rows = [an_artifact("a.csv"), an_artifact("A.csv"), an_artifact("a.csv")]
    data = b"".join(stream(rows, lambda artifact: io.BytesIO(b"1")))
    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["a.csv", "A (2).csv", "a (3).csv"]
