"""Write a rule, with the proof beside it of what it would have done."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_http_methods, require_POST

from console.forms.rule_form import RulePageForm
from console.views.access import ConsoleRequest, needs
from console.views.rules import find, numbered
from console.views.shell import page, status_of
from console.whole_number import whole_number
from jobs import clock
from jobs.models import Rule
from jobs.rules.edit import BadRule, save_rule
from jobs.rules.rehearse import try_rule


@require_http_methods(["GET", "POST"])
@needs("jobs.add_rule")
def rule_new(request: ConsoleRequest) -> HttpResponse:
    return _edit(request, Rule(), "New rule")


@require_http_methods(["GET", "POST"])
@needs("jobs.change_rule")
def rule_edit(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = find(pk)
    return _edit(request, row, row.name)


def _edit(request: ConsoleRequest, row: Rule, title: str) -> HttpResponse:
    form = RulePageForm(request.POST or None, instance=row, initial=_initial(request))
    if request.method == "POST" and form.is_valid() and _saved(request, form):
        return redirect("rule", form.instance.pk)
    context = {"form": form, "rule": row if row.pk else None, "trial": form.trial}
    return page(request, "rules/edit.html", context, title=title, status=status_of(form))


def _initial(request: ConsoleRequest) -> dict[str, Any]:
    """What a link to the form asks for: the pipeline that the rule starts from."""
    source = whole_number(request.GET.get("source", ""))
    return {"sources": [source]} if source else {}


def _saved(request: ConsoleRequest, form: RulePageForm) -> bool:
    try:
        form.saved_as_seen(lambda: save_rule(form.instance, form.sources, at=clock.now(), by=request.user))
    except BadRule as refusal:
        form.refuse(refusal)
        return False
    if form.stale:
        return False
    messages.success(request, f"{form.instance} is saved.")
    return True


@require_POST
@needs("jobs.change_rule")
def rule_proof(request: ConsoleRequest, pk: int = 0) -> HttpResponse:
    """What the rule as it is typed would do: with the run that is named, else with the newest that fits."""
    form = RulePageForm(request.POST, instance=find(pk) if pk else Rule())
    form.is_valid()
    trial, asked = form.trial, request.POST.get("with_run", "").strip().removeprefix("#")
    if asked and not form.errors and (run := numbered(asked)):
        trial = try_rule(form.instance, run, clock.now(), sources=form.sources)
    missing = f"There is no run #{asked[:20]}." if asked and not numbered(asked) else ""
    return render(request, "rules/_proof.html", {"form": form, "trial": trial, "missing": missing})


urlpatterns = [
    path("rules/new/", rule_new, name="rule_new"),
    path("rules/<int:pk>/edit/", rule_edit, name="rule_edit"),
    path("rules/proof/", rule_proof, name="rule_new_proof"),
    path("rules/<int:pk>/proof/", rule_proof, name="rule_proof"),
]
