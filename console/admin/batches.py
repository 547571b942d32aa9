"""Batch queues and their items."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import truncatechars
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from console.admin.lists import Admin, Facts, link, run_link
from console.forms.row_form import RowForm
from console.templatetags.console import as_json
from jobs.batches.mend import recount
from jobs.models import BatchQueue, Item

ITEM_COLOURS = {"waiting": "info", "taken": "primary", "done": "success", "parked": "danger"}
COUNTERS = ("waiting", "taken", "done", "parked")


class BatchQueueForm(RowForm):
    class Meta:
        widgets = {"description": UnfoldAdminTextareaWidget(attrs={"rows": 3})}


@admin.register(BatchQueue)
class BatchQueueAdmin(Admin):
    form = BatchQueueForm
    list_display = ("name", *COUNTERS, "max_attempts", "page")
    search_fields = ("name", "description")
    ordering = ("name",)
    actions = ("count_again",)
    fields = ("name", "description", "max_attempts", "keep_days", *COUNTERS, "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """Nodes know a queue by its name, so it keeps the one that it was made with."""
        return (*COUNTERS, "created_at", *(("name",) if obj else ()))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only when it is empty: a queue is purged first."""
        is_empty = isinstance(obj, BatchQueue) and not obj.items.exists()
        return is_empty and super().has_delete_permission(request, obj)

    @admin.action(description="Count again: set the counters to what the rows say", permissions=["change"])
    def count_again(self, request: HttpRequest, queryset: QuerySet[BatchQueue]) -> None:
        for queue in queryset:
            found = recount(queue)
            is_same = all(getattr(found, name) == getattr(queue, name) for name in COUNTERS)
            self.message_user(
                request, f"{queue}: {'the counters were right' if is_same else 'corrected'}.", messages.SUCCESS
            )

    @display(description="Page")
    def page(self, queue: BatchQueue) -> str:
        return link("open", reverse("batch_queue", args=[queue.name]))


@admin.register(Item)
class ItemAdmin(Facts):
    list_display = ("key", "queue", "state", "attempts", "last_error", "taken_by", "created_at")
    list_display_links = ("key",)
    list_filter = ("status", "queue")
    list_select_related = ("queue",)
    list_defer = ("body",)
    search_fields = ("key",)
    search_help_text = "A whole key"
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        "queue", "key", "content", "state", "attempts", "error", "taken_by", "node", "put_by",
        "created_at", "taken_at", "finished_at",
    )  # fmt: skip

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return (queryset.filter(key=search_term.strip()) if search_term.strip() else queryset), False

    @display(description="Status", label=ITEM_COLOURS)
    def state(self, item: Item) -> str:
        return item.status

    @display(description="Error")
    def last_error(self, item: Item) -> str:
        return truncatechars(item.error, 120)

    @display(description="Run")
    def taken_by(self, item: Item) -> str:
        return run_link(item.run_id) if item.run_id else "–"

    @display(description="Put in by run")
    def put_by(self, item: Item) -> str:
        return run_link(item.put_by_run_id) if item.put_by_run_id else "–"

    @display(description="Body")
    def content(self, item: Item) -> str:
        return as_json(item.body)
