"""Steps and node runs: what workers did for a run."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from unfold.decorators import display

from console.admin.lists import STATUS_COLOURS, FactsInline, FactsOfRun, link, run_link
from console.admin.results import result_url
from jobs.models import NodeRun, Run, Step
from jobs.states import LIVE, NODE_LIVE

NODE_COLOURS = STATUS_COLOURS | {"waiting": "info", "blocked": "warning", "reused": "success"}
MOST_LIVE = 10_000
RUN_TEXTS = ("run__parameters", "run__resolved_parameters", "run__results", "run__versions", "run__error")


class LiveFilter(admin.ChoicesFieldListFilter):
    """By status. What waits or runs is of a run that does: few, among millions of rows that have ended."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        rows = super().queryset(request, queryset)
        chosen = {str(status) for status in self.lookup_val or ()}
        if rows is None or not chosen or not chosen <= {*LIVE, *NODE_LIVE}:
            return rows
        live = Run.objects.live().order_by("-pk").values_list("pk", flat=True)[:MOST_LIVE]
        return rows.filter(run__in=list(live))


class StepColumns:
    """Columns that the list of steps and the tab of a run share."""

    @display(description="Run", ordering="run_id")
    def of_run(self, step: Step) -> str:
        return run_link(step.run_id)

    @display(description="Status", label=STATUS_COLOURS)
    def state(self, step: Step) -> str:
        return step.status

    @display(description="Peak memory")
    def memory(self, step: Step) -> str:
        return filesizeformat(step.peak_memory_bytes) if step.peak_memory_bytes else ""

    @display(description="Celery's result")
    def result(self, step: Step) -> str:
        return link("Result", result_url(step.task_id))

    @display(description="Ended with")
    def ended_with(self, step: Step) -> str:
        if step.exit_signal is not None:
            return f"signal {step.exit_signal}"
        return f"exit code {step.exit_code}" if step.exit_code is not None else ""


class StepInline(StepColumns, FactsInline):
    model = Step
    fields = ("position", "attempt", "state", "worker_name", "started_at", "finished_at", "ended_with", "memory",
              "error", "result")  # fmt: skip
    readonly_fields = ("state", "ended_with", "memory", "result")


class NodeRunInline(FactsInline):
    model = NodeRun
    fk_name = "run"
    verbose_name_plural = "Nodes"
    fields = ("position", "name", "state", "reason", "attempts", "started_at", "seconds", "error")
    readonly_fields = ("state",)

    @display(description="Status", label=NODE_COLOURS)
    def state(self, node_run: NodeRun) -> str:
        return node_run.status


@admin.register(Step)
class StepAdmin(StepColumns, FactsOfRun):
    list_display = ("id", "of_run", "position", "attempt", "state", "queue", "worker_name", "started_at",
                    "finished_at", "memory", "result")  # fmt: skip
    list_filter = (("status", LiveFilter),)
    list_defer = ("nodes", "needs", "error", *RUN_TEXTS)
    sortable_by = ("id",)
    fieldsets = (
        (None, {"fields": (("of_run", "state"), ("position", "attempt"), "error", "nodes", "needs", "result")}),
        ("Times", {"fields": (("ready_at", "eligible_at"), ("sent_at", "started_at"), "finished_at")}),
        ("Process", {"fields": ("worker_name", ("queue", "priority"), ("mode", "pid"), "ended_with", "memory")}),
        ("Lease", {"fields": ("task_id", "lease_expires_at")}),
    )


@admin.register(NodeRun)
class NodeRunAdmin(FactsOfRun):
    list_display = ("name", "of_run", "state", "attempts", "started_at", "seconds")
    list_filter = (("status", LiveFilter),)
    list_defer = ("failure", "progress", "error", *RUN_TEXTS)
    sortable_by = ()
    fields = (
        *("name", "of_run", "step", "state", "position", "attempts", "started_at", "finished_at", "seconds"),
        *("error", "failure", "progress"),
    )

    @display(description="Run")
    def of_run(self, node_run: NodeRun) -> str:
        return run_link(node_run.run_id)

    @display(description="Status", label=NODE_COLOURS)
    def state(self, node_run: NodeRun) -> str:
        return node_run.status
