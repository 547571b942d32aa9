"""What people write into the search box of the runs list."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from console.whole_number import whole_number
from jobs.errors import nearest_of
from jobs.states import Cause, Status

DEFAULT_SINCE: Final = "7d"
QUALIFIERS: Final = ("pipeline", "project", "status", "cause", "by", "since", "node", "tag", "error")
PARAMETER: Final = "param."
_WHOLE: Final = ("error", "node", "tag")
"""Whose value may have commas."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]*")
_SPAN = re.compile(r"(\d{1,4})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass
class Search:
    """A search in parts. `problems` are sentences about what could not be understood."""

    text: str = ""
    wanted: dict[str, list[str]] = field(default_factory=dict)
    parameters: list[tuple[str, str]] = field(default_factory=list)
    """Name and value, as written."""
    words: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def since(self) -> str:
        return self.wanted.get("since", [DEFAULT_SINCE])[-1]

    @property
    def period(self) -> str:
        """The time it looks at, in words."""
        if self.since == "all" or (self.is_by_number and "since" not in self.wanted):
            return "Runs of any age"
        if match := _SPAN.fullmatch(self.since):
            unit = _UNITS[match[2]]
            return f"Runs of the last {match[1]} {unit[:-1] if match[1] == '1' else unit}"
        return f"Runs since {self.since}"

    @property
    def is_by_number(self) -> bool:
        """Whether it names a run, which is then found however old it is."""
        return bool(self.numbers)

    @property
    def numbers(self) -> list[int]:
        """The runs that it names."""
        return [number for word in self.words if (number := whole_number(word))]

    @property
    def is_narrow(self) -> bool:
        return bool(self.words or self.wanted or self.parameters)


def parse(text: str) -> Search:
    """`status:failed param.top:5 since:30d "some words"`; several values of one qualifier: comma or repeat it."""
    search = Search(text.strip()[:500])
    for part in _parts(search.text):
        name, colon, value = part.partition(":")
        key = name.lower()
        if not colon or not _is_key(name, value):
            search.words.append(part)
        elif not value:
            search.problems.append(f"Write a value after “{name}:”.")
        elif key.startswith(PARAMETER):
            search.parameters.append((name[len(PARAMETER) :], value))
        elif key in QUALIFIERS:
            values = [value] if key in _WHOLE else [one for one in value.split(",") if one]
            search.wanted.setdefault(key, []).extend(values)
        else:
            search.problems.append(_unknown(name))
    _check(search)
    return search


def _is_key(name: str, value: str) -> bool:
    """Whether this is meant as a qualifier, and is not a part of an address, a time or an error's text."""
    key = name.lower()
    if key in QUALIFIERS or (key.startswith(PARAMETER) and len(key) > len(PARAMETER)):
        return True
    return bool(_NAME.fullmatch(name.partition(".")[0]) and value) and not value.startswith("//")


def _unknown(name: str) -> str:
    """One sentence with the nearest qualifier; what looks like a parameter is led to `param.`"""
    known = [*QUALIFIERS, "param"]
    near = nearest_of(name.lower().partition(".")[0], known, 1, 0.5)
    meant = f"{PARAMETER}NAME" if near == ["param"] else near[0] if near else ""
    hint = f"did you mean “{meant}:”?" if meant else f"for a parameter write “{PARAMETER}{name}:”."
    return f"There is no “{name}:”; {hint} Known are {', '.join(f'{one}:' for one in QUALIFIERS)}, {PARAMETER}NAME:."


def _parts(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that is not closed yet
        return text.replace('"', " ").replace("'", " ").split()


def _check(search: Search) -> None:
    for name, known in (("status", {*Status.values, "live"}), ("cause", set(Cause.values))):
        for value in search.wanted.get(name, []):
            if value.lower() not in known:
                search.problems.append(f"There is no {name} “{value}”; write {', '.join(sorted(known))}.")
    if beginning(search.since, datetime.now(UTC)) is None and search.since != "all":
        search.problems.append(f"“{search.since}” is not a time; write 24h, 7d, 2026-03-01 or all.")


def beginning(since: str, at: datetime) -> datetime | None:
    """The moment that `24h`, `7d`, `2w` or a date means at this time; None for anything else."""
    if match := _SPAN.fullmatch(since):
        return at - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        day = datetime.fromisoformat(since)
        return (day if day.tzinfo else day.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # also what lies before or after all time
        return None
