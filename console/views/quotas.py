"""What outside APIs allow: how much is used and left, who holds and who waits, pause and open, windows, forecasts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.forms.quota_form import QuotaForm
from console.views.access import ConsoleRequest, back, needs
from console.views.shell import page, status_of
from console.whole_number import whole_number
from jobs import clock
from jobs.insight.forecast import forecast, needs_of_week
from jobs.models import Pipeline, Quota
from jobs.quotas.quotas import pause, reopen
from jobs.quotas.usage import usage, usages
from jobs.steps.admit import bring_forward

PAUSES: Final = {
    "15": "for 15 minutes",
    "60": "for an hour",
    "240": "for 4 hours",
    "1440": "for a day",
    "": "until somebody opens it",
}
MOST_ITEMS: Final = 1_000_000_000


@require_GET
@needs("jobs.view_quota")
def quotas(request: ConsoleRequest) -> HttpResponse:
    """All of them; for htmx only their cards."""
    at = clock.now()
    shown = {"usages": usages(at), "at": at}
    if request.htmx:
        return render(request, "quotas/_quotas.html", shown)
    return page(request, "quotas/index.html", shown, title="Quotas")


@require_GET
@needs("jobs.view_quota")
def quota(request: ConsoleRequest, pk: int) -> HttpResponse:
    """One quota; for htmx what changes by itself."""
    row, at = get_object_or_404(Quota.objects.prefetch_related("windows"), pk=pk), clock.now()
    shown = {"usage": usage(row, at), "quota": row, "at": at}
    if request.htmx:
        return render(request, "quotas/_usage.html", shown)
    more = {
        "pauses": PAUSES,
        "needs_of_week": needs_of_week(row, at),
        "takers": _takers(row),
        "asked": _forecast(request, row),
    }
    return page(request, "quotas/show.html", {**shown, **more}, title=row.name)


def _takers(row: Quota) -> list[Pipeline]:
    pipelines = Pipeline.objects.filter(is_registered=True).exclude(takes={}).select_related("project")
    return [pipeline for pipeline in pipelines if row.name in pipeline.takes]


def _forecast(request: ConsoleRequest, row: Quota) -> dict[str, Any]:
    """What was asked in the address, and the answer to it."""
    items, each = (_number(request.GET.get(name, "")) for name in ("items", "each"))
    asked: dict[str, Any] = {"items": items, "each": each or 1}
    if items:
        asked["done_at"] = forecast(items, row, clock.now(), requests_each=1 / (each or 1), rows_each=1)
    return asked


def _number(text: str) -> int | None:
    return min(whole_number(text.replace(",", "")) or 0, MOST_ITEMS) or None


@require_POST
@needs("jobs.pause_quota")
def quota_pause(request: ConsoleRequest, pk: int) -> HttpResponse:
    """Let nothing through for a while."""
    row, at, minutes = get_object_or_404(Quota, pk=pk), clock.now(), request.POST.get("minutes", "")
    until = at + timedelta(minutes=int(minutes)) if minutes in PAUSES and minutes else None
    pause(row.name, at=at, by=request.user.get_username(), reason=request.POST.get("reason", ""), until=until)
    messages.success(request, f"{row} is paused {PAUSES.get(minutes, PAUSES[''])}: what waits for it keeps waiting.")
    return redirect("quota", pk)


@require_POST
@needs("jobs.pause_quota")
def quota_open(request: ConsoleRequest, pk: int) -> HttpResponse:
    """End a pause, or what the API asked for."""
    row = get_object_or_404(Quota, pk=pk)
    reopen(row.name)
    bring_forward(clock.now())
    messages.success(request, f"{row} is open: only its windows limit it.")
    return redirect(back(request, "quota", pk))


@require_http_methods(["GET", "POST"])
@needs("jobs.add_quota")
def quota_new(request: ConsoleRequest) -> HttpResponse:
    """The form of a new one."""
    return _edit(request, Quota(), "New quota")


@require_http_methods(["GET", "POST"])
@needs("jobs.change_quota")
def quota_edit(request: ConsoleRequest, pk: int) -> HttpResponse:
    """Its form."""
    row = get_object_or_404(Quota, pk=pk)
    return _edit(request, row, f"Edit {row}")


def _edit(request: ConsoleRequest, row: Quota, title: str) -> HttpResponse:
    is_new, old = row.pk is None, row.name
    form = QuotaForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid() and (saved := form.saved_as_seen(form.save_all)):
        _note(request, saved, form, ADDITION if is_new else CHANGE)
        bring_forward(clock.now())
        messages.success(request, f"{saved} is saved; its limits apply from now on.")
        return redirect("quota", saved.pk)
    context = {"form": form, "quota": row, "name": old, "is_new": is_new}
    return page(request, "quotas/edit.html", context, title=title, status=status_of(form))


def _note(request: ConsoleRequest, row: Quota, form: QuotaForm, flag: int) -> None:
    """Who changed what, where the admin's history shows it."""
    change = {"added": {}} if flag == ADDITION else {"changed": {"fields": form.changed_data}}
    LogEntry.objects.log_actions(request.user.pk or 0, [row], flag, [change], single_object=True)


urlpatterns = [
    path("quotas/", quotas, name="quotas"),
    path("quotas/new/", quota_new, name="quota_new"),
    path("quotas/<int:pk>/", quota, name="quota"),
    path("quotas/<int:pk>/edit/", quota_edit, name="quota_edit"),
    path("quotas/<int:pk>/pause/", quota_pause, name="quota_pause"),
    path("quotas/<int:pk>/open/", quota_open, name="quota_open"),
]
