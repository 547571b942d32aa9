"""What people write into the search box of the runs list, and the rows that it means."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q
from django.db.models.fields.json import KeyTransform

from console.whole_number import whole_number
from jobs.errors import nearest_of
from jobs.models import NodeRun, Pipeline, Run
from jobs.models.run import RunQuerySet
from jobs.states import LIVE, Cause, Status
from jobs.structure.paths import parsed

DEFAULT_SINCE: Final = "7d"
QUALIFIERS: Final = ("pipeline", "project", "status", "cause", "by", "since", "node", "tag", "error")
PARAMETER: Final = "param."
_WHOLE: Final = ("error", "node", "tag")
"""Whose value may have commas."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]*")
MOST_BRANCHES: Final = 12
LARGEST: Final = 2**63
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
        return any(_number(word) for word in self.words)

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


def found(search: Search, at: datetime, narrow: Callable[[RunQuerySet], RunQuerySet], most: int) -> list[int]:
    """The numbers of the matching runs, ascending; of each branch at most `most`, the first in `narrow`'s order.

    A branch has one status and one pipeline, so that each is read from an index in order and none is sorted.
    """
    rows = _with_parameters(_since(Run.objects.all(), search, at).filter(_rest(search)), search)
    branches = _branches(search)
    numbers: set[int] = set()
    for branch in branches:
        numbers.update(narrow(rows.filter(**branch)).values_list("pk", flat=True)[:most])
    return sorted(numbers)


def _since(rows: RunQuerySet, search: Search, at: datetime) -> RunQuerySet:
    """Runs are numbered as they are made, so a time is a number: the rows stay in the order of their key."""
    start = None if search.is_by_number and "since" not in search.wanted else beginning(search.since, at)
    if start is None:
        return rows
    first = Run.objects.filter(created_at__gte=start).order_by("created_at").values_list("pk", flat=True).first()
    return rows.filter(pk__gte=first) if first is not None else rows.none()


def _branches(search: Search) -> list[dict[str, object]]:
    statuses = _statuses(search)
    pipelines = _pipelines(search)
    if len(statuses or [0]) * len(pipelines or [0]) > MOST_BRANCHES:
        return [_plain(statuses, pipelines)]
    axes: list[list[dict[str, object]]] = [[{}], [{}]]
    if statuses is not None:
        axes[0] = [{"status": status} for status in statuses]
    if pipelines is not None:
        axes[1] = [{"pipeline": pipeline} for pipeline in pipelines]
    return [{**left, **right} for left, right in product(*axes)]


def _plain(statuses: list[str] | None, pipelines: list[int] | None) -> dict[str, object]:
    chosen = {"status__in": statuses, "pipeline__in": pipelines}
    return {name: values for name, values in chosen.items() if values is not None}


def _statuses(search: Search) -> list[str] | None:
    asked = [value.lower() for value in search.wanted.get("status", [])]
    if not asked:
        return None
    return sorted({status for value in asked for status in (LIVE if value == "live" else {value})})


def _pipelines(search: Search) -> list[int] | None:
    """The pipelines that the qualifiers name; None when they name none, so that all are meant."""
    names, projects = search.wanted.get("pipeline", []), search.wanted.get("project", [])
    if not names and not projects:
        return None
    rows = Pipeline.objects.all()
    if names:
        rows = rows.filter(_any("name__icontains", [name.rpartition("/")[2] for name in names]))
    if projects:
        rows = rows.filter(_any("project__name__iexact", projects))
    return list(rows.values_list("pk", flat=True))


def _rest(search: Search) -> Q:
    """What no index answers: it is looked at row by row, in the time asked for."""
    rest = _any("cause", [value.lower() for value in search.wanted.get("cause", [])])
    rest &= _any("requested_by_name__iexact", search.wanted.get("by", []))
    for name in search.wanted.get("node", []):
        rest &= Q(Exists(NodeRun.objects.filter(run=OuterRef("pk"), name__icontains=name)))
    for tag in search.wanted.get("tag", []):
        rest &= Q(tags__icontains=json.dumps(tag))
    for text in search.wanted.get("error", []):
        rest &= Q(error__icontains=text)
    for word in search.words:
        rest &= _word(word)
    return rest


def _with_parameters(rows: RunQuerySet, search: Search) -> RunQuerySet:
    """Those that ran, or will, with these values: as text or as what JSON makes of it, at a path or under one name."""
    for number, (name, value) in enumerate(search.parameters):
        condition = Q()
        for column in ("resolved_parameters", "parameters"):
            for way, path in enumerate({parsed(name, {}), (name,)}):
                alias = f"asked_{number}_{column}_{way}"
                rows = rows.alias(**{alias: _at(column, path)})
                condition |= Q(**{f"{alias}__in": _meant(value)})
        rows = rows.filter(condition)
    return rows


def _at(column: str, path: tuple[Any, ...]) -> Any:
    found: Any = column
    for key in path:
        found = KeyTransform(str(key), found)
    return found


def _meant(value: str) -> list[Any]:
    try:
        read = json.loads(value.lower() if value.lower() in ("true", "false", "null") else value)
    except ValueError:
        return [value]
    return [value, read] if isinstance(read, (bool, int, float)) and abs(read) < LARGEST else [value]


def _word(word: str) -> Q:
    if number := _number(word):
        return Q(pk=number)
    return Q(pipeline__name__icontains=word) | Q(error__icontains=word) | Q(requested_by_name__icontains=word)


def _number(word: str) -> int:
    return whole_number(word) or 0


def _any(lookup: str, values: list[str]) -> Q:
    condition = Q()
    for value in values:
        condition |= Q(**{lookup: value})
    return condition
