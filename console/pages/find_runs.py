"""The runs that a search means, a screenful at a time: found by key, and at most so many rows looked at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q
from django.db.models.fields.json import KeyTransform

from console.pages.search import Search, beginning
from console.whole_number import whole_number
from jobs.models import NodeRun, Pipeline, Run
from jobs.models.run import RunQuerySet
from jobs.states import LIVE
from jobs.structure.paths import parsed

MOST_BRANCHES: Final = 6
LARGEST: Final = 2**63
LOOK: Final = 2_000
"""How many rows are looked at for what no index answers; then the page says how far it came, and goes on by itself."""
LOOK_ON: Final = 20_000

Branch = dict[str, object]


@dataclass(frozen=True)
class Found:
    """Numbers of matching runs, ascending. Beyond run `looked_to` nothing was looked at; None: there is no more."""

    numbers: list[int]
    looked_to: int | None = None


def found(search: Search, at: datetime, most: int, *, before: int | None, look: int) -> Found:
    """The newest matching runs, older than `before` when it is given.

    Each branch is read from an index in its order, and none is sorted. Where indexes do not answer the whole search,
    so many rows are looked at, however many runs there are.
    """
    least = _least(search, at)
    if least is None:
        return Found([])
    return _found(Run.objects.before(before).order_by("-pk"), least, search, most, look)


def found_after(search: Search, at: datetime, most: int, *, after: int) -> Found:
    """Those that follow run `after`."""
    least = _least(search, at)
    if least is None:
        return Found([])
    return _found(Run.objects.order_by("pk"), max(least, after + 1), search, most, LOOK_ON, is_upwards=True)


def _found(rows: RunQuerySet, least: int, search: Search, most: int, look: int, *, is_upwards: bool = False) -> Found:
    """Of runs from number `least` on: one lower bound, as SQLite begins at the first of two."""
    branches, rest = _divided(search)
    is_answered = search.is_by_number or not (rest or search.parameters)
    numbers: set[int] = set()
    edges: list[int] = []
    for branch in branches:
        some = rows.filter(**branch)
        edge = None if is_answered else _edge(some.filter(pk__gte=least), look // len(branches))
        if edge is not None:
            edges.append(edge)
        if edge is not None and is_upwards:
            some = some.filter(pk__lt=edge)
        some = some.filter(pk__gte=least if edge is None or is_upwards else edge + 1)
        matching = _with_parameters(some.filter(rest), search)
        numbers.update(matching.values_list("pk", flat=True)[:most])
    return _complete(sorted(numbers), edges, is_upwards=is_upwards)


def _edge(rows: RunQuerySet, look: int) -> int | None:
    """The first row that is not looked at; None: all are."""
    return next(iter(rows.values_list("pk", flat=True)[look : look + 1]), None)


def _complete(numbers: list[int], edges: list[int], *, is_upwards: bool) -> Found:
    """What all branches have looked at; `before` and `after` leave their own number out, so that the edge is next."""
    if not edges:
        return Found(numbers)
    if is_upwards:
        edge = min(edges)
        return Found([number for number in numbers if number < edge], edge - 1)
    edge = max(edges)
    return Found([number for number in numbers if number > edge], edge + 1)


def _least(search: Search, at: datetime) -> int | None:
    """The first run of the time asked for; None: there is none. As runs are numbered in order, a time is a number."""
    start = None if search.is_by_number and "since" not in search.wanted else beginning(search.since, at)
    if start is None:
        return 1
    return Run.objects.filter(created_at__gte=start).order_by("created_at").values_list("pk", flat=True).first()


def _divided(search: Search) -> tuple[list[Branch], Q]:
    """Branches that an index has in order, and the rest of the search, for which each row has to be looked at."""
    rest = _rest(search)
    if search.is_by_number:
        return [{"pk__in": search.numbers}], rest & _chosen(search)
    statuses, pipelines, causes = _statuses(search), _pipelines(search), search.wanted.get("cause")
    if statuses is not None or pipelines is not None:
        if len(statuses or [0]) * len(pipelines or [0]) <= MOST_BRANCHES:
            axes = [{"status": each} for each in statuses or []], [{"pipeline": each} for each in pipelines or []]
            by_both = product(axes[0] if statuses is not None else [{}], axes[1] if pipelines is not None else [{}])
            return [{**left, **right} for left, right in by_both], rest & _any("cause", _lower(causes))
        return [{"status": each} for each in statuses or []] or [{}], rest & _chosen(search)
    return [{"cause": each} for each in _lower(causes)] or [{}], rest


def _chosen(search: Search) -> Q:
    """What branches answer elsewhere, row by row."""
    chosen = {"status__in": _statuses(search), "pipeline__in": _pipelines(search)}
    return Q(**{name: values for name, values in chosen.items() if values is not None}) & _any(
        "cause", _lower(search.wanted.get("cause"))
    )


def _lower(values: list[str] | None) -> list[str]:
    return sorted({value.lower() for value in values or []})


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
    """What no index answers: it is looked at row by row."""
    rest = _any("requested_by_name__iexact", search.wanted.get("by", []))
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
    if number := whole_number(word):
        return Q(pk=number)
    named = list(Pipeline.objects.filter(name__icontains=word).values_list("pk", flat=True))
    return Q(pipeline__in=named) | Q(error__icontains=word) | Q(requested_by_name__icontains=word)


def _any(lookup: str, values: list[str]) -> Q:
    condition = Q()
    for value in values:
        condition |= Q(**{lookup: value})
    return condition
