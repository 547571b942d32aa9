"""Workers as their heartbeats tell them."""

from __future__ import annotations

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.utils.timesince import timesince
from unfold.decorators import display

from console.admin.lists import Facts
from jobs import clock
from jobs.models import Worker


@admin.register(Worker)
class WorkerAdmin(Facts):
    list_display = ("name", "state", "slots_busy", "listens_to", "memory", "last_heard", "version", "started_at")
    search_fields = ("name", "host")
    list_filter = ("stopped_at",)
    sortable_by = ("name", "started_at")

    @display(description="State", label={"alive": "success", "silent": "danger", "stopped": "warning"})
    def state(self, worker: Worker) -> str:
        if worker.stopped_at:
            return "stopped"
        return "alive" if worker.is_alive(clock.now()) else "silent"

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
