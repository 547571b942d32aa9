"""What the palette (Ctrl+K) leads to: pages, pipelines and what one may do with them, runs, artifacts, settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse

from console.pages.library import named
from jobs.models import BatchQueue, Pipeline, Quota, Rule, Run, Schedule

MOST: Final = 20
OF_A_KIND: Final = 5
LONGEST: Final = 200
NUMBER: Final = re.compile(r"#?(\d{1,18})")


class Person(Protocol):
    """Who asks: the palette leads nowhere that this one may not go."""

    def has_perm(self, perm: str) -> bool: ...


@dataclass(frozen=True)
class Entry:
    """One line: where it leads, and what that is."""

    title: str
    url: str
    icon: str
    kind: str


def entries(text: str, person: Person, pages: list[dict[str, Any]]) -> list[Entry]:
    """The best for these words; without any the pages. `pages` are the groups of the sidebar as this person sees it."""
    words = " ".join(text[:LONGEST].replace("\0", " ").split())  # PostgreSQL takes no NUL
    if not words:
        return list(islice(_pages("", pages), MOST))
    found = chain(
        _run(words, person),
        _pipelines(words, person),
        _pages(words, pages),
        _schedules(words, person),
        _artifacts(words, person),
        _settings(words, person),
        _search(words, person),
    )
    return list(islice(found, MOST))


def _pages(words: str, groups: list[dict[str, Any]]) -> Iterator[Entry]:
    for group in groups:
        for item in group["items"]:
            if words.lower() in str(item["title"]).lower():
                yield Entry(str(item["title"]), str(item["link"]), str(item["icon"]), str(group.get("title") or "Page"))


def _run(words: str, person: Person) -> Iterator[Entry]:
    match = NUMBER.fullmatch(words)
    if match is None or not person.has_perm("jobs.view_run"):
        return
    run = Run.objects.select_related("pipeline").filter(pk=int(match[1])).first()
    if run:
        yield Entry(f"#{run.pk} {run.pipeline.name}", run.get_absolute_url(), "play_circle", f"Run, {run.status}")


def _pipelines(words: str, person: Person) -> Iterator[Entry]:
    """`run rep` means to start one."""
    if not person.has_perm("jobs.view_pipeline"):
        return
    verb, _, rest = words.partition(" ")
    wanted = rest if verb.lower() == "run" and rest else words
    meant = Q(name__icontains=wanted)
    if "/" in wanted:
        project, _, name = wanted.partition("/")
        meant |= Q(project__name__icontains=project.strip(), name__icontains=name.strip())
    rows = Pipeline.objects.filter(meant, is_registered=True).select_related("project")
    for row in rows.order_by("name", "project__name")[:OF_A_KIND]:
        if person.has_perm("jobs.start_pipeline"):
            yield Entry(f"Run {row.name}…", reverse("pipeline_run", args=[row.pk]), "play_arrow", row.project.name)
        yield Entry(row.name, reverse("pipeline", args=[row.pk]), "account_tree", f"Pipeline of {row.project.name}")


def _schedules(words: str, person: Person) -> Iterator[Entry]:
    if person.has_perm("jobs.view_schedule"):
        rows = Schedule.objects.known().filter(periodic_task__name__icontains=words)
        for row in rows.order_by("periodic_task__name")[:OF_A_KIND]:
            yield Entry(row.name, reverse("schedule", args=[row.pk]), "calendar_clock", "Schedule")


def _artifacts(words: str, person: Person) -> Iterator[Entry]:
    if person.has_perm("jobs.view_artifact"):
        for shelved in named(words, OF_A_KIND):
            url = reverse("artifact", args=[shelved.artifact.uuid])
            yield Entry(shelved.artifact.name, url, shelved.icon, f"Newest of {shelved.origin}")


SETTINGS: Final = (
    (Rule, "jobs.view_rule", "conversion_path", "Rule"),
    (Quota, "jobs.view_quota", "speed", "Quota"),
    (BatchQueue, "jobs.view_batchqueue", "stacks", "Batch queue"),
)


def _settings(words: str, person: Person) -> Iterator[Entry]:
    for model, permission, icon, kind in SETTINGS:
        if person.has_perm(permission):
            for row in model.objects.filter(name__icontains=words).order_by("name")[:OF_A_KIND]:
                yield Entry(row.name, row.get_absolute_url(), icon, kind)


def _search(words: str, person: Person) -> Iterator[Entry]:
    if person.has_perm("jobs.view_run"):
        yield Entry(f"Runs with “{words}”", f"{reverse('runs')}?{urlencode({'q': words})}", "search", "Search")
