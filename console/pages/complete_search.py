"""What may follow in the search box: names of qualifiers, and the values that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from django.contrib.auth.models import User

from console.pages.search import PARAMETER, QUALIFIERS
from jobs.models import NodeRun, Pipeline, Project, Run
from jobs.states import Cause, Status
from jobs.structure.paths import by_name

MOST: Final = 12
LOOKED_AT: Final = 300
"""Newest rows whose nodes, tags and parameters are offered."""


def completions(text: str) -> list[str]:
    """The whole text with its last word completed, the most likely first."""
    head, space, last = text[:500].rpartition(" ")
    name, colon, value = last.partition(":")
    if not colon:
        found = [f"{one}:" for one in (*QUALIFIERS, *_parameters(last)) if one.startswith(last.lower())] if last else []
    else:
        before, comma, value = value.rpartition(",")
        found = [f"{name}:{before}{comma}{one}" for one in _values(name.lower(), value.lower())]
    return [f"{head}{space}{one}" for one in found[:MOST]]


def _parameters(begun: str) -> list[str]:
    return [f"{PARAMETER}{name}" for name in _seen_parameters()] if begun.lower().startswith("p") else []


def _values(name: str, begun: str) -> list[str]:
    """Those that contain what was begun, without repetition, in their order; one with a space in quotes."""
    if name.startswith(PARAMETER):
        known: Iterable[str] = _seen_parameters().get(name[len(PARAMETER) :], [])
    else:
        known = SOURCES[name]() if name in SOURCES else []
    found = [value for value in dict.fromkeys(known) if value and begun in value.lower()]
    return [f'"{value}"' if " " in value else value for value in found]


def _seen_parameters() -> dict[str, list[str]]:
    """Names and values of the newest runs."""
    rows = Run.objects.order_by("-pk").exclude(resolved_parameters=None)
    found: dict[str, list[str]] = {}
    for values in rows.values_list("resolved_parameters", flat=True)[: LOOKED_AT // 6]:
        for name, value in by_name(values or {}).items():
            if isinstance(value, (str, bool, int, float)) and len(str(value)) < 80:
                found.setdefault(name, []).append(str(value).lower() if isinstance(value, bool) else str(value))
    return found


def _names(rows: Any, field: str = "name") -> Callable[[], list[str]]:
    return lambda: list(rows.all().values_list(field, flat=True)[:LOOKED_AT])


def _tags() -> list[str]:
    rows = Run.objects.order_by("-pk").values_list("tags", flat=True)[:LOOKED_AT]
    return [str(tag) for tags in rows for tag in tags]


SOURCES: Final[dict[str, Callable[[], Iterable[str]]]] = {
    "status": lambda: ["live", *Status.values],
    "cause": lambda: Cause.values,
    "since": lambda: ["24h", "7d", "30d", "12w", "all"],
    "pipeline": _names(Pipeline.objects.filter(is_registered=True).order_by("name")),
    "project": _names(Project.objects.order_by("name")),
    "by": _names(User.objects.filter(is_active=True).order_by("username"), "username"),
    "node": _names(NodeRun.objects.order_by("-pk")),
    "tag": _tags,
}
