"""Rules in words, and the one map of all pipelines that start each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import OuterRef, QuerySet, Subquery
from django.urls import reverse

from console.drawing.graph import Card, Drawing, Line, path_along, shorten
from console.drawing.layout import Edge, Vertex, lay_out
from jobs.models import Firing, Pipeline, Rule, Run
from jobs.rules.rules import awaited
from jobs.states import Correlate, Decision, Wants
from jobs.structure.spoken import listed

MOST: Final = 200
LAST: Final = 10
WAITING: Final = 20
COLOURS: Final = {
    Decision.STARTED: "succeeded",
    Decision.UNMET: "queued",
    Decision.REFUSED: "failed",
    Decision.CAPPED: "cancelled",
    Decision.DECIDING: "running",
    Decision.FAILED: "failed",
    Decision.DISABLED: "cancelled",
}
"""The status whose colour and icon a decision borrows."""
ENDS: Final = {
    "succeeded": ("succeeds", "succeed"),
    "failed": ("fails", "fail"),
    "finished": ("ends", "end"),
    "produced": ("produces something", "produce something"),
}


@dataclass(frozen=True)
class Waiting:
    """An occasion of a join that is not complete: who came, and who is missing."""

    key: str
    since: datetime
    there: list[Run]
    missing: list[Pipeline]


def rules() -> QuerySet[Rule]:
    """All rules with their pipelines and what came of the last firing of each."""
    newest = Firing.objects.filter(rule=OuterRef("pk")).order_by("-id")
    rows = Rule.objects.select_related("target__project").prefetch_related("sources__project")
    last = {name: Subquery(newest.values(name)[:1]) for name in ("decision", "at")}
    return rows.annotate(last_decision=last["decision"], last_at=last["at"]).order_by("name")


def when(rule: Rule) -> str:
    """The first half of a rule as a sentence: whose end it waits for."""
    names = [source.name for source in rule.sources.all()]
    any_of, all_of = (listed(names, link) or "nothing" for link in ("or", "and"))
    one, many = ENDS[rule.outcome]
    if rule.node:
        return f"When the node {rule.node} of {any_of} {one}"
    if len(names) < 2:
        return f"When {any_of} {one}"
    if rule.wants == Wants.ANY:
        return f"When any of {all_of} {one}"
    together = "started by one tick" if rule.correlate == Correlate.TICK else "of one chain"
    return f"When all of {all_of} {many}, {together}"


def waiting(rule: Rule) -> list[Waiting]:
    """The newest occasions of a join that still miss somebody."""
    if rule.wants != Wants.ALL:
        return []
    arrivals = list(rule.arrivals.filter(firing=None).order_by("-pk").values_list("key", "at")[:MOST])
    first_seen = dict(arrivals)
    found = []
    for key in list(dict.fromkeys(key for key, _ in arrivals))[:WAITING]:
        there, missing = awaited(rule, key)
        found.append(Waiting(key, first_seen[key], [arrival.run for arrival in there], missing))
    return found


# ---- the map


def draw_map(rows: Iterable[Rule]) -> Drawing | None:
    """Every pipeline that a rule names, and the rules between them; None when there is no rule."""
    vertices: dict[str, Vertex] = {}
    edges: dict[Edge, None] = {}
    things: dict[str, Any] = {}
    for rule in rows:
        here = _add(vertices, things, rule, _kind(rule), rule.name)
        for source in rule.sources.all():
            edges[_add(vertices, things, source, "pipeline", source.name), here] = None
        edges[here, _add(vertices, things, rule.target, "pipeline", rule.target.name)] = None
    if not vertices:
        return None
    layout = lay_out(tuple(vertices.values()), tuple(edges))
    cards = [_card(vertex, layout.corners[vertex.id], things[vertex.id]) for vertex in vertices.values()]
    lines = [Line(path_along(points), *edge) for edge, points in zip(edges, layout.routes, strict=True)]
    names = [(card.id, card.name, "", "") for card in cards]
    return Drawing(cards, lines, layout.width, layout.height, names=names)


def _add(vertices: dict[str, Vertex], things: dict[str, Any], thing: Any, kind: str, name: str) -> str:
    mark = f"{'p' if kind == 'pipeline' else 'r'}-{thing.pk}"
    is_big = kind == "pipeline"
    width = min(max(len(shorten(name)) * 7.4 + 68, 120), 300)
    vertices.setdefault(mark, Vertex(mark, kind, name, width, 44 if is_big else 32))
    things.setdefault(mark, thing)
    return mark


def _kind(rule: Rule) -> str:
    if rule.is_side_job:
        return "side"
    return "join" if rule.wants == Wants.ALL and len(rule.sources.all()) > 1 else "rule"


def _card(vertex: Vertex, corner: tuple[float, float], thing: Any) -> Card:
    is_rule = isinstance(thing, Rule)
    state = _state(thing) if is_rule else ""
    return Card(
        id=vertex.id,
        kind=vertex.kind,
        name=vertex.name,
        label=shorten(vertex.name),
        x=corner[0],
        y=corner[1],
        width=vertex.width,
        height=vertex.height,
        status=state,
        href=reverse("rule" if is_rule else "pipeline", args=[thing.pk]),
    )


def _state(rule: Rule) -> str:
    if not rule.is_enabled:
        return "blocked"
    last = getattr(rule, "last_decision", None)
    return COLOURS[Decision(last)] if last else ""
