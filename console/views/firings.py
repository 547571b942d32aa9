"""Every time that a rule fired, newest first."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_GET

from console.pages.rules import COLOURS
from console.views.access import needs
from console.views.shell import page
from console.whole_number import whole_number
from jobs.models import Firing, Rule
from jobs.models.firing import FiringQuerySet
from jobs.states import Decision

SCREEN = 50


@require_GET
@needs("jobs.view_firing")
def firings(request: HttpRequest) -> HttpResponse:
    """One screenful, found by key; narrowed to a rule, a decision or a run."""
    found = list(_narrowed(request).newest().before(_number(request, "before"))[: SCREEN + 1])
    context = {
        "firings": found[:SCREEN],
        "older": found[SCREEN - 1].pk if len(found) > SCREEN else None,
        "decisions": Decision.choices,
        "decision": request.GET.get("decision", ""),
        "rules": Rule.objects.order_by("name").only("name")[:200],
        "rule": _number(request, "rule"),
        "run": _number(request, "run"),
        "colours": COLOURS,
    }
    return page(request, "rules/firings.html", context, title="Firings")


def _narrowed(request: HttpRequest) -> FiringQuerySet:
    rows: FiringQuerySet = Firing.objects.all()
    if (decision := request.GET.get("decision", "")) in Decision.values:
        rows = rows.filter(decision=decision)
    if rule := _number(request, "rule"):
        rows = rows.filter(rule_id=rule)
    if run := _number(request, "run"):
        rows = rows.filter(ended_id=run)
    return rows


def _number(request: HttpRequest, name: str) -> int | None:
    return whole_number(request.GET.get(name, ""))


urlpatterns = [path("rules/firings/", firings, name="firings")]
