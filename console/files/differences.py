"""What differs between two files of one kind: slides, rows, entries of an archive, lines. Bounded reads; no rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher, unified_diff
from itertools import islice
from typing import IO, Final, Literal

from console.files.bounded import listed
from console.files.slides import Slide

AROUND: Final = 3
SHOWN: Final = 100
"""How many rows of each sort are shown; all of them are counted."""
MOST_LINES: Final = 400
WINDOW: Final = 1_000
"""How many lines of each text are matched, from the first that differs on: matching costs their square."""
Sort = Literal["same", "changed", "added", "removed"]


@dataclass(frozen=True)
class Cell:
    """A value of a row; `before` is what it was, where it changed."""

    value: str
    before: str | None = None

    @property
    def is_changed(self) -> bool:
        return self.before is not None


@dataclass(frozen=True)
class RowDifference:
    sort: Sort
    cells: list[Cell]


@dataclass(frozen=True)
class TableDifference:
    """Rows are the same by their key where a column has another value in each row, else by all their values."""

    columns: list[str]
    added_columns: list[str]
    removed_columns: list[str]
    key: str
    counts: dict[Sort, int]
    rows: list[RowDifference]

    @property
    def is_same(self) -> bool:
        return not (self.added_columns or self.removed_columns or self.counts["same"] != sum(self.counts.values()))

    @property
    def has_more(self) -> bool:
        return len(self.rows) < sum(self.counts[sort] for sort in ("changed", "added", "removed"))


@dataclass(frozen=True)
class SlideDifference:
    """A slide of the older deck beside the one of the newer; numbers begin with 1, None where there is none."""

    sort: Sort
    before: Slide | None
    after: Slide | None
    added_texts: list[str] = field(default_factory=list)
    removed_texts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class EntryDifference:
    sort: Sort
    name: str
    before_bytes: int | None
    after_bytes: int | None


Table = Sequence[Sequence[str]]


def table_difference(before: Table, after: Table) -> TableDifference:
    """Two tables whose first row has the names; columns are the same by their name."""
    old_names, new_names = (_named(list(table[0]) if table else []) for table in (before, after))
    known, now = set(old_names), set(new_names)
    shared = [name for name in new_names if name in known]
    old = _picked(before, old_names, shared)
    new = _picked(after, new_names, shared)
    key = next((place for place in range(len(shared)) if _is_key(old, place) and _is_key(new, place)), None)
    found = _by_key(old, new, key) if key is not None else _by_all(old, new)
    counts: dict[Sort, int] = {"same": 0, "changed": 0, "added": 0, "removed": 0}
    shown: list[RowDifference] = []
    for sort, row, then in found:
        counts[sort] += 1
        if sort != "same" and counts[sort] <= SHOWN:
            shown.append(RowDifference(sort, _cells(row, then)))
    return TableDifference(
        columns=shared,
        added_columns=[name for name in new_names if name not in known],
        removed_columns=[name for name in old_names if name not in now],
        key=shared[key] if key is not None else "",
        counts=counts,
        rows=shown,
    )


def _named(row: list[str]) -> list[str]:
    """A name that comes twice is told apart by its place."""
    seen: Counter[str] = Counter()
    names = []
    for name in row:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _picked(table: Table, names: list[str], wanted: list[str]) -> list[tuple[str, ...]]:
    found = {name: place for place, name in enumerate(names)}
    places = [found[name] for name in wanted]
    return [tuple(row[place] if place < len(row) else "" for place in places) for row in table[1:]]


def _is_key(rows: list[tuple[str, ...]], place: int) -> bool:
    values = {row[place] for row in rows}
    return len(values) == len(rows) and "" not in values


Row = tuple[str, ...]


def _by_key(old: list[Row], new: list[Row], key: int) -> Iterable[tuple[Sort, Row, Row | None]]:
    """Each row with what it was, where it changed."""
    known, found = {row[key]: row for row in old}, {row[key] for row in new}
    for row in new:
        before = known.get(row[key])
        if before is None:
            yield "added", row, None
        else:
            yield "same" if before == row else "changed", row, before
    for row in old:
        if row[key] not in found:
            yield "removed", row, None


def _by_all(old: list[Row], new: list[Row]) -> Iterable[tuple[Sort, Row, Row | None]]:
    left = Counter(old)
    for row in new:
        if left[row] > 0:
            left[row] -= 1
            yield "same", row, None
        else:
            yield "added", row, None
    for row in left.elements():
        yield "removed", row, None


def _cells(row: Row, then: Row | None) -> list[Cell]:
    if then is None:
        return [Cell(value) for value in row]
    return [Cell(now, None if now == before else before) for now, before in zip(row, then, strict=True)]


def deck_difference(before: list[Slide], after: list[Slide]) -> list[SlideDifference]:
    """In the order of the newer deck; slides that only moved are removed at one place and added at another."""
    found: list[SlideDifference] = []
    matcher = SequenceMatcher(a=[each.digest for each in before], b=[each.digest for each in after], autojunk=False)
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        old, new = before[a1:a2], after[b1:b2]
        if tag == "equal":
            found += [SlideDifference("same", then, now) for then, now in zip(old, new, strict=True)]
        else:
            found += _paired(old, new)
    return found


def _paired(old: list[Slide], new: list[Slide]) -> list[SlideDifference]:
    """Slides of one title are one slide that changed; else of one place, where as many stand there."""
    left = list(old)
    found = []
    for now in new:
        then = next((each for each in left if each.title == now.title), None)
        if then is None and len(old) == len(new) and left:
            then = left[0] if not any(each.title == left[0].title for each in new) else None
        if then is None:
            found.append(SlideDifference("added", None, now, list(now.texts)))
            continue
        left.remove(then)
        added, removed = Counter(now.texts) - Counter(then.texts), Counter(then.texts) - Counter(now.texts)
        found.append(SlideDifference("changed", then, now, list(added.elements()), list(removed.elements())))
    return found + [SlideDifference("removed", then, None, [], list(then.texts)) for then in left]


def archive_difference(before: IO[bytes], after: IO[bytes]) -> list[EntryDifference]:
    """Entries by name, as the archives claim them; nothing is unpacked. BadZipFile when one is none."""
    old, new = ({info.filename: info for info in listed(file) if not info.is_dir()} for file in (before, after))
    found = []
    for name in sorted(old.keys() | new.keys()):
        then, now = old.get(name), new.get(name)
        sort: Sort = "added" if then is None else "removed" if now is None else "changed"
        if then and now and (then.CRC, then.file_size) == (now.CRC, now.file_size):
            sort = "same"
        sizes = (then.file_size if then else None, now.file_size if now else None)
        found.append(EntryDifference(sort, name, *sizes))
    return found


def line_difference(before: str, after: str) -> tuple[list[tuple[Sort, str]], bool]:
    """Lines as they were taken away and put in, with some around them; and whether there are more."""
    old, new, is_cut = _between(before.splitlines(), after.splitlines())
    lines = unified_diff(old, new, lineterm="", n=AROUND)
    marks: dict[str, Sort] = {"+": "added", "-": "removed", " ": "same", "@": "changed"}
    found = [(marks[line[0]], line[1:] if line[0] != "@" else "⋯") for line in islice(lines, 2, MOST_LINES + 3) if line]
    if is_cut and len(found) <= MOST_LINES:
        found = _without_loose_end(found)
    return found[:MOST_LINES], is_cut or len(found) > MOST_LINES


def _between(old: list[str], new: list[str]) -> tuple[list[str], list[str], bool]:
    """Without what both begin and end with, but for some lines; and whether more is left than is matched."""
    first, last = _alike(old, new), 0
    shorter = min(len(old), len(new)) - first
    last = min(_alike(old[::-1], new[::-1]), shorter)
    begin, ends = max(0, first - AROUND), [len(each) - max(0, last - AROUND) for each in (old, new)]
    most = first + WINDOW
    return old[begin : min(ends[0], most)], new[begin : min(ends[1], most)], max(ends) > most


def _alike(old: list[str], new: list[str]) -> int:
    """How many lines both begin with."""
    pairs = zip(old, new, strict=False)
    return next((place for place, (then, now) in enumerate(pairs) if then != now), min(len(old), len(new)))


def _without_loose_end(found: list[tuple[Sort, str]]) -> list[tuple[Sort, str]]:
    """What differs last before the cut may stand further on in the other text: it is left out, where anything stays."""
    kept = list(found)
    while kept and kept[-1][0] in ("added", "removed"):
        kept.pop()
    return kept if any(sort in ("added", "removed") for sort, _ in kept) else found
