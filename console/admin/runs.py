"""Runs: what happened, and the two things that can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from console.admin.answers import answered
from console.admin.artifacts import may_download
from console.admin.events import TransitionInline
from console.admin.lists import STATUS_COLOURS, Facts, FactsInline, link, parameters_text, run_link
from console.admin.steps import NodeRunInline, StepInline
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import ConsoleError
from jobs.models import Artifact, Pipeline, Run
from jobs.runs.cancel import cancel, force
from jobs.runs.prioritize import prioritize
from jobs.runs.retry import retry


class ArtifactInline(FactsInline):
    model = Artifact
    fields = ("file", "dataset", "node", "size", "rows", "columns", "created_at")
    readonly_fields = ("file", "size")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Artifact]:
        self.is_download_allowed = may_download(request)
        rows: QuerySet[Artifact] = super().get_queryset(request)
        return rows

    @display(description="File")
    def file(self, artifact: Artifact) -> str:
        if not self.is_download_allowed:
            return artifact.name
        return link(artifact.name, reverse("artifact_download", args=[artifact.uuid]))

    @display(description="Size")
    def size(self, artifact: Artifact) -> str:
        return filesizeformat(artifact.size_bytes)


class PipelineFilter(admin.SimpleListFilter):
    """All pipelines by their whole names, in one query."""

    title = "pipeline"
    parameter_name = "pipeline"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = Pipeline.objects.select_related("project").only("name", "project__name")
        return [(str(row.pk), str(row)) for row in rows.order_by("project__name", "name")[:300]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        number = whole_number(self.value() or "")
        return queryset if number is None else queryset.filter(pipeline=number)


@admin.register(Run)
class RunAdmin(Facts):
    list_display = ("number", "state", "pipeline_name", "cause", "by", "created_at", "took", "page")
    list_display_links = ("number",)
    list_filter = ("status", "cause", "created_at", PipelineFilter)
    list_select_related = ("pipeline__project",)
    list_defer = (
        *("parameters", "resolved_parameters", "results", "versions", "nodes", "tags", "error"),
        *("pipeline__default_parameters", "pipeline__description", "pipeline__project__environment"),
    )
    ordering = ("-id",)
    sortable_by = ("number", "created_at")
    search_fields = ("pipeline__name", "requested_by__username")
    search_help_text = "The number of a run, part of a pipeline's name, or who started it"
    actions = ("cancel_runs", "force_runs", "run_again", "go_first")
    actions_detail = ("open_page", "cancel_this", "retry_this")
    inlines = (StepInline, NodeRunInline, TransitionInline, ArtifactInline)
    fieldsets = (
        (None, {"fields": (("state", "pipeline_link"), "error", ("cause", "cause_detail"), ("by", "retry_link"))}),
        (
            "Times",
            {
                "fields": (
                    ("created_at", "started_at"),
                    ("finished_at", "took"),
                    ("eligible_at", "wait_reason"),
                    ("cancel_requested_at", "cancel_requested_by"),
                )
            },
        ),
        ("Asked for", {"fields": ("runner", "nodes", "tags", "asked_parameters", "idempotency_key")}),
        (
            "Facts",
            {
                "fields": (
                    ("nodes_done", "nodes_total"),
                    ("memory", "revision"),
                    *("snapshot", "uuid", "results", "all_parameters", "versions"),
                )
            },
        ),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Run], search_term: str
    ) -> tuple[QuerySet[Run], bool]:
        """By what an index answers: a text that nobody meant would otherwise be looked for in every run."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if (number := whole_number(term)) is not None:
            return queryset.filter(pk=number), False
        pipelines = Pipeline.objects.filter(Q(name__icontains=term) | Q(project__name__icontains=term))
        people = User.objects.filter(username__icontains=term)
        meant = Q(pipeline__in=list(pipelines.values_list("pk", flat=True)[:200]))
        return queryset.filter(meant | Q(requested_by__in=list(people.values_list("pk", flat=True)[:200]))), False

    @display(description="Run", ordering="id")
    def number(self, run: Run) -> str:
        return f"#{run.pk}"

    @display(description="Status", label=STATUS_COLOURS)
    def state(self, run: Run) -> str:
        return run.status

    @display(description="Pipeline")
    def pipeline_name(self, run: Run) -> str:
        return str(run.pipeline)

    @display(description="Pipeline")
    def pipeline_link(self, run: Run) -> str:
        return link(run.pipeline, reverse("admin:jobs_pipeline_change", args=[run.pipeline_id]))

    @display(description="By")
    def by(self, run: Run) -> str:
        return run.requested_by_name

    @display(description="Again after")
    def retry_link(self, run: Run) -> str:
        return run_link(run.retry_of_id) if run.retry_of_id else ""

    @display(description="Took")
    def took(self, run: Run) -> str:
        return f"{run.duration.total_seconds():,.1f} s" if run.duration else ""

    @display(description="Peak memory")
    def memory(self, run: Run) -> str:
        return filesizeformat(run.peak_memory_bytes) if run.peak_memory_bytes else ""

    @display(description="Parameters")
    def asked_parameters(self, run: Run) -> str:
        return parameters_text(run.parameters)

    @display(description="As Kedro resolved them")
    def all_parameters(self, run: Run) -> str:
        return parameters_text(run.resolved_parameters)

    @display(description="Page")
    def page(self, run: Run) -> str:
        return link("Open", reverse("run", args=[run.pk]))

    def has_cancel_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("jobs.cancel_run")

    def has_retry_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("jobs.retry_run")

    def has_start_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("jobs.start_pipeline")

    @admin.action(description="Cancel", permissions=["cancel"])
    def cancel_runs(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, _cancel)

    @admin.action(description="Cancel and kill at once", permissions=["cancel"])
    def force_runs(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, _force)

    @admin.action(description="Run again", permissions=["retry"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, _retry)

    @admin.action(description="Let go first", permissions=["start"])
    def go_first(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, _go_first)

    def _each(self, request: HttpRequest, runs: QuerySet[Run], do: Callable[[Run, Any], str]) -> None:
        for run in runs.order_by("id"):
            try:
                self.message_user(request, do(run, request.user), messages.SUCCESS)
            except ConsoleError as refusal:
                sentence = format_html("Run {}: {}", run_link(run.pk), str(refusal))
                self.message_user(request, sentence, messages.ERROR)

    @action(description="Open the run's page", icon="open_in_new")
    def open_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("run", number=get_object_or_404(Run, pk=whole_number(object_id) or 0).pk)

    @action(
        description="Cancel",
        icon="cancel",
        permissions=["cancel"],
        dialog={
            "title": "Cancel this run?",
            "description": "Its processes are asked to stop, and are ended when they do not.",
            "form_class": None,
            "form_submit_text": "Cancel the run",
        },
    )
    def cancel_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        self._each(request, Run.objects.filter(pk=whole_number(object_id) or 0), _cancel)
        return answered(request, reverse("admin:jobs_run_change", args=[object_id]))

    @action(
        description="Run again",
        icon="replay",
        permissions=["retry"],
        dialog={
            "title": "Run again?",
            "description": "A new run with the same pipeline, parameters and nodes.",
            "form_class": None,
            "form_submit_text": "Run again",
        },
    )
    def retry_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        self._each(request, Run.objects.filter(pk=whole_number(object_id) or 0), _retry)
        return answered(request, reverse("admin:jobs_run_change", args=[object_id]))


def _cancel(run: Run, user: Any) -> str:
    cancelled = cancel(run, at=clock.now(), by=user.get_username())
    did = "is cancelled" if cancelled.is_final else "was asked to stop"
    return format_html("Run {} {}.", run_link(run.pk), did)


def _force(run: Run, user: Any) -> str:
    forced = force(run, at=clock.now(), by=user.get_username())
    return format_html("Run {} {}.", run_link(run.pk), "had ended before" if forced.is_final else "is being killed")


def _retry(run: Run, user: Any) -> str:
    again = retry(run, at=clock.now(), by=user)
    return format_html("Run {} repeats {}.", run_link(again.pk), run_link(run.pk))


def _go_first(run: Run, user: Any) -> str:
    prioritize(run, 0, at=clock.now(), by=user.get_username())
    return format_html("Run {} goes before all others that wait.", run_link(run.pk))
