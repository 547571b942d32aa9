"""Find in a run's log: hits with the lines around them, and how many lines and hits each node has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Final

from django.db.models import Q

from jobs.insight.read_logs import PAGE, Lines, Only, walk
from jobs.models import LogChunk, Run
from jobs.models.log_chunk import Line

AROUND: Final = 3
MOST_AROUND: Final = 20
LOOKED: Final = 60
"""How many numbers away the lines around a hit are looked for where nodes write in turn."""
MOST_HITS: Final = 60
"""Of a page that shows the lines around them too."""

ERRORS: Final = Only(level="ERROR")


@dataclass
class Count:
    """What a node wrote."""

    lines: int = 0
    hits: int = 0
    errors: int = 0


@dataclass
class Outline:
    """Counts by node ("": outside of every node) of the lines up to `last`."""

    nodes: dict[str, Count] = field(default_factory=dict)
    last: int = 0
    has_more: bool = False


def found(run: Run, only: Only, around: int | None, read: Callable[[Only, int], Lines]) -> Lines:
    """What `read` finds, at most so many, with `around` lines on both sides of each hit; None: with all lines."""
    if not only.seeks:
        return read(only, PAGE)
    if around is None:
        page = read(only.scope, PAGE)
        return replace(page, hits=frozenset(line.seq for line in page.lines if only.has(line)))
    return beside(run, read(only, MOST_HITS if around else PAGE), only, around)


def beside(run: Run, page: Lines, only: Only, around: int) -> Lines:
    """The lines of this page are hits: with those of the scope that come right before and after each of them."""
    page = replace(page, hits=frozenset(line.seq for line in page.lines))
    return _with_neighbours(run, page, only, around) if around and page.hits else page


def outline(run: Run, only: Only, after: int) -> Outline:
    """Counted from line `after` on, as far as one question may look; `only` says what a hit is."""
    counted = Outline(last=after)
    for last, lines in walk(run, only.scope, after):
        counted.last = last
        for line in lines:
            count = counted.nodes.setdefault(line.node, Count())
            count.lines += 1
            count.hits += only.seeks and only.has(line)
            count.errors += ERRORS.has(line)
    counted.has_more = run.log_chunks.filter(last_seq__gt=counted.last).exists()
    return counted


def _with_neighbours(run: Run, page: Lines, only: Only, around: int) -> Lines:
    """The same page with the lines of its scope that come right before and after each hit; hits among them are hits."""
    reach = LOOKED if only.node or only.is_outside else around
    near = [Q(last_seq__gte=first, first_seq__lte=last) for first, last in _spans(sorted(page.hits), reach)]
    chunks = LogChunk.objects.filter(reduce(or_, near), run=run).order_by("first_seq")
    scope = only.scope
    lines = [line for chunk in chunks.iterator(chunk_size=4) for line in chunk.lines if scope.has(line)]
    shown = list(_near(lines, page.hits, around, reach))
    return replace(page, lines=shown, hits=frozenset(line.seq for line in shown if only.has(line)))


def _spans(numbers: Iterable[int], reach: int) -> list[tuple[int, int]]:
    """The numbers within reach of these, as ranges that do not touch."""
    spans: list[tuple[int, int]] = []
    for number in numbers:
        first = number - reach
        if spans and first <= spans[-1][1] + 1:
            first = spans.pop()[0]
        spans.append((first, number + reach))
    return spans


def _near(lines: list[Line], hits: frozenset[int], around: int, reach: int) -> Iterable[Line]:
    wanted: set[int] = set()
    for place, line in enumerate(lines):
        if line.seq in hits:
            beside = range(max(0, place - around), min(len(lines), place + around + 1))
            wanted.update(each for each in beside if abs(lines[each].seq - line.seq) <= reach)
    return (lines[place] for place in sorted(wanted))
