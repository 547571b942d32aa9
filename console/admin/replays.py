"""Replays of failed requests, and each request's turn in them."""

from __future__ import annotations

from django.contrib import admin
from unfold.decorators import display

from console.admin.lists import Facts, link
from console.admin.results import result_url
from console.templatetags.console import masked
from jobs.models import Replay, Resend

REPLAY_COLOURS = {"queued": "info", "running": "primary", "finished": "success", "cancelled": "warning"}
RESEND_COLOURS = {
    "waiting": "info",
    "sending": "primary",
    "succeeded": "success",
    "failed": "danger",
    "unknown": "warning",
}


@admin.register(Replay)
class ReplayAdmin(Facts):
    list_display = (
        "name",
        "state",
        "total",
        "done",
        "failed",
        "requested_by_name",
        "created_at",
        "finished_at",
        "task",
    )
    search_fields = ("=id", "=requested_by_name")
    search_help_text = "The number of a replay, or who asked for it"
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        *("page", "state", "total", "done", "failed", "requested_by_name", "created_at", "started_at", "finished_at"),
        *("queue", "worker_name", "eligible_at", "wait_reason", "task"),
    )

    @display(description="Replay")
    def name(self, replay: Replay) -> str:
        return str(replay)

    @display(description="Page")
    def page(self, replay: Replay) -> str:
        return link("Its requests and their answers", replay.get_absolute_url())

    @display(description="Status", label=REPLAY_COLOURS)
    def state(self, replay: Replay) -> str:
        return replay.status

    @display(description="Celery task")
    def task(self, replay: Replay) -> str:
        return link(str(replay.task_id)[:8], result_url(replay.task_id))


@admin.register(Resend)
class ResendAdmin(Facts):
    list_display = ("id", "of_replay", "asked", "state", "status_code", "seconds", "at")
    list_select_related = ("replay", "record")
    list_defer = ("response", "headers", "record__headers", "record__body", "record__response", "record__attempts")
    search_fields = ("=replay__id", "=record__id")
    search_help_text = "The number of a replay or of a request"
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        *("of_replay", "asked", "state", "status_code", "error", "at", "seconds", "headers", "answer", "sha256"),
        *("size_bytes", "media_type", "followed_by"),
    )

    @display(description="Replay")
    def of_replay(self, row: Resend) -> str:
        return link(row.replay, row.replay.get_absolute_url())

    @display(description="Request")
    def asked(self, row: Resend) -> str:
        return link(masked(str(row.record)), row.record.get_absolute_url())

    @display(description="Status", label=RESEND_COLOURS)
    def state(self, row: Resend) -> str:
        return row.status

    @display(description="Answer")
    def answer(self, row: Resend) -> str:
        return masked(row.response)
