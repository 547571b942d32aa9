"""Backfills and their dates: people look at them here, and pause, resume or stop them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from console.admin.lists import Facts, link, parameters_text, run_link
from jobs import clock
from jobs.backfills.control import pause, resume, run_again, stop
from jobs.errors import ConsoleError
from jobs.models import Backfill, BackfillDate

COLOURS = {"running": "primary", "paused": "warning", "stopped": "danger", "finished": "success"}
DATE_COLOURS = {
    "waiting": "info",
    "running": "primary",
    "succeeded": "success",
    "failed": "danger",
    "cancelled": "warning",
    "skipped": "info",
}


@admin.register(Backfill)
class BackfillAdmin(Facts):
    list_display = ("name", "state", "pipeline", "first_day", "last_day", "at_once", "requested_by_name", "created_at")
    list_select_related = ("pipeline__project",)
    search_fields = ("=id", "=requested_by_name", "=pipeline__name")
    search_help_text = "The number of a backfill, who began it, or a pipeline's name"
    ordering = ("-id",)
    sortable_by = ()
    actions = ("pause", "resume", "stop", "run_again")
    fields = (
        *("page", "state", "pipeline", "schedule", "rule_words", "zone", "first_day", "last_day", "again", "direction"),
        *("at_once", "date_parameter", "parameters_as_text", "selection", "runner", "wait_reason", "eligible_at"),
        *("paused_at", "paused_by", "requested_by_name", "created_at", "finished_at", "stopped_by"),
    )

    def has_control_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.control_backfill")

    @admin.action(description="Pause: start no further date", permissions=["control"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Backfill]) -> None:
        self._each(request, queryset, pause, "Paused: what runs goes on.")

    @admin.action(description="Resume: go on with the next dates", permissions=["control"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Backfill]) -> None:
        self._each(request, queryset, resume, "Resumed.")

    @admin.action(description="Stop: start no date any more", permissions=["control"])
    def stop(self, request: HttpRequest, queryset: QuerySet[Backfill]) -> None:
        self._each(request, queryset, stop, "Stopped: what runs goes on to its end.")

    @admin.action(description="Run what did not succeed again", permissions=["control"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[Backfill]) -> None:
        self._each(request, queryset, run_again, "What did not succeed runs again.")

    def _each(self, request: HttpRequest, rows: QuerySet[Backfill], act: Callable[..., Any], said: str) -> None:
        done = 0
        for row in rows:
            try:
                act(row, at=clock.now(), by=request.user.get_username())
                done += 1
            except ConsoleError as refusal:
                self.message_user(request, f"{row}: {refusal}", messages.ERROR)
        if done:
            self.message_user(request, said, messages.SUCCESS)

    @display(description="Backfill")
    def name(self, row: Backfill) -> str:
        return str(row)

    @display(description="Page")
    def page(self, row: Backfill) -> str:
        return link("Its dates and their runs", row.get_absolute_url())

    @display(description="Status", label=COLOURS)
    def state(self, row: Backfill) -> str:
        return row.status

    @display(description="Parameters")
    def parameters_as_text(self, row: Backfill) -> str:
        return parameters_text(row.parameters)


@admin.register(BackfillDate)
class BackfillDateAdmin(Facts):
    list_display = ("of_backfill", "due_at", "state", "of_run", "attempt", "reason")
    list_select_related = ("backfill",)
    search_fields = ("=backfill__id", "=run__id")
    search_help_text = "The number of a backfill or of a run"
    ordering = ("-backfill_id", "due_at")
    sortable_by = ()
    fields = ("of_backfill", "due_at", "state", "of_run", "attempt", "reason")

    @display(description="Backfill")
    def of_backfill(self, row: BackfillDate) -> str:
        return link(row.backfill, row.backfill.get_absolute_url())

    @display(description="Status", label=DATE_COLOURS)
    def state(self, row: BackfillDate) -> str:
        return row.status

    @display(description="Run")
    def of_run(self, row: BackfillDate) -> str:
        return run_link(row.run_id) if row.run_id else ""
