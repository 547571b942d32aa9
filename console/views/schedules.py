"""The list of schedules, the page of one with its ticks, and what one may do to them."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_POST

from console.forms.pause_form import PauseForm
from console.pages import schedule_list as shown
from console.views.access import ConsoleRequest, back, needs
from console.views.shell import page
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import ConsoleError
from jobs.insight.prove import prove
from jobs.models import Schedule, Tick
from jobs.schedules.bars import SHOWN, last_ticks
from jobs.schedules.edit import delete
from jobs.schedules.start import dismiss, make_up, run_now
from jobs.schedules.switch import pause, resume

SCREEN: Final = SHOWN
LONGEST_SEARCH: Final = 200


@require_GET
@needs("jobs.view_schedule")
def schedules(request: ConsoleRequest) -> HttpResponse:
    """The list, or with `view=month` a month of due times."""
    at, search = clock.now(), request.GET.get("q", "").strip()[:LONGEST_SEARCH]
    rows = shown.found(search)
    is_month = request.GET.get("view") == "month"
    context: dict[str, Any] = {"search": search, "total": len(rows), "is_month": is_month, "most": shown.MOST, "at": at}
    if is_month:
        first = shown.month_asked(request.GET.get("month", ""), at)
        context["month"] = shown.month_of(rows, first, at)
    else:
        context["entries"] = shown.entries(rows, at)[: shown.MOST]
    return page(request, "schedules/index.html", context, title="Schedules")


@require_GET
@needs("jobs.view_schedule")
def schedule(request: ConsoleRequest, pk: int) -> HttpResponse:
    """The page; `tick` opens one of its ticks beside it, `before` shows those that were due earlier."""
    row, at = find(pk), clock.now()
    ticks = Tick.objects.filter(schedule=row).newest()
    before = whole_number(request.GET.get("before", ""))
    if before is not None and (oldest := Tick.objects.filter(schedule=row, pk=before).first()):
        ticks = ticks.filter(due_at__lt=oldest.due_at)
    found = list(ticks[: SCREEN + 1])
    newest = last_ticks([row])[row.pk] if before is not None else found[SCREEN - 1 :: -1]
    entry = shown.entry_of(row, newest, at)
    upcoming = None if row.is_over or row.pipeline is None else prove(row, at=at)
    context = {
        "schedule": row,
        "entry": entry,
        "is_paused": row.is_paused(at),
        "proof": upcoming,
        "bars": shown.bars_of(found[:SCREEN]),
        "older": found[SCREEN - 1].pk if len(found) > SCREEN else None,
        "tick": _tick_asked(request, row),
        "pause_form": PauseForm(zone=row.zone),
        "at": at,
    }
    return page(request, "schedules/show.html", context, title=row.name)


def _tick_asked(request: ConsoleRequest, row: Schedule) -> shown.Bar | None:
    number = whole_number(request.GET.get("tick", ""))
    tick = Tick.objects.filter(schedule=row).newest().filter(pk=number).first() if number is not None else None
    return shown.bars_of([tick])[0] if tick else None


def find(pk: int) -> Schedule:
    return get_object_or_404(Schedule.objects.known().select_related("owner"), pk=pk)


def find_tick(pk: int, tick: int) -> Tick:
    return get_object_or_404(
        Tick.objects.select_related("schedule__periodic_task", "schedule__pipeline__project", "run"),
        pk=tick,
        schedule=pk,
    )


@require_GET
@needs("jobs.view_tick")
def schedule_tick(request: ConsoleRequest, pk: int, tick: int) -> HttpResponse:
    """Why it did or did not run: the drawer of the schedule's page, which opens with it."""
    row = find_tick(pk, tick)
    if not request.htmx:
        return redirect(f"{reverse('schedule', args=[pk])}?tick={tick}")
    return render(request, "schedules/_tick.html", {"bar": shown.bars_of([row])[0], "schedule": row.schedule})


@require_POST
@needs("jobs.pause_schedule")
def schedule_pause(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = find(pk)
    form = PauseForm(request.POST, zone=row.zone)
    if form.is_valid():
        by = request.user.get_username()
        _do(request, f"{row.name} is paused.", pause, row, at=clock.now(), by=by, **form.wanted)
    else:
        messages.error(request, " ".join(str(said) for errors in form.errors.values() for said in errors))
    return redirect(back(request, "schedule", pk))


@require_POST
@needs("jobs.pause_schedule")
def schedule_resume(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = find(pk)
    said = f"{row.name} goes on: due times from now on count."
    _do(request, said, resume, row, at=clock.now(), by=request.user.get_username())
    return redirect(back(request, "schedule", pk))


@require_POST
@needs("jobs.start_pipeline")
def schedule_run(request: ConsoleRequest, pk: int) -> HttpResponse:
    """One extra run; its own due times do not change."""
    row = find(pk)
    _start(request, row.name, run_now, row)
    return redirect(back(request, "schedule", pk))


@require_POST
@needs("jobs.start_pipeline")
def schedule_tick_run(request: ConsoleRequest, pk: int, tick: int) -> HttpResponse:
    row = find_tick(pk, tick)
    _start(request, f"The due time of {row.schedule.name}", make_up, row)
    return redirect(back(request, "schedule", pk))


@require_POST
@needs("jobs.pause_schedule")
def schedule_tick_dismiss(request: ConsoleRequest, pk: int, tick: int) -> HttpResponse:
    row = find_tick(pk, tick)
    by = request.user.get_username()
    _do(request, "Dismissed: it is no trouble any more.", dismiss, row, at=clock.now(), by=by)
    return redirect(back(request, "schedule", pk))


@require_POST
@needs("jobs.delete_schedule")
def schedule_delete(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = find(pk)
    name = row.name
    _do(request, f"{name} was deleted; the runs that it started stay.", delete, row)
    return redirect("schedules")


def _do(request: ConsoleRequest, said: str, verb: Any, *args: Any, **named: Any) -> None:
    try:
        verb(*args, **named)
    except ConsoleError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, said)


def _start(request: ConsoleRequest, what: str, verb: Any, row: Any) -> None:
    try:
        run = verb(row, at=clock.now(), by=request.user)
    except ConsoleError as refusal:
        messages.error(request, str(refusal))
        return
    link = format_html('<a class="kc-link" href="{}">run #{}</a>', run.get_absolute_url(), run.pk)
    messages.success(request, format_html("{} started {}.", what, link))


urlpatterns = [
    path("schedules/", schedules, name="schedules"),
    path("schedules/<int:pk>/", schedule, name="schedule"),
    path("schedules/<int:pk>/pause/", schedule_pause, name="schedule_pause"),
    path("schedules/<int:pk>/resume/", schedule_resume, name="schedule_resume"),
    path("schedules/<int:pk>/run/", schedule_run, name="schedule_run"),
    path("schedules/<int:pk>/delete/", schedule_delete, name="schedule_delete"),
    path("schedules/<int:pk>/ticks/<int:tick>/", schedule_tick, name="schedule_tick"),
    path("schedules/<int:pk>/ticks/<int:tick>/run/", schedule_tick_run, name="schedule_tick_run"),
    path("schedules/<int:pk>/ticks/<int:tick>/dismiss/", schedule_tick_dismiss, name="schedule_tick_dismiss"),
]
