"""Rows of a text that is a table, whatever divides its cells."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from typing import Final

DELIMITERS: Final = ",;\t|"
NONE: Final = "\x1f"
"""Of one column: its cells may well hold commas."""
SAMPLE_ROWS: Final = 30
SAMPLE_CHARACTERS: Final = 100_000
HINT: Final = "sep="


def rows(text: str, *, is_tabbed: bool = False) -> Iterator[list[str]]:
    """The rows that are not empty; csv.Error when this is no table."""
    delimiter, skipped = dialect(text, is_tabbed=is_tabbed)
    return (row for row in csv.reader(StringIO(text[skipped:], newline=""), delimiter=delimiter) if row)


def dialect(text: str, *, is_tabbed: bool = False) -> tuple[str, int]:
    """What divides its cells, and how many characters come before the first row."""
    if text[: len(HINT)].lower() == HINT and text[len(HINT) + 1 : len(HINT) + 2] in ("\r", "\n"):
        rest = text[len(HINT) + 1 :]  # a word from Excel to Excel
        return text[len(HINT)], len(text) - len(rest.lstrip("\r\n"))
    return "\t" if is_tabbed and "\t" in text[:SAMPLE_CHARACTERS] else _delimiter(text), 0


def _delimiter(text: str) -> str:
    """The one that divides most rows into equally many cells; of two that do the one that makes more."""
    found = {delimiter: _fitness(text[:SAMPLE_CHARACTERS], delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: found[delimiter])
    return best if any(found[best]) else NONE


def _fitness(text: str, delimiter: str) -> tuple[float, int]:
    try:
        found = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
        widths = [len(row) for row in islice((row for row in found if row), SAMPLE_ROWS)]
    except csv.Error:
        return 0.0, 0
    if len(widths) > 1 and len(text) >= SAMPLE_CHARACTERS:
        widths.pop()  # it may be a part
    width, count = max(Counter(widths).items(), key=lambda pair: (pair[1], pair[0]), default=(0, 0))
    return (count / len(widths), width) if width > 1 else (0.0, 0)
