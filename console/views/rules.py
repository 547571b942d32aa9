"""The map of rules, the page of one, its trial with a past run, and turning it on and off."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from console.pages import rules as shown
from console.views.access import ConsoleRequest, needs
from console.views.shell import page
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import ConsoleError
from jobs.models import Firing, Rule, Run
from jobs.rules.edit import delete_rule, switch_rule
from jobs.rules.rehearse import Trial, past_run, try_rule


@require_GET
@needs("jobs.view_rule")
def rules(request: ConsoleRequest) -> HttpResponse:
    rows = list(shown.rules()[: shown.MOST])
    entries = [{"rule": row, "when": shown.when(row)} for row in rows]
    context = {"entries": entries, "drawing": shown.draw_map(rows), "most": shown.MOST, "colours": shown.COLOURS}
    return page(request, "rules/index.html", context, title="Rules")


@require_GET
@needs("jobs.view_rule")
def rule(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = find(pk)
    sources = list(row.sources.all())
    last = Firing.objects.filter(rule=row).newest()[: shown.LAST]
    past = past_run(row, sources)
    context = {
        "rule": row,
        "when": shown.when(row),
        "sources": sources,
        "firings": list(last),
        "waiting": shown.waiting(row),
        "drawing": shown.draw_map(_neighbours(row)),
        "past": past,
        "colours": shown.COLOURS,
    }
    return page(request, "rules/show.html", context, title=row.name)


def find(pk: int) -> Rule:
    return get_object_or_404(shown.rules(), pk=pk)


def _neighbours(row: Rule) -> list[Rule]:
    """The rule itself, and those that its pipelines have in common with it."""
    near = {row.target_id, *(source.pk for source in row.sources.all())}
    by_source = Rule.sources.through.objects.filter(pipeline_id__in=near).values("rule_id")
    rows = shown.rules()
    return list((rows.filter(pk__in=by_source) | rows.filter(target_id__in=near))[: shown.MOST])


@require_GET
@needs("jobs.test_rule")
def rule_try(request: ConsoleRequest, pk: int) -> HttpResponse:
    """What it would do with one run, as the fragment that the page includes."""
    row = find(pk)
    asked = request.GET.get("run", "").strip().removeprefix("#")
    run = numbered(asked)
    trial: Trial | None = try_rule(row, run, clock.now()) if run else None
    missing = "" if run else f"There is no run #{asked[:20]}." if asked else "Write the number of a run."
    return render(request, "rules/_trial.html", {"trial": trial, "missing": missing, "rule": row})


def numbered(text: str) -> Run | None:
    """The run of this number, None when there is none."""
    if (number := whole_number(text)) is None:
        return None
    return Run.objects.select_related("pipeline__project").filter(pk=number).first()


@require_POST
@needs("jobs.change_rule")
def rule_switch(request: ConsoleRequest, pk: int, is_enabled: bool) -> HttpResponse:
    row = find(pk)
    try:
        switch_rule(row, is_enabled=is_enabled, at=clock.now(), by=request.user)
        messages.success(request, f"{row} is {'on' if is_enabled else 'off'}.")
    except ConsoleError as refusal:
        messages.error(request, str(refusal))
    return redirect("rule", pk)


@require_POST
@needs("jobs.delete_rule")
def rule_delete(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = find(pk)
    delete_rule(row)
    messages.success(request, f"{row} was deleted; what it started stays.")
    return redirect("rules")


urlpatterns = [
    path("rules/", rules, name="rules"),
    path("rules/<int:pk>/", rule, name="rule"),
    path("rules/<int:pk>/try/", rule_try, name="rule_try"),
    path("rules/<int:pk>/enable/", rule_switch, {"is_enabled": True}, name="rule_enable"),
    path("rules/<int:pk>/disable/", rule_switch, {"is_enabled": False}, name="rule_disable"),
    path("rules/<int:pk>/delete/", rule_delete, name="rule_delete"),
]
