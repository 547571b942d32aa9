"""Ticks: every due time of every schedule, with what came of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from unfold.decorators import display

from console.admin.lists import Facts, link, run_link
from jobs.models import Tick

COLOURS = {
    "about to start": "primary",
    "started": "success",
    "skipped: another run was still going": "info",
    "paused": "info",
    "missed": "warning",
    "refused": "danger",
    "had started already": "info",
    "made up for": "success",
}


@admin.register(Tick)
class TickAdmin(Facts):
    list_display = ("due_at", "of_schedule", "came_of_it", "reason", "started", "lateness_seconds")
    list_filter = ("decision", "schedule")
    list_select_related = ("schedule__periodic_task",)
    search_fields = ("schedule__periodic_task__name",)
    search_help_text = "A schedule's name"
    ordering = ("-due_at", "-id")
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tick]:
        rows: QuerySet[Tick] = super().get_queryset(request)
        return rows.select_related("schedule__periodic_task")

    @display(description="Schedule")
    def of_schedule(self, tick: Tick) -> str:
        return link(tick.schedule, f"{reverse('schedule', args=[tick.schedule_id])}?tick={tick.pk}")

    @display(description="Decision", label=COLOURS)
    def came_of_it(self, tick: Tick) -> str:
        return str(tick.get_decision_display())

    @display(description="Run")
    def started(self, tick: Tick) -> Any:
        return run_link(tick.run_id) if tick.run_id else ""
