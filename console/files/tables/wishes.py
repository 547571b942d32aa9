"""What is asked of a table: a window of its rows, by what they are sorted, which of them are meant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

SCROLLED: Final = 10_000
"""So many rows of a search or an order can be gone through."""
MOST_ROWS: Final = 500
MOST_CONDITIONS: Final = 8
MOST_WORDS: Final = 200
"""Characters of what is looked for."""

COMPARISONS: Final = {
    "is": "=",
    "is_not": "<>",
    "above": ">",
    "at_least": ">=",
    "below": "<",
    "at_most": "<=",
}
OPERATORS: Final = (*COMPARISONS, "contains", "empty", "filled")


class TableError(Exception):
    """Why the table, or this part of it, cannot be shown, as a sentence; `field` of what was asked is at fault."""

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True)
class Condition:
    """`column` by its name; `value` as somebody wrote it."""

    column: str
    operator: str
    value: str = ""


@dataclass(frozen=True)
class Wish:
    """A window of a table; with `is_described` what is in its columns, over all rows, and no rows."""

    first: int = 0
    limit: int = 100
    sort: str = ""
    """A column's name, with `-` before it the largest first; "" as in the file."""
    find: str = ""
    """Words that some column of a row has."""
    where: tuple[Condition, ...] = field(default=())
    is_described: bool = False

    def to_json(self) -> dict[str, Any]:
        where = [[each.column, each.operator, each.value] for each in self.where]
        return {**self.__dict__, "where": where}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Wish:
        return cls(**{**given, "where": tuple(Condition(*each) for each in given["where"])})


def condition(text: str) -> Condition:
    """`price:above:10` as a condition; a column's name may have colons. TableError for anything else."""
    parts = text.split(":")
    for place in range(len(parts) - 1, 0, -1):
        operator = parts[place]
        if operator in OPERATORS and (place < len(parts) - 1 or operator in ("empty", "filled")):
            return Condition(":".join(parts[:place]), operator, ":".join(parts[place + 1 :])[:MOST_WORDS])
    sentence = f"Write a condition as column:operator:value; the operators are {', '.join(OPERATORS)}."
    raise TableError(sentence, "where")
