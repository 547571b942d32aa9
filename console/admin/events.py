"""What is written down about a run while it lives: transitions, events, log lines, and pictures of its project."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from unfold.decorators import display

from console.admin.lists import STATUS_COLOURS, Facts, FactsInline, FactsOfRun, run_link
from console.admin.steps import RUN_TEXTS
from jobs.models import Event, LogChunk, Snapshot, Transition
from jobs.structure.values import shown, without_defaults
from kedro_console.wire import MESSAGES


class KindFilter(admin.SimpleListFilter):
    """The kinds that the wire knows: the table is not asked which it holds."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, kind.replace("_", " ")) for kind in sorted(MESSAGES)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class OfRun:
    @display(description="Run")
    def of_run(self, row: Any) -> str:
        return run_link(row.run_id)


class TransitionColumns:
    @display(description="To", label=STATUS_COLOURS)
    def to(self, transition: Transition) -> str:
        return transition.to_status

    @display(description="What moved")
    def what(self, transition: Transition) -> str:
        return f"step {transition.step.position}" if transition.step else "the run"


class TransitionInline(TransitionColumns, FactsInline):
    model = Transition
    fields = ("at", "what", "from_status", "to", "by", "reason")
    readonly_fields = ("what", "to")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transition]:
        rows: QuerySet[Transition] = super().get_queryset(request)
        return rows.select_related("step").order_by("id")


@admin.register(Transition)
class TransitionAdmin(TransitionColumns, OfRun, FactsOfRun):
    list_display = ("at", "of_run", "what", "from_status", "to", "by", "reason")
    list_filter = ("to_status",)
    list_select_related = ("run", "step")
    list_defer = RUN_TEXTS
    sortable_by = ()
    fields = ("at", "of_run", "what", "from_status", "to", "by", "reason")


@admin.register(Event)
class EventAdmin(OfRun, FactsOfRun):
    list_display = ("at", "of_run", "seq", "kind", "node")
    list_filter = (KindFilter,)
    list_defer = ("data", *RUN_TEXTS)
    sortable_by = ()
    fields = ("at", "of_run", "seq", "kind", "node", "data")


@admin.register(LogChunk)
class LogChunkAdmin(OfRun, FactsOfRun):
    list_display = ("id", "of_run", "first_seq", "last_seq")
    list_defer = ("content", *RUN_TEXTS)
    sortable_by = ()
    fields = ("of_run", "first_seq", "last_seq", "text")

    @display(description="Lines")
    def text(self, chunk: LogChunk) -> str:
        lines = ((line.seq, _clock(line.at), line.level, line.node, line.plain) for line in chunk.lines)
        rows = format_html_join("\n", "{} {} {} {} {}", lines)
        return format_html('<pre class="whitespace-pre-wrap font-mono text-xs">{}</pre>', rows)


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


@admin.register(Snapshot)
class SnapshotAdmin(Facts):
    list_display = ("taken_at", "project", "revision", "kedro_version", "python_version")
    list_filter = ("project",)
    list_select_related = ("project",)
    list_defer = ("content", "project__environment")
    search_fields = ("=revision", "project__name")
    ordering = ("-id",)
    sortable_by = ()
    fields = ("project", "taken_at", "revision", "kedro_version", "python_version", "errors", "picture")

    @display(description="Content")
    def picture(self, snapshot: Snapshot) -> str:
        picture = snapshot.picture
        content = snapshot.content | {
            "parameters": shown(picture.parameters),
            "schemas": without_defaults(picture.schemas),
        }
        text = json.dumps(content, indent=2, ensure_ascii=False)
        return format_html('<pre class="whitespace-pre-wrap font-mono text-xs">{}</pre>', text)

    @display(description="In the way of a run")
    def errors(self, snapshot: Snapshot) -> str:
        return format_html_join("", "<p>{}</p>", ((sentence,) for sentence in snapshot.errors)) or "Nothing"
