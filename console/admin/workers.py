"""Workers as their heartbeats tell them."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.timesince import timesince
from unfold.decorators import display

from console.admin.lists import Facts
from jobs import clock
from jobs.errors import RequestError
from jobs.models import Worker
from jobs.states import Wanted

STATES = {
    "alive": "success",
    "silent": "danger",
    "stopped": "warning",
    "pausing": "info",
    "paused": "warning",
    "draining": "info",
}


@admin.register(Worker)
class WorkerAdmin(Facts):
    list_display = ("name", "state", "slots_busy", "listens_to", "memory", "last_heard", "version", "started_at")
    search_fields = ("name", "host")
    list_filter = ("stopped_at",)
    sortable_by = ("name", "started_at")
    actions = ("pause", "resume", "drain")

    def has_control_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.control_worker")

    @admin.action(description="Pause: take no new steps", permissions=["control"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        self._ask(request, queryset, "pause", "was asked to take no new steps")

    @admin.action(description="Resume: take steps again", permissions=["control"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        self._ask(request, queryset, "resume", "was asked to take steps again")

    @admin.action(description="Drain: finish the steps, then end", permissions=["control"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        self._ask(request, queryset, "drain", "was asked to finish its steps and to end")

    def _ask(self, request: HttpRequest, queryset: QuerySet[Worker], verb: str, done: str) -> None:
        for worker in queryset:
            try:
                getattr(worker, verb)(at=clock.now(), by=request.user.get_username())
                self.message_user(request, f"{worker} {done}.", messages.SUCCESS)
            except RequestError as refusal:
                self.message_user(request, str(refusal), messages.ERROR)

    @display(description="State", label=STATES)
    def state(self, worker: Worker) -> str:
        state = worker.state(clock.now())
        return "alive" if state == Wanted.WORKING else state

    @display(description="Busy")
    def slots_busy(self, worker: Worker) -> str:
        return f"{worker.busy} of {worker.slots}"

    @display(description="Queues")
    def listens_to(self, worker: Worker) -> str:
        return ", ".join(worker.queues)

    @display(description="Memory")
    def memory(self, worker: Worker) -> str:
        return filesizeformat(worker.memory_bytes)

    @display(description="Last heard")
    def last_heard(self, worker: Worker) -> str:
        return f"{timesince(worker.heartbeat_at, clock.now())} ago"
