"""Two runs of one pipeline side by side."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.http import require_GET

from console.pages.compare_page import context, usual_other
from console.views.access import ConsoleRequest, needs
from console.views.run import answer, find
from console.whole_number import whole_number
from jobs.models import Run


@require_GET
@needs("jobs.view_run")
def run_compare(request: ConsoleRequest, number: int) -> HttpResponse:
    """With the run that `with` names, else with the last success."""
    run = find(number, is_whole=True)
    asked = request.GET.get("with", "").strip().lstrip("#")
    other = _named(run, asked) if asked else usual_other(run)
    if asked and other is None:
        messages.error(request, f"There is no other run #{asked[:20]} of {run.pipeline.name}: choose one of its runs.")
    return answer(request, run, "compare", **context(run, other), title=f"Compare run #{number}")


def _named(run: Run, asked: str) -> Run | None:
    if (number := whole_number(asked)) is None:
        return None
    rows = Run.objects.filter(pipeline=run.pipeline_id).exclude(pk=run.pk).select_related("pipeline", "snapshot")
    return rows.defer("snapshot__content").filter(pk=number).first()


urlpatterns = [path("runs/<int:number>/compare/", run_compare, name="run_compare")]
