"""Who works: the workers with what each is at, what waits for them in each queue, and what they stand on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from console.pages.findings import lately
from console.views.access import ConsoleRequest, back, needs
from console.views.shell import page
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import RequestError
from jobs.insight.examine import examine_workers
from jobs.insight.queues import at_work, queues, records
from jobs.models import Worker

MOST = 200
EXAMINED_FOR_SECONDS = 10
DONE = {
    "pause": "{} was asked to take no new steps.",
    "resume": "{} was asked to take steps again.",
    "drain": "{} was asked to finish its steps and to end.",
}


@require_GET
@needs("jobs.view_worker")
def workers(request: ConsoleRequest) -> HttpResponse:
    """The page, or for htmx its cards."""
    shown = _shown(clock.now())
    if request.htmx:
        return render(request, "workers/_workers.html", shown)
    return page(request, "workers/index.html", shown, title="Workers")


def _shown(at: datetime) -> dict[str, Any]:
    known = list(Worker.objects.order_by("-heartbeat_at")[:MOST])
    names = [worker.name for worker in known]
    work, did = at_work(names), records(names, at)
    findings = lately("workers", lambda: examine_workers(clock.now()))
    return {
        "workers": [
            {"worker": row, "state": row.state(at), "work": work.get(row.name, []), "record": did.get(row.name)}
            for row in known
        ],
        "queues": queues(at),
        "findings": findings,
        "is_all_well": all(finding.is_ok for finding in findings),
        "is_amber": all(finding.is_ok or finding.is_amber for finding in findings),
        "at": at,
    }


@require_POST
@needs("jobs.control_worker")
def worker_control(request: ConsoleRequest, pk: int, verb: str) -> HttpResponse:
    """Pause, resume or drain it."""
    worker = get_object_or_404(Worker, pk=pk)
    try:
        getattr(worker, verb)(at=clock.now(), by=request.user.get_username())
        messages.success(request, DONE[verb].format(worker))
    except RequestError as refusal:
        messages.error(request, str(refusal))
    return redirect(back(request, "workers"))


@require_POST
@needs("jobs.control_worker")
def worker_slots(request: ConsoleRequest, pk: int) -> HttpResponse:
    """Give it another number of slots."""
    worker = get_object_or_404(Worker, pk=pk)
    asked = request.POST.get("slots", "").strip()
    try:
        slots = whole_number(asked, most=99_999) or 0
        worker.resize(slots, at=clock.now(), by=request.user.get_username())
        messages.success(request, f"{worker} was asked to run {slots} steps at once.")
    except RequestError as refusal:
        messages.error(request, str(refusal))
    return redirect(back(request, "workers"))


urlpatterns = [
    path("workers/", workers, name="workers"),
    *[path(f"workers/<int:pk>/{verb}/", worker_control, {"verb": verb}, name=f"worker_{verb}") for verb in DONE],
    path("workers/<int:pk>/slots/", worker_slots, name="worker_slots"),
]
