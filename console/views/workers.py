"""Who works: the workers with their heartbeats, and what waits for them in each queue."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET

from console.views.access import needs
from console.views.shell import page
from jobs import clock
from jobs.models import Worker
from jobs.queues import queues

MOST = 200


@require_GET
@needs("jobs.view_worker")
def workers(request: HttpRequest) -> HttpResponse:
    """The page, or for htmx its two tables."""
    at = clock.now()
    known = Worker.objects.order_by("-heartbeat_at")[:MOST]
    rows = [{"worker": worker, "is_alive": worker.is_alive(at)} for worker in known]
    shown = {"workers": rows, "queues": queues(at), "at": at}
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "workers/_workers.html", shown)
    return page(request, "workers/index.html", shown, title="Workers")


urlpatterns = [path("workers/", workers, name="workers")]
