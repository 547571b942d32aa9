"""The first rows of an Excel workbook, read with the standard library: bounded, no entities, nothing computed."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import dropwhile
from pathlib import PurePosixPath
from typing import IO, Any, Final
from xml.parsers import expat

CHUNK: Final = 64 * 1024
PART_BYTES: Final = 60_000_000
"""How much of one part of the workbook is unpacked at most."""
ELEMENTS: Final = 2_000_000
"""How many elements of one part are looked at at most, where nothing else is said: a second of work."""
SMALL_BYTES: Final = 5_000_000
STRING_CHARACTERS: Final = 2_000
SHEETS: Final = 200
TOO_LARGE: Final = "The workbook is too large when unpacked. Download it to see it."
MOST_ROWS: Final = 1_048_576
MOST_STRINGS: Final = 10_000_000
ALL_ELEMENTS: Final = 60_000_000
"""Of a part that is read to its end, by a process that is watched."""
DATE_FORMATS: Final = frozenset({*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)})
LITERAL: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
ELAPSED: Final = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
"""More than a day, in hours: no moment."""
EPOCH, EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)
LETTERS: Final = re.compile(r"([A-Z]{1,3})(\d{1,7})")


class WorkbookError(Exception):
    """Why the workbook cannot be shown, as a sentence."""


@dataclass(frozen=True)
class Sheet:
    name: str
    part: str
    is_hidden: bool = False


@dataclass(frozen=True)
class Workbook:
    """Its sheets, and the first rows of one of them."""

    sheets: list[Sheet]
    shown: int
    rows: list[list[str]]
    has_more: bool


@dataclass
class _Cell:
    kind: str = ""
    style: int = 0
    text: list[str] = field(default_factory=list)


def read(file: IO[bytes], *, sheet: int = -1, rows: int, columns: int) -> Workbook:
    """The sheets, and of sheet number `sheet` (else of the first that is not hidden) the first rows as text."""
    with opened(file) as book:
        number = book.number(sheet)
        cells, has_more = _cells(book.archive, book.sheets[number].part, rows, columns)
        return Workbook(book.sheets, number, _as_text(book.archive, cells, book.is_1904), has_more)


@dataclass(frozen=True)
class Book:
    """An open workbook."""

    archive: zipfile.ZipFile
    sheets: list[Sheet]
    is_1904: bool

    def number(self, sheet: int) -> int:
        """Of this sheet if there is one, else of the first that is not hidden."""
        first = next((place for place, each in enumerate(self.sheets) if not each.is_hidden), 0)
        return sheet if 0 <= sheet < len(self.sheets) else first

    def rows(self, number: int, *, columns: int, most_bytes: int) -> Iterator[list[str]]:
        """All rows of a sheet as text from the first that is not empty, one after the other."""
        epoch = EPOCH_1904 if self.is_1904 else EPOCH
        strings = _strings(self.archive, None, most_bytes)
        reader = _RowsReader(strings, _dated_styles(self.archive), epoch, columns)
        is_begun = False
        for _ in _feed(self.archive, self.sheets[number].part, reader, most_bytes, ALL_ELEMENTS):
            for row in reader.taken():
                is_begun = is_begun or any(row)
                if is_begun:
                    yield row


@contextmanager
def opened(file: IO[bytes]) -> Iterator[Book]:
    """WorkbookError for what is found wrong with it, also later, while it is open."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield Book(archive, *_sheets(archive))
    except WorkbookError:
        raise
    except (zipfile.BadZipFile, expat.ExpatError, KeyError, ValueError, IndexError, OSError, EOFError,
            NotImplementedError, RuntimeError, OverflowError, zlib.error) as error:  # fmt: skip
        raise WorkbookError("This is not a workbook that can be read here. Download it to see it.") from error


# ---- parts


def _parse(archive: zipfile.ZipFile, part: str, reader: Any, most: int, elements: int = ELEMENTS) -> None:
    """Feed a part to this reader (`start`, `end`, `text`) until it is done or has had enough."""
    for _ in _feed(archive, part, reader, most, elements):
        pass


def _feed(archive: zipfile.ZipFile, part: str, reader: Any, most: int, elements: int) -> Iterator[None]:
    """The same, chunk by chunk."""
    count = 0

    def started(name: str, given: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > elements:
            raise WorkbookError(TOO_LARGE)
        reader.start(_bare(name), given)

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = started
    parser.EndElementHandler = lambda name: reader.end(_bare(name))
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    left = most
    with archive.open(part) as packed:
        while not reader.is_done:
            data = packed.read(CHUNK)
            left -= len(data)
            if left < 0:
                raise WorkbookError(TOO_LARGE)
            parser.Parse(data, not data)
            yield
            if not data:
                return


def _bare(name: str) -> str:
    return name.rpartition(":")[2]


def _refuse(*_: Any) -> None:
    raise WorkbookError("The workbook defines XML entities, which no ordinary workbook does; it is not shown.")


class _Reader:
    """Sees one part go by."""

    is_done = False

    def start(self, name: str, given: dict[str, str]) -> None: ...

    def end(self, name: str) -> None: ...

    def text(self, data: str) -> None: ...


class _Starts(_Reader):
    """Calls this for every element that begins."""

    def __init__(self, call: Callable[[str, dict[str, str]], None]) -> None:
        self.start = call  # type: ignore[assignment,method-assign]


def _sheets(archive: zipfile.ZipFile) -> tuple[list[Sheet], bool]:
    place = _main_part(archive)
    targets = _relations(archive, place)
    sheets: list[Sheet] = []
    found_1904 = []

    def take(name: str, given: dict[str, str]) -> None:
        if name == "workbookPr":
            found_1904.append(given.get("date1904", "0") in ("1", "true"))
        if name == "sheet":
            key = next((value for title, value in given.items() if title.endswith(":id")), "")
            kind, target = targets.get(key, ("", ""))
            if kind == "worksheet" and len(sheets) < SHEETS:
                sheets.append(Sheet(given.get("name", "")[:100], target, given.get("state", "visible") != "visible"))

    _parse(archive, place, _Starts(take), SMALL_BYTES)
    if not sheets:
        raise WorkbookError("The workbook has no sheet with cells.")
    return sheets, any(found_1904)


def _main_part(archive: zipfile.ZipFile) -> str:
    known = _relations(archive, "")
    return next((target for kind, target in known.values() if kind == "officeDocument"), "xl/workbook.xml")


def _relations(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """Id → (kind, part) of what this part refers to."""
    place = PurePosixPath(part)
    found: dict[str, tuple[str, str]] = {}

    def take(name: str, given: dict[str, str]) -> None:
        if name == "Relationship" and given.get("TargetMode") != "External":
            target = given.get("Target", "")
            whole = target.lstrip("/") if target.startswith("/") else str(place.parent / target)
            found[given.get("Id", "")] = given.get("Type", "").rpartition("/")[2], _without_dots(whole)

    _parse(archive, str(place.parent / "_rels" / f"{place.name}.rels"), _Starts(take), SMALL_BYTES)
    return found


def _without_dots(path: str) -> str:
    parts: list[str] = []
    for each in path.split("/"):
        if each == "..":
            parts = parts[:-1]
        elif each not in ("", "."):
            parts.append(each)
    return "/".join(parts)


# ---- cells


class _SheetReader(_Reader):
    """The cells of the first rows, by row and column."""

    def __init__(self, rows: int, columns: int) -> None:
        self.cells: dict[tuple[int, int], _Cell] = {}
        self.has_more = False
        self._rows, self._columns = rows, columns
        self._row, self._column = -1, -1
        self._cell: _Cell | None = None
        self._inside = ""

    def start(self, name: str, given: dict[str, str]) -> None:
        if name == "row":
            self._row = int(given["r"]) - 1 if "r" in given else self._row + 1
            self._column = -1
        elif name == "c":
            self._column = _place(given["r"]) if "r" in given else self._column + 1
            if self._row >= self._rows:
                self.has_more = self.is_done = True
            elif self._column < self._columns:
                self._cell = _Cell(given.get("t", "n"), int(given.get("s", 0)))
        elif name in ("v", "t", "rPh", "f"):
            self._inside = name

    def end(self, name: str) -> None:
        if name in ("v", "t", "rPh", "f"):
            self._inside = ""
        elif name == "c" and self._cell is not None:
            if self._cell.text and not self.is_done:
                self.cells[self._row, self._column] = self._cell
            self._cell = None
        elif name == "sheetData":
            self.is_done = True

    def text(self, data: str) -> None:
        if self._cell is not None and self._inside in ("v", "t"):
            self._cell.text.append(data[:STRING_CHARACTERS])


def _place(reference: str) -> int:
    """`C7` is column 2."""
    found = LETTERS.fullmatch(reference)
    if not found:
        raise ValueError(reference)
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _cells(archive: zipfile.ZipFile, part: str, rows: int, columns: int) -> tuple[dict[tuple[int, int], _Cell], bool]:
    reader = _SheetReader(rows, columns)
    _parse(archive, part, reader, PART_BYTES, min(2 * ELEMENTS, ELEMENTS // 4 + 3 * rows * columns))
    return reader.cells, reader.has_more


class _RowsReader(_Reader):
    """The rows as they go by, as text; rows that are left out in the sheet are empty ones."""

    def __init__(self, strings: dict[int, str], dated: set[int], epoch: datetime, columns: int) -> None:
        self._strings, self._dated, self._epoch, self._columns = strings, dated, epoch, columns
        self._ready: list[list[str]] = []
        self._row: list[str] = []
        self._number, self._column = 0, -1
        self._cell: _Cell | None = None
        self._is_text = False

    def taken(self) -> list[list[str]]:
        ready, self._ready = self._ready, []
        return ready

    def start(self, name: str, given: dict[str, str]) -> None:
        if name == "c":
            self._column = _place(given["r"]) if "r" in given else self._column + 1
            if self._column < self._columns:
                self._cell = _Cell(given.get("t", "n"), int(given.get("s", 0)))
        elif name == "row":
            number = int(given.get("r", self._number + 1))
            if number > MOST_ROWS:
                raise WorkbookError("The sheet has more rows than a sheet can have.")
            self._ready += [[] for _ in range(number - self._number - 1)]
            self._number, self._column, self._row = max(number, self._number + 1), -1, []
        else:
            self._is_text = name in ("v", "t")

    def end(self, name: str) -> None:
        self._is_text = False
        if name == "c" and self._cell is not None:
            cell, self._cell = self._cell, None
            if cell.text:
                self._row += [""] * (self._column + 1 - len(self._row))
                self._row[self._column] = _words(
                    cell, self._strings, self._epoch if cell.style in self._dated else None
                )
        elif name == "row":
            self._ready.append(self._row)
            self._row = []
        elif name == "sheetData":
            self.is_done = True

    def text(self, data: str) -> None:
        if self._is_text and self._cell is not None:
            self._cell.text.append(data[:STRING_CHARACTERS])


class _StringsReader(_Reader):
    """The shared strings of these numbers; None for all."""

    def __init__(self, wanted: set[int] | None) -> None:
        self.found: dict[int, str] = {}
        self._wanted: Any = range(MOST_STRINGS) if wanted is None else wanted
        self._last = max(self._wanted, default=-1)
        self._number, self._inside, self._is_ruby = -1, False, False
        self._text: list[str] = []

    def start(self, name: str, given: dict[str, str]) -> None:
        if name == "si":
            self._number, self._text = self._number + 1, []
        self._inside = name == "t"
        self._is_ruby = self._is_ruby or name == "rPh"

    def end(self, name: str) -> None:
        self._inside = False
        if name == "rPh":
            self._is_ruby = False
        if name == "si":
            if self._number in self._wanted:
                self.found[self._number] = "".join(self._text)
            self.is_done = self._number >= self._last

    def text(self, data: str) -> None:
        if self._inside and not self._is_ruby and self._number in self._wanted:
            self._text.append(data[:STRING_CHARACTERS])


def _strings(archive: zipfile.ZipFile, wanted: set[int] | None, most: int = PART_BYTES) -> dict[int, str]:
    part = next((name for name in archive.namelist() if name.lower().endswith("sharedstrings.xml")), "")
    reader = _StringsReader(wanted)
    if part and wanted != set():
        _parse(archive, part, reader, most, ELEMENTS if most == PART_BYTES else ALL_ELEMENTS)
    return reader.found


def _dated_styles(archive: zipfile.ZipFile) -> set[int]:
    """The numbers of the cell styles that show a number as a date or time."""
    formats: dict[int, str] = {}
    styles: list[int] = []
    inside: list[str] = []

    def take(name: str, given: dict[str, str]) -> None:
        if name in ("cellStyleXfs", "cellXfs", "cellStyles", "dxfs"):
            inside.append(name)
        if name == "numFmt":
            formats[int(given["numFmtId"])] = given.get("formatCode", "")
        if name == "xf" and inside[-1:] == ["cellXfs"]:
            styles.append(int(given.get("numFmtId", 0)))

    part = next((name for name in archive.namelist() if name.lower().endswith("/styles.xml")), "")
    if part:
        _parse(archive, part, _Starts(take), SMALL_BYTES)
    return {number for number, each in enumerate(styles) if each in DATE_FORMATS or _is_dated(formats.get(each, ""))}


def _is_dated(code: str) -> bool:
    shown = code.partition(";")[0]
    return not ELAPSED.search(shown) and bool(re.search(r"[ymdhs]", LITERAL.sub("", shown), re.IGNORECASE))


def _as_text(archive: zipfile.ZipFile, cells: dict[tuple[int, int], _Cell], is_1904: bool) -> list[list[str]]:
    wanted = {int("".join(cell.text)) for cell in cells.values() if cell.kind == "s"}
    strings = _strings(archive, wanted)
    dated = _dated_styles(archive) if any(cell.style for cell in cells.values()) else set()
    epoch = EPOCH_1904 if is_1904 else EPOCH
    height = max((row for row, _ in cells), default=-1) + 1
    width = max((column for _, column in cells), default=-1) + 1
    table = [[""] * width for _ in range(height)]
    for (row, column), cell in cells.items():
        table[row][column] = _words(cell, strings, epoch if cell.style in dated else None)
    return list(dropwhile(lambda row: not any(row), table))


def _words(cell: _Cell, strings: dict[int, str], epoch: datetime | None) -> str:
    text = "".join(cell.text)
    if cell.kind == "s":
        return strings.get(int(text), "")
    if cell.kind == "b":
        return "true" if text == "1" else "false"
    if cell.kind != "n":
        return text
    number = float(text)
    if epoch is not None:
        return _moment(number, epoch)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _moment(days: float, epoch: datetime) -> str:
    """A date, a date with a time, or below one day a time, as ISO writes them."""
    found = epoch + timedelta(seconds=round(days * 86_400))
    if 0 <= days < 1:
        return f"{found:%H:%M:%S}"
    if epoch == EPOCH and days < 60:  # Excel counts a 29 February 1900 that never was
        found += timedelta(days=1)
    return f"{found:%Y-%m-%d}" if float(days).is_integer() else f"{found:%Y-%m-%d %H:%M:%S}"
