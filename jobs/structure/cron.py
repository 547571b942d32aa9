"""Cron's five fields as people write them: read into what Celery counts by, or refused with what to write instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LAST: Final = "L"
LAST_DAYS: Final = "28-31"
"""Celery knows no last day of a month: it asks on each of these, and the one before the first of a month counts."""
MACROS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
SHORTEST: Final = 3


@dataclass(frozen=True)
class Field:
    """One of the five: its bounds, and the names that stand for numbers."""

    name: str  # of django-celery-beat's column
    words: str
    least: int
    most: int
    names: tuple[str, ...]
    example: str


FIELDS: Final = (
    Field("minute", "minute", 0, 59, (), "*/15 for every quarter of an hour"),
    Field("hour", "hour", 0, 23, (), "6 for six in the morning"),
    Field("day_of_month", "day of the month", 1, 31, (), "1 for the first day, L for the last one"),
    Field("month_of_year", "month", 1, 12, MONTHS, "jan-mar or 1,4,7,10"),
    Field("day_of_week", "day of the week", 0, 7, DAYS, "mon-fri; 0 and 7 are Sunday"),
)


class CronError(ValueError):
    """What is wrong with a rule, as a sentence."""


@dataclass(frozen=True)
class Cron:
    """A rule: column → text in Celery's words, and whether of its days only a month's last one counts."""

    columns: dict[str, str]
    has_last_day: bool = False

    @property
    def text(self) -> str:
        """As it is shown again for editing."""
        shown = {**self.columns, **({"day_of_month": LAST} if self.has_last_day else {})}
        return " ".join(shown[field.name] for field in FIELDS)


def read(text: str) -> Cron:
    """The rule; CronError with a sentence for the first field that cannot be read."""
    words = MACROS.get(text.strip().lower(), text).split()
    if len(words) != len(FIELDS):
        raise CronError("Write five fields: minute, hour, day of the month, month, day of the week.")
    is_last = words[2].upper() == LAST
    if is_last:
        words[2] = LAST_DAYS
    columns = {field.name: _column(field, word) for field, word in zip(FIELDS, words, strict=True)}
    return Cron(columns, is_last)


def _column(field: Field, word: str) -> str:
    return ",".join(_part(field, part) for part in word.split(","))


def _part(field: Field, part: str) -> str:
    found = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d{1,4}))?", part)
    if not found or (found[1] == "*" and found[2]):
        raise _refusal(field, part)
    first, last, step = found[1], found[2], found[3]
    if step is not None and int(step) == 0:
        raise CronError(f"The {field.words} “{part}”: a step is at least 1.")
    if first == "*":
        return part
    begin = _number(field, first)
    if last is None:
        return f"{begin}-{field.most}/{step}" if step else str(_as_celery_counts(field, begin))
    return _range(field, begin, _number(field, last), int(step or 1))


def _range(field: Field, begin: int, end: int, step: int) -> str:
    """Days and hours go round: fri-mon are four days, and so are 5-1."""
    if begin <= end and end < field.least + _size(field):
        return f"{begin}-{end}/{step}" if step > 1 else f"{begin}-{end}"
    size = _size(field)
    if end < begin:
        if field.name == "day_of_month":
            raise CronError(f"The {field.words} {begin}-{end} ends before it begins: write {begin}-31,1-{end}.")
        end += size
    numbers = {(number - field.least) % size + field.least for number in range(begin, end + 1, step)}
    return ",".join(str(number) for number in sorted(numbers))


def _size(field: Field) -> int:
    return len(field.names) or field.most - field.least + 1


def _as_celery_counts(field: Field, number: int) -> int:
    return number % 7 if field.names is DAYS else number


def _number(field: Field, word: str) -> int:
    near = [place for place, name in enumerate(field.names, field.least) if name.startswith(word.lower())]
    number = near[0] if len(near) == 1 and len(word) >= SHORTEST else None
    if number is None and word.isascii() and word.isdigit():
        number = int(word)
    if number is None:
        raise _refusal(field, word)
    if not field.least <= number <= field.most:
        raise CronError(f"The {field.words} {word} does not exist: write {field.least} to {field.most}.")
    return number


def _refusal(field: Field, part: str) -> CronError:
    if part.upper() == LAST:
        return CronError(f"“{part}” stands for the last day of a month, not for a {field.words}.")
    number = f"a number from {field.least} to {field.most}"
    return CronError(f"The {field.words} “{part}” cannot be read: write {number}, * for each, or {field.example}.")
