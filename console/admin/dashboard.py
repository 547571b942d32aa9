"""The admin's front page: what goes on, then every list of records."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.http import HttpRequest

from console.pages.records import grouped
from jobs import clock
from jobs.models import Act, Run, Schedule, Worker
from jobs.states import LIVE

ROWS: Final = 6
LATELY: Final = timedelta(hours=24)


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the front page shows beyond what the admin gives it."""
    at = clock.now()
    runs = Run.objects.newest()
    due = Schedule.objects.filter(paused_since=None, next_due_at__isnull=False).order_by("next_due_at")
    may = request.user.has_perm
    return {
        **context,
        "groups": grouped(context.get("app_list", [])),
        "live": runs.filter(status__in=sorted(LIVE))[:ROWS] if may("jobs.view_run") else [],
        "failed": runs.gone_wrong(ROWS, since=at - LATELY) if may("jobs.view_run") else [],
        "next": due.select_related("periodic_task", "pipeline__project")[:ROWS],
        "workers": Worker.objects.alive(at).order_by("name")[:ROWS] if may("jobs.view_worker") else [],
        "acts": Act.objects.narrowed()[:ROWS] if may("jobs.view_act") else [],
        "at": at,
    }
