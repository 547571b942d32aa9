"""Failed requests and how many there were at all."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from console.admin.asker import asker
from console.admin.events import OfRun
from console.admin.lists import AMONG, FactsOfRun, among_newest, link
from console.admin.results import result_url
from console.admin.steps import RUN_TEXTS
from console.templatetags.console import masked
from jobs import clock
from jobs.errors import ConsoleError
from jobs.models import RequestCount, RequestRecord
from jobs.requests import TEXTS
from jobs.resends.replay import start_replay
from jobs.states import RequestStatus

STATUS_COLOURS = {"open": "danger", "recovered": "success", "replayed": "success", "dismissed": "warning"}


class RequestStatusFilter(admin.SimpleListFilter):
    title = f"status, {AMONG}"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status.value, status.value) for status in RequestStatus]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return among_newest(queryset).filter(status=self.value()) if self.value() else queryset


@admin.register(RequestRecord)
class RequestRecordAdmin(OfRun, FactsOfRun):
    list_display = ("last_at", "asked", "reason", "state", "of_run", "node", "task")
    list_filter = (RequestStatusFilter,)
    list_select_related = ("run", "step")
    list_defer = (*TEXTS, *RUN_TEXTS)
    sortable_by = ()
    actions = ("replay", "dismiss")
    fields = (
        *("asked", "page", "of_run", "node", "task", "library", "at", "last_at", "state", "settled_at", "settled_by"),
        *("settled_why", "reason", "exception", "said", "headers", "sent", "response_headers", "answer", "attempts"),
        *("seconds", "quota"),
    )

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.replay_requestrecord")

    def has_dismiss_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.dismiss_requestrecord")

    @admin.action(description="Replay: send again, under the quota", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[RequestRecord]) -> None:
        try:
            started = start_replay(queryset.order_by("pk"), at=clock.now(), by=asker(request))
            sentence = format_html("{} sends {} again.", link(started, started.get_absolute_url()), started.total)
            self.message_user(request, sentence, messages.SUCCESS)
        except ConsoleError as refusal:
            self.message_user(request, str(refusal), messages.ERROR)

    @admin.action(description="Dismiss: take out of the inbox", permissions=["dismiss"])
    def dismiss(self, request: HttpRequest, queryset: QuerySet[RequestRecord]) -> None:
        chosen = RequestRecord.objects.filter(pk__in=queryset.values("pk"))
        by = request.user.get_username()
        count = chosen.dismiss(at=clock.now(), by=by, why="Dismissed in the admin.")
        self.message_user(request, f"{count} taken out of the inbox.", messages.SUCCESS)

    @display(description="Request")
    def asked(self, record: RequestRecord) -> str:
        return format_html("{} {}", record.method, masked(record.url[:300]))

    @display(description="Page")
    def page(self, record: RequestRecord) -> str:
        return link("Request, attempts and response", record.get_absolute_url())

    @display(description="Status", label=STATUS_COLOURS)
    def state(self, record: RequestRecord) -> str:
        return record.status

    @display(description="Celery task")
    def task(self, record: RequestRecord) -> str:
        return link(str(record.step.task_id)[:8], result_url(record.step.task_id))

    @display(description="Message")
    def said(self, record: RequestRecord) -> str:
        return masked(record.message)

    @display(description="Body")
    def sent(self, record: RequestRecord) -> str:
        return _text(record.body)

    @display(description="Response")
    def answer(self, record: RequestRecord) -> str:
        return _text(record.response)


def _text(content: str) -> str:
    return format_html('<pre class="whitespace-pre-wrap font-mono text-xs">{}</pre>', masked(content))


@admin.register(RequestCount)
class RequestCountAdmin(OfRun, FactsOfRun):
    list_display = ("of_run", "node", "host", "outcome", "count", "mean_seconds", "page")
    list_defer = RUN_TEXTS
    sortable_by = ()
    fields = ("of_run", "node", "host", "outcome", "count", "mean_seconds", "page")

    @display(description="Outcome")
    def outcome(self, row: RequestCount) -> str:
        return str(row.status_code or "no answer")

    @display(description="Seconds on average")
    def mean_seconds(self, row: RequestCount) -> str:
        return f"{row.seconds / row.count:.3f}" if row.count else ""

    @display(description="Page")
    def page(self, row: RequestCount) -> str:
        return link("Requests of the run", f"{reverse('run', args=[row.run_id])}?tab=requests")
