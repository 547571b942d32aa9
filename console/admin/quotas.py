"""Quotas and their grants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from console.admin.lists import Admin, FactsOfRun, link, run_link
from console.forms.quota_form import QuotaForm
from jobs import clock
from jobs.models import Grant, Pipeline, Quota
from jobs.quotas.quotas import pause, reopen
from jobs.quotas.windows import in_words
from jobs.steps.admit import bring_forward


class QuotaAdminForm(QuotaForm):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        for name in {"description", "windows_in_words"} & set(self.fields):
            attrs = {key: value for key, value in self.fields[name].widget.attrs.items() if key != "class"}
            self.fields[name].widget = UnfoldAdminTextareaWidget(attrs=attrs)


@admin.register(Quota)
class QuotaAdmin(Admin):
    form = QuotaAdminForm
    list_display = ("name", "windows_of", "state", "page")
    search_fields = ("name", "description")
    fields = ("name", "description", "windows_in_words")
    actions = ("pause", "open")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Quota]:
        rows: QuerySet[Quota] = super().get_queryset(request)
        return rows.prefetch_related("windows")

    def get_deleted_objects(self, objs: Iterable[Quota], request: HttpRequest) -> Any:
        """Its grants go with it and are not listed one by one; what pipelines take stays."""
        quotas = list(objs)
        names = {quota.name for quota in quotas}
        pipelines = Pipeline.objects.exclude(takes={}).select_related("project")
        takers = [f"{pipeline} takes it: edit that first." for pipeline in pipelines if names & set(pipeline.takes)]
        return [quota.name for quota in quotas], {"quotas": len(quotas)}, set(), takers

    def has_control_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.pause_quota")

    def save_model(self, request: HttpRequest, obj: Quota, form: Any, change: bool) -> None:
        """The counters belong to whoever holds the lock: only what the form shows is written."""
        obj.save(update_fields=["name", "description"] if change else None)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.save_windows()
        bring_forward(clock.now())

    @admin.action(description="Pause: let nothing through", permissions=["control"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Quota]) -> None:
        for quota in queryset:
            pause(quota.name, at=clock.now(), by=request.user.get_username())
            self.log_change(request, quota, "Paused.")
        self.message_user(request, "Paused: what is waiting keeps waiting.", messages.SUCCESS)

    @admin.action(description="Open: end a pause, or what the API asked for", permissions=["control"])
    def open(self, request: HttpRequest, queryset: QuerySet[Quota]) -> None:
        for quota in queryset:
            reopen(quota.name)
            self.log_change(request, quota, "Opened.")
        bring_forward(clock.now())
        self.message_user(request, "Open: only the windows limit it.", messages.SUCCESS)

    @display(description="Windows")
    def windows_of(self, quota: Quota) -> str:
        return in_words(quota.windows.all()).replace("\n", ", ") or "none"

    @display(description="State", label={"open": "success", "paused": "warning", "closed": "danger"})
    def state(self, quota: Quota) -> str:
        at = clock.now()
        if quota.is_paused(at):
            return "paused"
        return "closed" if quota.is_closed(at) else "open"

    @display(description="Page")
    def page(self, quota: Quota) -> str:
        return link("Open", quota.get_absolute_url())


@admin.register(Grant)
class GrantAdmin(FactsOfRun):
    list_display = ("id", "quota", "of_run", "node", "requests", "rows", "asked_at", "taken_at", "settled_at", "status")
    list_select_related = ("run", "quota")
    list_filter = ("quota",)

    @display(description="Run")
    def of_run(self, grant: Grant) -> str:
        return run_link(grant.run_id) if grant.run_id else ""
