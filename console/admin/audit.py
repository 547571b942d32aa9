"""Who changed what in the admin, and who tried to log in."""

from __future__ import annotations

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.db.models import Model
from django.http import HttpRequest
from unfold.decorators import display

from console.admin.lists import AMONG, Facts

VERBS = {ADDITION: "added", CHANGE: "changed", DELETION: "deleted"}


@admin.register(LogEntry)
class LogEntryAdmin(Facts):
    """The audit trail; those who look after people may read it."""

    list_display = ("action_time", "user", "verb", "content_type", "object_repr", "what")
    list_display_links = ("action_time",)
    list_filter = ("action_flag", "action_time", "user")
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "user__username")
    search_help_text = f"What was changed or by whom, {AMONG}"
    ordering = ("-action_time",)
    sortable_by = ("action_time",)
    fields = ("action_time", "user", "verb", "content_type", "object_repr", "what")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("auth.view_user")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @display(description="Did", label={"added": "success", "changed": "info", "deleted": "danger"})
    def verb(self, entry: LogEntry) -> str:
        return VERBS.get(entry.action_flag, "touched")

    @display(description="What changed")
    def what(self, entry: LogEntry) -> str:
        return str(entry.get_change_message())


for _model in (AccessAttempt, AccessLog, AccessFailureLog):
    admin.site.unregister(_model)


@admin.register(AccessLog, AccessFailureLog)
class AccessLogAdmin(Facts):
    list_display = ("attempt_time", "username", "ip_address", "user_agent", "path_info")
    list_display_links = ("attempt_time",)
    search_fields = ("username", "ip_address")
    search_help_text = f"A name or an address, {AMONG}"
    list_filter = ("attempt_time",)
    ordering = ("-attempt_time",)


@admin.register(AccessAttempt)
class AccessAttemptAdmin(Facts):
    """Wrong passwords that are being counted; deleting one unlocks that name and address."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start", "path_info")
    search_fields = ("username", "ip_address")
    search_help_text = f"A name or an address, {AMONG}"
    ordering = ("-attempt_time",)
    fields = ("attempt_time", "username", "ip_address", "user_agent", "path_info", "failures_since_start")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("axes.delete_accessattempt")
