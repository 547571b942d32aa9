"""What somebody wrote in an address as a wish, with the bounds that every door keeps."""

from __future__ import annotations

from collections.abc import Sequence

from console.files.tables.wishes import (
    MOST_CONDITIONS,
    MOST_ROWS,
    MOST_WORDS,
    SCROLLED,
    TableError,
    Wish,
    condition,
)  # fmt: skip

DEEPEST = 10**12


def wish(first: int, limit: int, *, sort: str = "", find: str = "", where: Sequence[str] = ()) -> Wish:
    """TableError with a sentence when it asks for more than there is to be had."""
    if not 0 <= first <= DEEPEST or not 1 <= limit <= MOST_ROWS:
        raise TableError(f"Ask for 1 to {MOST_ROWS} rows, from row 0 on.", "limit")
    conditions = [condition(each) for each in where if each]
    if len(conditions) > MOST_CONDITIONS:
        raise TableError(f"At most {MOST_CONDITIONS} conditions can be asked for at once.", "where")
    if (sort or find or conditions) and first >= SCROLLED:
        raise TableError(f"Of rows that are sorted or chosen the first {SCROLLED:,} can be gone through.", "first")
    return Wish(first, limit, sort=sort, find=find.strip()[:MOST_WORDS], where=tuple(conditions))


def description() -> Wish:
    return Wish(is_described=True)
