"""Past dates that are run after the fact: the list, the form with its table of dates, one with its progress."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.forms.backfill_form import BackfillForm
from console.views.access import ConsoleRequest, needs
from console.views.shell import page
from console.whole_number import whole_number
from jobs import clock
from jobs.backfills.begin import begin
from jobs.backfills.control import change, pause, resume, run_again, stop
from jobs.backfills.plan import Plan, plan
from jobs.errors import BadParameters, ConsoleError
from jobs.insight.durations import usual
from jobs.models import Backfill, BackfillDate, Pipeline
from jobs.states import DateStatus, Direction
from jobs.structure.paths import written

SCREEN: Final = 50
DATES: Final = 200
LOOKS: Final = {DateStatus.SKIPPED: "reused"}
"""In the colours of which status of a run a date is shown, where it is not its own."""


@dataclass(frozen=True)
class Progress:
    """How far a backfill is: how many dates of each status, and about how long the rest takes."""

    counts: dict[str, int]
    left_seconds: float | None

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        return self.total - self.counts[DateStatus.WAITING] - self.counts[DateStatus.RUNNING]

    @property
    def parts(self) -> list[tuple[str, str, int]]:
        """(status, look, count) of each status that there is, as the bar shows them."""
        return [
            (status, LOOKS.get(DateStatus(status), status), self.counts[status])
            for status in ORDER
            if self.counts[status]
        ]

    @property
    def unsuccessful(self) -> int:
        return self.counts[DateStatus.FAILED] + self.counts[DateStatus.CANCELLED]


ORDER: Final = ("succeeded", "skipped", "failed", "cancelled", "running", "waiting")


@require_GET
@needs("jobs.view_backfill")
def backfills(request: ConsoleRequest) -> HttpResponse:
    """The newest first; for htmx their table alone."""
    before = whole_number(request.GET.get("before", ""))
    rows = list(Backfill.objects.newest().before(before)[: SCREEN + 1])
    shown = rows[:SCREEN]
    counts = BackfillDate.objects.counts_of(shown)
    context = {
        "entries": [{"row": row, "progress": Progress(counts[row.pk], None)} for row in shown],
        "older": shown[-1].pk if len(rows) > SCREEN else None,
        "live": before is None and any(not row.is_over for row in shown),
    }
    if request.htmx:
        return render(request, "backfills/_rows.html", context)
    return page(request, "backfills/index.html", context, title="Backfills")


@require_GET
@needs("jobs.view_backfill")
def backfill(request: ConsoleRequest, pk: int) -> HttpResponse:
    """One of them; for htmx what changes while it goes on."""
    row = get_object_or_404(Backfill.objects.newest(), pk=pk)
    context = {"backfill": row, "same_dates": _same_dates(row), **_state(row), **_dates(request, row)}
    if request.htmx:
        return render(request, "backfills/_backfill.html", context)
    return page(request, "backfills/show.html", context, title=f"Backfill #{pk}")


def _same_dates(row: Backfill) -> str:
    """The query that asks the form for these dates."""
    asked = QueryDict(mutable=True)
    asked.update({"pipeline": str(row.pipeline_id), "from": str(row.first_day), "to": str(row.last_day)})
    if row.schedule_id:
        asked["schedule"] = str(row.schedule_id)
    return f"?{asked.urlencode()}"


def _state(row: Backfill) -> dict[str, Any]:
    counts = row.dates.counts()
    lately = usual(row.pipeline_id)
    left = counts[DateStatus.WAITING] + counts[DateStatus.RUNNING]
    seconds = lately.median * -(-left // row.at_once) if lately and left else None
    return {
        "progress": Progress(counts, seconds),
        "directions": Direction.choices,
        "date_parameter": written(row.path),
        "at": clock.now(),
    }


def _dates(request: ConsoleRequest, row: Backfill) -> dict[str, Any]:
    """A page of its dates in their order, or of those with one status."""
    wanted = request.GET.get("status", "")
    start = whole_number(request.GET.get("start", ""), most=99_999_999) or 0
    rows = row.dates.select_related("run").defer("run__results", "run__parameters", "run__resolved_parameters")
    if wanted in DateStatus.values:
        rows = rows.filter(status=wanted)
    order = "due_at" if row.direction == Direction.OLDEST else "-due_at"
    found = list(rows.order_by(order)[start : start + DATES + 1])
    return {
        "dates": [(date, LOOKS.get(DateStatus(date.status), date.status)) for date in found[:DATES]],
        "wanted": wanted if wanted in DateStatus.values else "",
        "start": start,
        "further": start + DATES if len(found) > DATES else None,
    }


@require_http_methods(["GET", "POST"])
@needs("jobs.start_pipeline")
def backfill_new(request: ConsoleRequest) -> HttpResponse:
    """The form; posted, it begins the backfill and leads to it."""
    row = _pipeline(request)
    if row is None:
        rows = Pipeline.objects.filter(is_registered=True).select_related("project").order_by("project__name", "name")
        return page(request, "backfills/choose.html", {"pipelines": rows}, title="New backfill")
    at = clock.now()
    form = BackfillForm(row, at=at, data=request.POST or None, asked=request.GET.dict())
    if request.method == "POST" and form.is_valid() and (begun := _begin(request, form, at)):
        messages.success(request, f"The {begun} is under way.")
        return redirect("backfill", begun.pk)
    planned = _planned(form, at) if request.method == "POST" else _planned(_as_typed(form, at), at)
    context = {"form": form, "pipeline": row, **planned}
    status = 422 if form.errors else 200
    return page(request, "backfills/new.html", context, title=f"Backfill {row.name}", status=status)


def _pipeline(request: ConsoleRequest) -> Pipeline | None:
    number = whole_number(request.POST.get("pipeline", "") or request.GET.get("pipeline", ""))
    if number is None:
        return None
    row = get_object_or_404(Pipeline.objects.select_related("project"), pk=number)
    row.project.remember_snapshot()
    return row


def _as_typed(form: BackfillForm, at: datetime) -> BackfillForm:
    """The form as if what it shows at first had been sent."""
    shown = {name: form[name].value() or "" for name in form.fields}
    return BackfillForm(form.pipeline, at=at, data=shown, schedules=form.schedules)


def _begin(request: ConsoleRequest, form: BackfillForm, at: datetime) -> Backfill | None:
    try:
        return begin(form.wanted(), at=at, by=request.user)
    except BadParameters as refusal:
        form.refuse(refusal)
    except ConsoleError as refusal:
        form.add_error(None, str(refusal))
    return None


def _planned(form: BackfillForm, at: datetime) -> dict[str, Any]:
    """The table of dates with its totals, or why there is none."""
    if not form.is_valid():
        return {"plan": None, "refusals": [str(each) for errors in form.errors.values() for each in errors]}
    try:
        found: Plan = plan(form.wanted(), at)
    except BadParameters as refusal:
        return {"plan": None, "refusals": [f"{name}: {sentence}" for name, sentence in refusal.fields.items()]}
    except ConsoleError as refusal:
        return {"plan": None, "refusals": [str(refusal)]}
    return {"plan": found, "dates": found.dates[:DATES], "more": max(0, len(found.dates) - DATES)}


@require_POST
@needs("jobs.start_pipeline")
def backfill_preview(request: ConsoleRequest) -> HttpResponse:
    """The table of dates for the form as it stands."""
    row, at = _pipeline(request), clock.now()
    if row is None:
        return HttpResponse(status=422)
    form = BackfillForm(row, at=at, data=request.POST)
    return render(request, "backfills/_plan.html", {"form": form, "pipeline": row, **_planned(form, at)})


@require_POST
@needs("jobs.control_backfill")
def backfill_pause(request: ConsoleRequest, pk: int) -> HttpResponse:
    """Start no further date until it is resumed."""
    row = get_object_or_404(Backfill, pk=pk)
    return _done(request, row, pause, "It starts no further date until it is resumed; what runs goes on.")


@require_POST
@needs("jobs.control_backfill")
def backfill_resume(request: ConsoleRequest, pk: int) -> HttpResponse:
    """Go on with the next dates."""
    return _done(request, get_object_or_404(Backfill, pk=pk), resume, "It goes on.")


def _done(request: ConsoleRequest, row: Backfill, act: Any, said: str) -> HttpResponse:
    try:
        act(row, at=clock.now(), by=request.user.get_username())
        messages.success(request, said)
    except ConsoleError as refusal:
        messages.error(request, str(refusal))
    return redirect("backfill", row.pk)


@require_POST
@needs("jobs.control_backfill")
def backfill_stop(request: ConsoleRequest, pk: int) -> HttpResponse:
    """Start no date any more; with `runs` cancel what is under way too."""
    row, cancels = get_object_or_404(Backfill, pk=pk), request.POST.get("runs") == "1"
    try:
        count = stop(row, at=clock.now(), by=request.user.get_username(), cancels_runs=cancels)
        asked = f" {count} of its runs were asked to stop." if count else ""
        messages.success(request, f"It is stopped and starts no further date.{asked}")
    except ConsoleError as refusal:
        messages.error(request, str(refusal))
    return redirect("backfill", pk)


@require_POST
@needs("jobs.control_backfill")
def backfill_change(request: ConsoleRequest, pk: int) -> HttpResponse:
    """Another limit or order."""
    row = get_object_or_404(Backfill, pk=pk)
    at_once = whole_number(request.POST.get("at_once", ""))
    try:
        change(row, at=clock.now(), at_once=at_once or 0, direction=request.POST.get("direction") or None)
        messages.success(request, f"From now on {row.at_once} at once, {row.get_direction_display()}.")
    except ConsoleError as refusal:
        messages.error(request, str(refusal))
    return redirect("backfill", pk)


@require_POST
@needs("jobs.control_backfill")
def backfill_again(request: ConsoleRequest, pk: int) -> HttpResponse:
    """Run the dates once more that did not succeed."""
    row = get_object_or_404(Backfill, pk=pk)
    try:
        count = run_again(row, at=clock.now(), by=request.user.get_username())
        messages.success(request, f"{count:,} {'date runs' if count == 1 else 'dates run'} again.")
    except ConsoleError as refusal:
        messages.error(request, str(refusal))
    return redirect("backfill", pk)


urlpatterns = [
    path("backfills/", backfills, name="backfills"),
    path("backfills/new/", backfill_new, name="backfill_new"),
    path("backfills/new/preview/", backfill_preview, name="backfill_preview"),
    path("backfills/<int:pk>/", backfill, name="backfill"),
    path("backfills/<int:pk>/pause/", backfill_pause, name="backfill_pause"),
    path("backfills/<int:pk>/resume/", backfill_resume, name="backfill_resume"),
    path("backfills/<int:pk>/stop/", backfill_stop, name="backfill_stop"),
    path("backfills/<int:pk>/change/", backfill_change, name="backfill_change"),
    path("backfills/<int:pk>/again/", backfill_again, name="backfill_again"),
]
