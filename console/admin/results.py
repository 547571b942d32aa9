"""Celery's own results, linked with the runs that they belong to."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any

from celery import states
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django_celery_results.models import GroupResult, TaskResult
from unfold.decorators import display

from console.admin.lists import AMONG, Facts, among_newest, link, run_link
from jobs.models import Step

TASKS = ("jobs.execute", "jobs.start", "jobs.snapshot", "jobs.prune", "jobs.replay", "celery.backend_cleanup")
STATE_COLOURS = {
    states.SUCCESS: "success",
    states.FAILURE: "danger",
    states.REVOKED: "warning",
    states.RETRY: "warning",
    states.STARTED: "primary",
    states.PENDING: "info",
}


def result_url(task_id: uuid.UUID) -> str:
    """Where the admin shows Celery's result of this task, if it left one."""
    return f"{reverse('admin:django_celery_results_taskresult_changelist')}?task_id={task_id}"


class StateFilter(admin.SimpleListFilter):
    title = f"state, {AMONG}"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state.lower()) for state in STATE_COLOURS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return among_newest(queryset).filter(status=self.value()) if self.value() else queryset


class TaskFilter(admin.SimpleListFilter):
    title = f"task, {AMONG}"
    parameter_name = "task"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(task, task) for task in TASKS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return among_newest(queryset).filter(task_name=self.value()) if self.value() else queryset


for _model in (TaskResult, GroupResult):
    admin.site.unregister(_model)


@admin.register(TaskResult)
class TaskResultAdmin(Facts):
    list_display = ("task_id", "task_name", "state", "of_run", "of_step", "periodic_task_name", "worker",
                    "date_done")  # fmt: skip
    list_filter = (StateFilter, TaskFilter, "date_done")
    list_defer = ("task_args", "task_kwargs", "traceback", "meta")
    search_fields = ("=task_id", "=periodic_task_name", "=worker")
    search_help_text = f"The whole id of a task; or {AMONG}, the whole name of a schedule or worker"
    ordering = ("-date_done",)
    sortable_by = ("date_done",)
    fieldsets = (
        (None, {"fields": ("task_id", "task_name", "state", ("of_run", "of_step"), "periodic_task_name", "worker")}),
        ("Arguments", {"fields": ("task_args", "task_kwargs")}),
        ("Result", {"fields": ("result", "traceback", "date_created", "date_started", "date_done", "meta")}),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By what an index answers, letter by letter: the id by all of them, what many share by the newest."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if _is_uuid(term):
            return queryset.filter(task_id=term), False
        return among_newest(queryset).filter(Q(periodic_task_name=term) | Q(worker=term)), False

    def dress(self, rows: Sequence[Any]) -> None:
        ids = [row.task_id for row in rows if _is_uuid(row.task_id)]
        steps = {
            step.task_id: step for step in Step.objects.filter(task_id__in=ids).only("task_id", "run_id", "position")
        }
        for row in rows:
            row.step = steps.get(uuid.UUID(row.task_id)) if _is_uuid(row.task_id) else None

    @display(description="State", label=STATE_COLOURS)
    def state(self, result: Any) -> str:
        return str(result.status)

    @display(description="Run")
    def of_run(self, result: Any) -> str:
        step = self._step(result)
        number = step.run_id if step else _started(result)
        return run_link(number) if number else ""

    @display(description="Step")
    def of_step(self, result: Any) -> str:
        step = self._step(result)
        return link(f"step {step.position}", reverse("admin:jobs_step_change", args=[step.pk])) if step else ""

    def _step(self, result: Any) -> Step | None:
        if not hasattr(result, "step"):
            self.dress([result])
        found: Step | None = result.step
        return found


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _started(result: Any) -> int | None:
    """The run that a schedule's task started, as its result tells."""
    found = re.fullmatch(r'"?run #(\d{1,18})"?', result.result or "") if result.task_name == "jobs.start" else None
    return int(found[1]) if found else None


@admin.register(GroupResult)
class GroupResultAdmin(Facts):
    list_display = ("group_id", "date_done")
    search_fields = ("=group_id",)
    list_filter = ("date_done",)
    ordering = ("-date_done",)
