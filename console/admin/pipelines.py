"""Pipelines: their settings, and starting them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget

from console.admin.asker import asker
from console.admin.lists import STATUS_COLOURS, Admin, link, run_link
from console.forms.row_form import RowForm
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import BadParameters, ConsoleError
from jobs.models import Pipeline, Run, Schedule
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.schedules.schedules import of_pipelines
from jobs.states import Cause
from jobs.structure import parameters as runtime
from jobs.structure.values import restored, shown
from kedro_console.wire import Key, Value


class PipelineForm(RowForm):
    class Meta:
        widgets = {
            "description": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
            "default_parameters": UnfoldAdminTextareaWidget(attrs={"rows": 5, "spellcheck": "false"}),
            "takes": UnfoldAdminTextareaWidget(attrs={"rows": 2, "spellcheck": "false"}),
            "retry_exceptions": UnfoldAdminTextareaWidget(attrs={"rows": 2, "spellcheck": "false"}),
            "unshareable": UnfoldAdminTextareaWidget(attrs={"rows": 2, "spellcheck": "false"}),
            "retry_nodes": UnfoldAdminTextareaWidget(attrs={"rows": 2, "spellcheck": "false"}),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "default_parameters" in self.initial:
            self.initial["default_parameters"] = shown(self.instance.default_parameters)

    def clean_takes(self) -> dict[str, int]:
        given: dict[str, int] = self.cleaned_data["takes"] or {}
        return given

    def clean_retry_exceptions(self) -> list[str]:
        return names(self.cleaned_data["retry_exceptions"])

    def clean_unshareable(self) -> list[str]:
        return names(self.cleaned_data["unshareable"], "[] forgets what runs have learned")

    def clean_retry_nodes(self) -> list[str]:
        return names(self.cleaned_data["retry_nodes"])

    def clean_default_parameters(self) -> dict[Key, Value]:
        """As a run would check them, so that a wrong default is told here and not every morning."""
        given = self.cleaned_data["default_parameters"] or {}
        if not isinstance(given, dict):
            raise forms.ValidationError('Write an object of names and values, such as {"options": {"top": 5}}.')
        parameters = restored(given, self._saved_parameters())
        snapshot = self.instance.project.snapshot
        try:
            runtime.check(
                parameters,
                picture=snapshot.picture if snapshot else None,
                pipeline=snapshot.pipeline(self.instance.name) if snapshot else None,
            )
        except BadParameters as refusal:
            raise forms.ValidationError(sentences(refusal)) from refusal
        return parameters

    def _saved_parameters(self) -> dict[Key, Value]:
        """The instance itself is overwritten field by field while it is checked."""
        saved = Pipeline.objects.filter(pk=self.instance.pk).values_list("default_parameters", flat=True).first()
        return saved or {}


def names(given: Any, empty: str = "[] means all") -> list[str]:
    """The list as it was typed; nothing is an empty one."""
    if not isinstance(given or [], list) or not all(isinstance(name, str) for name in given or []):
        raise forms.ValidationError(f'Write a list of names, such as ["ConnectionError"]; {empty}.')
    return list(given or [])


def sentences(refusal: BadParameters) -> list[str]:
    """One line for each parameter that cannot be used."""
    return [f"{name}: {sentence}" for name, sentence in refusal.fields.items()]


@admin.register(Pipeline)
class PipelineAdmin(Admin):
    form = PipelineForm
    list_display = ("name", "project", "runner", "queue", "last_run", "is_registered", "page")
    list_display_links = ("name",)
    list_filter = ("project", "runner", "is_registered", "queue")
    list_select_related = ("project",)
    list_defer = ("default_parameters", "takes", "project__environment")
    search_fields = ("name", "project__name")
    ordering = ("project__name", "name")
    actions = ("run_with_defaults",)
    actions_detail = ("open_page", "run_form", "add_schedule")
    readonly_fields = ("project", "name", "is_registered", "newest_run", "schedules", "created_at")
    fieldsets = (
        (None, {"fields": (("project", "name"), ("is_registered", "newest_run"), "schedules", "description")}),
        (
            "How it runs",
            {
                "fields": (
                    ("runner", "max_workers"),
                    ("grouping", "reuses_content"),
                    "unshareable",
                    "hooks_are_safe",
                    ("queue", "priority"),
                    ("overlap", "locks_outputs"),
                    "default_parameters",
                    "takes",
                )
            },
        ),
        (
            "Limits",
            {
                "fields": (
                    ("time_limit_seconds", "node_time_limit_seconds"),
                    ("memory_limit_mb", "grace_seconds"),
                    ("crash_retries", "poison_after"),
                )
            },
        ),
        (
            "After a failure",
            {
                "fields": (
                    ("retries", "retry_wait_seconds"),
                    ("retry_factor", "retry_jitter"),
                    ("retry_exceptions", "retry_nodes"),
                    ("is_resumable", "copies_mb"),
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pipeline]:
        newest = Run.objects.filter(pipeline=OuterRef("pk")).order_by("-id")
        rows: QuerySet[Pipeline] = super().get_queryset(request)
        annotated: QuerySet[Pipeline] = rows.annotate(
            last_number=Subquery(newest.values("pk")[:1]), last_status=Subquery(newest.values("status")[:1])
        )
        return annotated

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a project's check makes them

    def has_start_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("jobs.start_pipeline")

    def has_schedule_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("jobs.add_schedule")

    def get_deleted_objects(self, objs: Iterable[Pipeline], request: HttpRequest) -> Any:
        """Its schedules go with it; runs are history and keep it."""
        return deletion(list(objs), list(objs))

    @display(description="Last run", label=STATUS_COLOURS)
    def last_run(self, pipeline: Any) -> Any:
        return pipeline.last_status or ""

    @display(description="Last run")
    def newest_run(self, pipeline: Any) -> str:
        return (
            format_html("{} {}", run_link(pipeline.last_number), pipeline.last_status) if pipeline.last_number else ""
        )

    @display(description="Page")
    def page(self, pipeline: Pipeline) -> str:
        return link("Open", reverse("pipeline", args=[pipeline.pk]))

    @display(description="Schedules")
    def schedules(self, pipeline: Pipeline) -> str:
        rows = Schedule.objects.known().of({pipeline.pk})
        links = [link(row.name, reverse("schedule", args=[row.pk])) for row in rows]
        return format_html(", ".join(["{}"] * len(links)), *links) if links else "None"

    @admin.action(description="Run with defaults", permissions=["start"])
    def run_with_defaults(self, request: HttpRequest, queryset: QuerySet[Pipeline]) -> None:
        for pipeline in queryset:
            try:
                run = launch(Order(pipeline, Cause.MANUAL, by=asker(request)), at=clock.now())
            except ConsoleError as refusal:
                self.message_user(request, f"{pipeline} was not started: {refusal}", messages.ERROR)
            else:
                started = format_html("{} started as run {}.", str(pipeline), run_link(run.pk))
                self.message_user(request, started, messages.SUCCESS)

    @action(description="Open the page", icon="open_in_new")
    def open_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("pipeline", pk=whole_number(object_id) or 0)

    @action(description="Run…", icon="play_arrow", permissions=["start"])
    def run_form(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("pipeline_run", pk=whole_number(object_id) or 0)

    @action(description="Schedule…", icon="schedule", permissions=["schedule"])
    def add_schedule(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("schedule_new_for", whole_number(object_id) or 0)


def deletion(what: list[Any], pipelines: list[Pipeline]) -> tuple[list[str], dict[str, int], set[str], list[str]]:
    """What Django's delete page shows: what goes, how many of which, no missing rights, and what forbids it."""
    used = Run.objects.filter(pipeline=OuterRef("pk")).order_by("id").values("pk")[:1]
    rows = Pipeline.objects.filter(pk__in=[pipeline.pk for pipeline in pipelines]).select_related("project")
    kept = [str(row) for row in rows.annotate(a_run=Subquery(used)).filter(a_run__isnull=False)]
    schedules = of_pipelines({pipeline.pk for pipeline in pipelines})
    goes = [*map(str, what), *(f"Schedule: {row.name}" for row in schedules)]
    counts = {"pipelines": len(pipelines), "schedules": len(schedules)}
    return goes, counts, set(), [f"{name} has runs, and runs are kept." for name in kept]
