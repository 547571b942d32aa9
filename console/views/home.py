"""Home: what is missing, what runs now, what went wrong lately, what comes next."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET

from console.pages.findings import lately
from console.pages.run_list import SHOWN
from console.views.access import ConsoleRequest, needs
from console.views.shell import page
from jobs import clock
from jobs.insight.examine import examine
from jobs.insight.examine_waits import examine_waits
from jobs.models import Artifact, Run, Tick
from jobs.quotas.usage import usages
from jobs.schedules.due import upcoming
from jobs.states import LIVE

ROWS = 8
LOOKED_AT = 100
LATELY = timedelta(days=7)


@require_GET
@needs("jobs.view_run")
def home(request: ConsoleRequest) -> HttpResponse:
    """The page, or for htmx what it refreshes."""
    shown = _shown(request)
    if request.htmx:
        return render(request, "home/_home.html", shown)
    return page(request, "home/show.html", shown, title="Home")


def _shown(request: ConsoleRequest) -> dict[str, Any]:
    at, may_see_quotas = clock.now(), request.user.has_perm("jobs.view_quota")
    rows = Run.objects.newest().only(*SHOWN)
    quotas = usages(at)
    findings = [*lately("ground", lambda: examine(clock.now())), *examine_waits(at, quotas)]
    newest = list(Artifact.objects.order_by("-id").values_list("pk", flat=True)[:ROWS])
    artifacts = Artifact.objects.select_related("run__pipeline").only(
        "uuid", "name", "size_bytes", "created_at", "run__pipeline__name"
    )
    return {
        "at": at,
        "findings": findings,
        "is_all_well": all(finding.is_ok for finding in findings),
        "is_amber": all(finding.is_ok or finding.is_amber for finding in findings),
        "live": rows.filter(status__in=sorted(LIVE))[:ROWS],
        "failures": _alike(rows.gone_wrong(LOOKED_AT, since=at - LATELY))[:ROWS],
        "artifacts": artifacts.filter(pk__in=newest).order_by("-id"),
        "upcoming": upcoming(at, ROWS),
        "troubled": Tick.objects.troubled().newest()[:ROWS] if request.user.has_perm("jobs.view_tick") else [],
        "usages": [usage for usage in quotas if usage.is_near_end][:ROWS] if may_see_quotas else [],
    }


def _alike(runs: list[Run]) -> list[tuple[Run, int]]:
    """The newest of those that ended with the same sentence in the same pipeline, and how many there are."""
    groups: dict[tuple[int, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.pipeline_id, run.status, run.error), []).append(run)
    return [(group[0], len(group)) for group in groups.values()]


urlpatterns = [path("", home, name="home")]
