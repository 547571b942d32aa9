"""A table in text or in a workbook as rows of plain CSV, written to a file that the engine then reads."""

from __future__ import annotations

import codecs
import csv
import io
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, Final

from console.files import delimited, workbooks
from console.files.tables.wishes import TableError
from console.files.texts import decoded

MB: Final = 1_000_000
TEXT_BYTES: Final = 250 * MB
WORKBOOK_BYTES: Final = 60 * MB
SHEET_BYTES: Final = 400 * MB
MOST_COLUMNS: Final = 500
CELL: Final = 2_000  # characters
SAMPLE: Final = 100_000

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


@dataclass(frozen=True)
class Written:
    """What was written: the names of its columns, and what was guessed; `delimiter` is what it has now."""

    names: list[str]
    note: str = ""
    is_regular: bool = False
    """Each row has a cell for each name, all in quotes."""
    delimiter: str = ","
    skipped: int = 0
    """Characters before the first row."""
    sheets: tuple[str, ...] = ()
    shown: int = 0


def of_text(read: IO[bytes], size: int, target: IO[bytes], *, is_tabbed: bool) -> Written:
    """As UTF-8, otherwise as it was; TableError when it is too large or no table."""
    if size > TEXT_BYTES:
        raise TableError(f"Tables of text are searched and sorted up to {TEXT_BYTES // MB} MB; download it.")
    note = _as_utf8(read.read(), target)
    target.seek(0)
    head = io.TextIOWrapper(io.BytesIO(target.read(4 * SAMPLE)), "utf-8", "replace", newline="").read(SAMPLE)
    delimiter, skipped = delimited.dialect(head, is_tabbed=is_tabbed)
    target.seek(0)
    first = next(_rows(target, delimiter, skipped), [])
    if not first:
        raise TableError("The file is empty.")
    return Written(unique(first[:MOST_COLUMNS]), note, delimiter=delimiter, skipped=skipped)


def _as_utf8(data: bytes, target: IO[bytes]) -> str:
    if not data.startswith(codecs.BOM_UTF8) and b"\x00" not in data and _is_utf8(data):
        target.write(data)
        target.flush()
        return ""
    text = decoded(data)
    del data
    for place in range(0, len(text.text), SAMPLE):
        target.write(text.text[place : place + SAMPLE].encode("utf-8", "replace"))
    target.flush()
    return text.note


def _is_utf8(data: bytes) -> bool:
    reader = codecs.getincrementaldecoder("utf-8")()
    try:
        for place in range(0, len(data), 8 * MB):
            reader.decode(data[place : place + 8 * MB])
        reader.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def again(source: IO[bytes], target: IO[bytes], written: Written) -> None:
    """The same rows, each with as many cells as there are names, all in quotes."""
    source.seek(0)
    rows = _rows(source, written.delimiter, written.skipped)
    _write(rows, target, len(written.names))


def _rows(source: IO[bytes], delimiter: str, skipped: int) -> Iterator[list[str]]:
    """Those that are not empty."""
    lines = io.TextIOWrapper(io.FileIO(os.dup(source.fileno())), "utf-8", "replace", newline="")
    with lines:
        lines.read(skipped)
        try:
            yield from (row for row in csv.reader(lines, delimiter=delimiter) if row)
        except csv.Error as error:
            raise TableError(f"This table cannot be read ({error}).") from error


def of_workbook(read: IO[bytes], size: int, target: IO[bytes], *, sheet: int) -> Written:
    """One sheet of it as CSV; the first row has the names."""
    if size > WORKBOOK_BYTES:
        raise TableError(f"Workbooks are shown up to {WORKBOOK_BYTES // MB} MB; download it.")
    try:
        with workbooks.opened(read) as book:
            number = book.number(sheet)
            rows = book.rows(number, columns=MOST_COLUMNS, most_bytes=SHEET_BYTES)
            head = list(islice(rows, 500))
            width = max(map(len, head), default=0)
            names = unique((head[0] + [""] * width)[:width] if head else [])
            _write(chain(head, rows), target, width)
            return Written(names, is_regular=True, sheets=tuple(each.name for each in book.sheets), shown=number)
    except workbooks.WorkbookError as error:
        raise TableError(str(error)) from error


def _write(rows: Iterable[list[str]], target: IO[bytes], width: int) -> None:
    with io.TextIOWrapper(io.FileIO(os.dup(target.fileno()), "wb"), "utf-8", "replace", newline="") as text:
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        blank = [""] * width
        for row in rows:
            cells = row if len(row) == width else (row + blank)[:width]
            writer.writerow([cell[:CELL].replace("\x00", "�") for cell in cells])


def unique(names: list[str]) -> list[str]:
    """Each name once: a second `price` is `price (2)`, one without a name `column 3`."""
    found: dict[str, None] = {}
    for place, name in enumerate(names, 1):
        plain = name.strip()[:300] or f"column {place}"
        word, number = plain, 1
        while word in found:
            number += 1
            word = f"{plain} ({number})"
        found[word] = None
    return list(found)
