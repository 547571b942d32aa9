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
    """A rule: column → text in Celery's words; a month's last day, and its nth weekdays, stand beside them.

    `nth` are (which, ISO weekday), such as (2, 5) for the second and (-1, 5) for the last Friday.
    """

    columns: dict[str, str]
    has_last_day: bool = False
    nth: frozenset[tuple[int, int]] = frozenset()
    dates: str = ""
    """Days of the month beside the last one."""

    @property
    def text(self) -> str:
        """As it is shown again for editing."""
        days = ",".join(filter(None, (self.dates, LAST))) if self.has_last_day else self.columns["day_of_month"]
        nth = [f"{number % 7}{'L' if which < 0 else f'#{which}'}" for which, number in sorted(self.nth)]
        shown = {
            **self.columns,
            "day_of_month": days,
            **({"day_of_week": ",".join(nth)} if nth else {}),
        }
        return " ".join(shown[field.name] for field in FIELDS)

    def numbers(self, name: str) -> frozenset[int]:
        """All that a column stands for."""
        field = next(each for each in FIELDS if each.name == name)
        return frozenset(number for part in self.columns[name].split(",") for number in _numbers(field, part))

    @property
    def days_of_month(self) -> frozenset[int]:
        """Those that are written; the last one is not among them."""
        written = self.dates if self.has_last_day else self.columns["day_of_month"]
        return frozenset(number for part in written.split(",") if part for number in _numbers(FIELDS[2], part))

    @property
    def is_elapsed(self) -> bool:
        """Whether it is for every hour, or every so many."""
        return "*" in self.columns["hour"]


def read(text: str) -> Cron:
    """The rule; CronError with a sentence for the first field that cannot be read."""
    words = MACROS.get(text.strip().lower(), text).split()
    if len(words) != len(FIELDS):
        raise CronError(_not_five(text.strip(), words))
    days = words[2].split(",")
    is_last = LAST in map(str.upper, days)
    others = [day for day in days if day.upper() != LAST]
    words[2] = ",".join([*others, *([LAST_DAYS] if is_last else [])])
    words[2:] = ["*" if word == "?" and place in (0, 2) else word for place, word in enumerate(words[2:])]
    nth = _nth(words[4])
    words[4] = "*" if nth else words[4]
    columns = {field.name: _column(field, word) for field, word in zip(FIELDS, words, strict=True)}
    dates = columns["day_of_month"].removesuffix(LAST_DAYS).rstrip(",") if is_last else ""
    return Cron(columns, is_last, nth, dates)


def _not_five(text: str, words: list[str]) -> str:
    """What was meant by more or fewer fields than five."""
    five = "Write five fields: minute, hour, day of the month, month, day of the week"
    if text.startswith("@every"):
        return f"{five}. A regular distance such as “{text}” is set under “Every”."
    if text.startswith("@"):
        return f"“{text}” is not known: write {', '.join(MACROS)}, or five fields such as 0 6 * * mon-fri."
    if re.match(r"(CRON_)?TZ=", text):
        return f"{five}, without the zone: choose it beside them."
    if re.search(r",\s|\s,", text):
        return f"{five}, with no space beside a comma: mon,wed and not mon, wed."
    if len(words) > len(FIELDS) and re.search(r"[a-zA-Z]{2}|/[a-zA-Z.]", words[5]):
        return f"{five}, without a command behind them: the pipeline is chosen above."
    if len(words) in (6, 7):
        return f"{five}. There are {len(words)}: leave out seconds and years, as in “{' '.join(words[1:6])}”."
    return f"{five}, such as 0 6 * * mon-fri. Here {'is' if len(words) == 1 else 'are'} {len(words) or 'none'}."


def _nth(word: str) -> frozenset[tuple[int, int]]:
    """Weekdays that are counted, `fri#2` and `friL`; not beside others, as all of a rule has to hold."""
    parts = word.split(",")
    found = [re.fullmatch(r"(\w+?)(?:#(\d+)|[lL])", part, re.ASCII) for part in parts if part.upper() != LAST]
    if not any(found):
        return frozenset()
    if len(found) != len(parts) or not all(found):
        raise CronError(f"The day of the week “{word}” mixes counted and plain ones: make a schedule for each.")
    return frozenset(_counted(match[1], match[2]) for match in found if match)


def _counted(name: str, which: str | None) -> tuple[int, int]:
    if which is not None and not 1 <= int(which) <= 5:
        raise CronError(
            f"“{name}#{which}”: of each weekday a month has a first (#1) to a fifth (#5), and a last ({name}L)."
        )
    return int(which) if which else -1, _number(FIELDS[4], name) or 7


def _column(field: Field, word: str) -> str:
    return ",".join(_part(field, part) for part in word.split(","))


def _numbers(field: Field, part: str) -> range:
    """What is read by `_part`, counted."""
    span, _, step = part.partition("/")
    first, _, last = span.partition("-")
    begin, end = (field.least, field.least + _size(field) - 1) if first == "*" else (int(first), int(last or first))
    return range(begin, end + 1, int(step or 1))


def _part(field: Field, part: str) -> str:
    if instead := _instead(field, part):
        raise CronError(f"The {field.words} “{part}” cannot be read: {instead}.")
    found = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d{1,4}))?", part, re.ASCII)
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


def _instead(field: Field, part: str) -> str:
    """What to write for what other crons know."""
    if re.fullmatch(r"[hH](\(.*\))?(/\d+)?", part):
        return f"no place is chosen for you here; write a number from {field.least} to {field.most}"
    if not part:
        return "there is a comma too many"
    if field.name == "day_of_month" and re.fullmatch(r"(\d+|[lL])[wW]", part):
        return "nearest working days are not known here; write the days, and leave out others by date"
    if field.name == "day_of_month" and re.fullmatch(r"[lL]-\d+", part):
        return "days before the last one are not known here; write L, or a number"
    return ""
