"""Workbooks as other programs write them, and as nobody honest does."""

from __future__ import annotations

import io

import pytest

from console.files import workbooks
from console.files.previews import Preview, preview
from jobs.models import Artifact
from tests.console.files.workbook import MAIN, OFFICE, a_workbook
from tests.factories import AT

ROWS = """
<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" t="inlineStr"><is><r><t>in</t></r><r><t>line</t></r></is></c>
<c r="D2" t="str"><f>A1&amp;"x"</f><v>made</v></c></row>
<row r="3"><c r="A3" t="s"><v>1</v></c><c r="B3"><v>0.1</v></c><c r="C3" s="1"><v>46024.127835648</v></c>
<c r="D3" s="1"><v>46023</v></c><c r="E3" t="b"><v>1</v></c><c r="F3" t="e"><v>#DIV/0!</v></c></row>
<row><c><v>7</v></c><c s="2"><v>0.5</v></c><c s="3"><v>1.25</v></c><c s="4"><v>5</v></c><c s="1"><v>1</v></c></row>
"""


def shown(data: bytes, sheet: int = -1, name: str = "a.xlsx", **facts: object) -> Preview:
    artifact = Artifact(name=name, media_type="x/y", size_bytes=len(data), created_at=AT, **facts)
    return preview(artifact, lambda _: io.BytesIO(data), sheet=sheet)


def test_cells_are_shown_as_excel_means_them() -> None:
    table = shown(a_workbook(ROWS), rows=2, columns=6)
    assert [column.name for column in table.columns] == ["Größe <b>", "inline", "", "made", "", ""]
    assert table.rows == [
        ["rich text", "0.1", "2026-01-02 03:04:05", "2026-01-01", "true", "#DIV/0!"],
        ["7", "12:00:00", "1.25", "5", "1900-01-01", ""],
    ]
    assert (table.sheets, table.shown, table.sentence) == (["Sheet 1"], 0, "All 2 rows.")


def test_dates_may_count_from_1904() -> None:
    sheets = '<workbookPr date1904="1"/><sheets><sheet name="a" r:id="r1"/></sheets>'
    book = f'<workbook xmlns:r="{OFFICE}">{sheets}</workbook>'
    data = a_workbook('<row><c t="s"><v>0</v></c></row><row><c s="1"><v>1</v></c></row>', **{"xl/workbook.xml": book})
    assert shown(data).rows == [["1904-01-02"]]


def test_any_sheet_can_be_looked_at_and_what_is_known_of_all_is_not_said_of_one() -> None:
    data = a_workbook(*(f"<row><c><v>{n}</v></c></row><row><c><v>1{n}</v></c></row>" for n in range(3)))
    assert [shown(data, sheet).rows for sheet in (-1, 0, 2, 99)] == [[["10"]], [["10"]], [["12"]], [["10"]]]
    table = shown(data, 1, rows=5_000)
    assert (table.sheets, table.shown, table.sentence) == (["Sheet 1", "Sheet 2", "Sheet 3"], 1, "The only row.")


def test_a_hidden_sheet_is_not_the_first_to_be_seen() -> None:
    sheets = '<sheet name="a" state="hidden" r:id="r1"/><sheet name="b" r:id="r2"/>'
    book = f'<workbook xmlns:r="{OFFICE}"><sheets>{sheets}</sheets></workbook>'
    one = "<row><c><v>1</v></c></row><row><c><v>2</v></c></row>"
    data = a_workbook(one, one.replace("2", "3"), **{"xl/workbook.xml": book})
    assert shown(data).rows == [["3"]] and "Hidden in Excel: a." in shown(data).sentence
    assert shown(data, 0).rows == [["2"]]


def test_a_long_sheet_shows_its_beginning() -> None:
    rows = "".join(f"<row><c><v>{n}</v></c></row>" for n in range(5_000))
    table = shown(a_workbook(rows), rows=4_999)
    assert len(table.rows) == 200 and table.sentence == "The first 200 of 4,999 rows."


def test_an_empty_sheet_says_so() -> None:
    assert shown(a_workbook("")).sentence == "This sheet is empty."


def test_names_of_elements_may_have_a_prefix() -> None:
    sheet = (
        f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row><x:c><x:v>1</x:v></x:c></x:row></x:sheetData></x:worksheet>'
    )
    data = a_workbook("", **{"xl/worksheets/sheet1.xml": sheet})
    assert [column.name for column in shown(data).columns] == ["1"]


BOMB = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><worksheet><sheetData>&b;</sheetData></worksheet>'


@pytest.mark.parametrize(
    "data",
    [
        b"", b"no zip", a_workbook(), a_workbook("<row><c r=\"?\"><v>1</v></c></row>"), a_workbook("<row>"),
        a_workbook("<row><c t=\"s\"><v>x</v></c></row>"), a_workbook("<row><c><v>x</v></c></row>"),
        a_workbook("", **{"xl/worksheets/sheet1.xml": BOMB}), a_workbook("x")[:-30],
        a_workbook("", **{"_rels/.rels": "<"}),
        a_workbook('<row><c s="1"><v>1e300</v></c></row>'), a_workbook('<row r="-5"><c r="A1"><v>1</v></c></row>'),
        a_workbook("<row><c><v>nan</v></c></row>"),
    ],
)  # fmt: skip
def test_what_is_no_workbook_is_shown_somehow(data: bytes) -> None:
    assert shown(data).kind in ("none", "table")


def test_entities_and_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "entities" in shown(a_workbook("", **{"xl/worksheets/sheet1.xml": BOMB})).sentence
    monkeypatch.setattr(workbooks, "PART_BYTES", 100_000)
    assert "too large when unpacked" in shown(a_workbook("<row>" + " " * 1_000_000 + "</row>")).sentence
