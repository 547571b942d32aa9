"""Projects: which Kedro projects we know, and whether they can run."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldBooleanSwitchWidget

from console.admin.answers import answered
from console.admin.lists import Admin
from console.admin.pipelines import deletion
from console.env import PLACE
from console.forms.row_form import RowForm
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import ConsoleError, PlatformError, ProjectError
from jobs.interpreters.snapshots import folder_of, take
from jobs.models import Pipeline, Project, Snapshot


class WriteOnlyTextarea(UnfoldAdminTextareaWidget):
    """What is typed here is never sent back, not even beside an error."""

    def format_value(self, value: Any) -> str:
        return ""


class ProjectForm(RowForm):
    secret_fields = ("variables",)
    variables = forms.CharField(
        label="Environment variables",
        required=False,
        widget=WriteOnlyTextarea(attrs={"rows": 5, "autocomplete": "off", "spellcheck": "false"}),
        help_text="One NAME=value per line. They replace all stored ones, never to be shown again; empty keeps those.",
    )
    forget_variables = forms.BooleanField(
        label="Delete the stored variables", required=False, widget=UnfoldBooleanSwitchWidget()
    )

    class Meta:
        model = Project
        fields = ("name", "path", "interpreter", "kedro_env", "store_url")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "interpreter" in self.fields and not self.instance.pk:
            self.fields["interpreter"].initial = sys.executable

    def clean_store_url(self) -> str:
        url = str(self.cleaned_data["store_url"]).strip()
        if url and not PLACE.fullmatch(url):
            raise forms.ValidationError("Give an address such as s3://bucket/runs, without a login in it, or a folder.")
        return url

    def clean_path(self) -> str:
        folder = Path(self.cleaned_data["path"]).expanduser()
        if not folder.is_absolute():
            raise forms.ValidationError("Give the whole path, beginning with /.")
        try:
            return str(folder_of(folder))
        except (ProjectError, ValueError) as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        """One folder may be several projects, each with its own Kedro environment."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        same = Project.objects.filter(path=given.get("path"), kedro_env=given.get("kedro_env") or "")
        if other := same.exclude(pk=self.instance.pk).first():
            self.add_error("path", f"The project {other} is already there.")
        return given

    def clean_interpreter(self) -> str:
        found = shutil.which(self.cleaned_data["interpreter"])
        if not found:
            raise forms.ValidationError("This is not a program that can be run: give the project's Python.")
        return str(Path(found).absolute())

    def clean_variables(self) -> dict[str, str]:
        return parse_variables(self.cleaned_data["variables"])

    def save(self, commit: bool = True) -> Project:
        if self.cleaned_data.get("forget_variables") or self.cleaned_data.get("variables"):
            self.instance.environment = self.cleaned_data["variables"]
        project: Project = super().save(commit)
        return project


def parse_variables(text: str) -> dict[str, str]:
    """NAME=value lines as a dictionary; a ValidationError names the line that is none, never its value."""
    variables: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, equals, value = line.strip().partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or "\x00" in value:
            raise forms.ValidationError(f"Line {number} is not NAME=value. Type all lines again.")
        variables[name] = value
    return variables


@admin.register(Project)
class ProjectAdmin(Admin):
    form = ProjectForm
    list_display = ("name", "path", "state", "pipeline_count", "kedro_env", "checked_at")
    search_fields = ("name", "path")
    ordering = ("name",)
    list_defer = ("environment",)
    actions = ("check_projects",)
    actions_detail = ("check_now",)
    readonly_fields = ("problems", "kept_variables", "checked_at", "created_at")
    add_fieldsets = (
        (None, {"fields": ("name", "path", "interpreter", "kedro_env")}),
        ("Secrets", {"fields": ("variables",)}),
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "problems",
                    ("name", "kedro_env"),
                    "path",
                    "interpreter",
                    "store_url",
                    ("checked_at", "created_at"),
                )
            },
        ),
        ("Secrets", {"fields": ("kept_variables", "variables", "forget_variables")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        rows: QuerySet[Project] = super().get_queryset(request)
        return rows.defer("environment").annotate(known_pipelines=Count("pipelines"))

    def get_fieldsets(self, request: HttpRequest, obj: Project | None = None) -> Any:
        if obj and not self.has_change_permission(request, obj):
            return (self.fieldsets[0],)
        return super().get_fieldsets(request, obj)

    def has_check_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("jobs.change_project")

    def get_deleted_objects(self, objs: Iterable[Project], request: HttpRequest) -> Any:
        """Its pipelines and their schedules go with it; runs are history and keep it."""
        projects = list(objs)
        pipelines = list(Pipeline.objects.filter(project__in=projects).select_related("project"))
        return deletion([*projects, *pipelines], pipelines)

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if {"path", "interpreter", "kedro_env", "variables", "forget_variables"} & set(form.changed_data) or not change:
            self._check(request, obj)

    def dress(self, rows: Sequence[Any]) -> None:
        numbers = (
            Snapshot.objects.filter(project__in=rows, kedro_env="")
            .order_by()
            .values("project")
            .annotate(newest=Max("id"))
        )
        snapshots = Snapshot.objects.filter(pk__in=[row["newest"] for row in numbers])
        newest = {snapshot.project_id: snapshot for snapshot in snapshots}
        for row in rows:
            row.newest_snapshot = newest.get(row.pk)

    @display(description="State", label={"ready": "success", "problems": "danger", "never read": "warning"})
    def state(self, project: Any) -> str:
        snapshot = project.newest_snapshot
        if snapshot is None and not project.trouble:
            return "never read"
        return "problems" if project.trouble or snapshot.errors else "ready"

    @display(description="Pipelines")
    def pipeline_count(self, project: Any) -> int:
        return int(project.known_pipelines)

    @display(description="Problems")
    def problems(self, project: Project) -> str:
        if not (project.pk and (project.trouble or project.snapshot)):
            return "The project has not been read yet: press Check now."
        told = ((problem.severity, problem.sentence) for problem in project.problems)
        return format_html_join("", "<p>{}: {}</p>", told) or "None: every pipeline can run."

    @display(description="Kept")
    def kept_variables(self, project: Project) -> str:
        try:
            names = sorted(project.environment)
        except PlatformError as error:
            return str(error)
        return format_html("{}", ", ".join(names)) if names else "None"

    @admin.action(description="Check now", permissions=["check"])
    def check_projects(self, request: HttpRequest, queryset: QuerySet[Project]) -> None:
        for project in queryset:
            self._check(request, project)

    @action(
        description="Check now",
        icon="fact_check",
        permissions=["check"],
        dialog={
            "title": "Read this project again?",
            "description": "Its own Python lists pipelines, parameters and what stands in the way of a run.",
            "form_class": None,
            "form_submit_text": "Check now",
        },
    )
    def check_now(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        self.check_projects(request, Project.objects.filter(pk=whole_number(object_id) or 0))
        return answered(request, reverse("admin:jobs_project_change", args=[object_id]))

    def _check(self, request: HttpRequest, project: Project) -> None:
        try:
            snapshot = take(project, at=clock.now())
        except ConsoleError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        for problem in project.problems:
            level = messages.ERROR if problem.severity == "error" else messages.WARNING
            self.message_user(request, f"{project}: {problem.sentence}", level)
        if not project.errors:
            found = len(snapshot.picture.pipelines)
            self.message_user(request, f"{project} can run: {found} pipelines found.", messages.SUCCESS)
