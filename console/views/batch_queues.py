"""Batch queues: how much work waits and how fast it goes, the items of one, and what to do with the parked ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from console.forms import pasted
from console.pages import batch_pages
from console.templatetags.console import plural
from console.views.access import ConsoleRequest, needs
from console.views.shell import page
from console.whole_number import whole_number
from jobs import clock
from jobs.batches.batches import put, with_oldest
from jobs.batches.parked import drop_parked, put_back
from jobs.errors import RequestError
from jobs.models import BatchQueue
from jobs.states import ItemStatus

MOVED: dict[str, str] = {
    ItemStatus.WAITING: "Put in",
    ItemStatus.TAKEN: "Taken",
    ItemStatus.DONE: "Done",
    ItemStatus.PARKED: "Parked",
}
"""What the time beside an item of this status is the time of."""


@require_GET
@needs("jobs.view_batchqueue")
def batch_queues(request: ConsoleRequest) -> HttpResponse:
    """The page, or for htmx its table."""
    shown = {"cards": batch_pages.cards(clock.now()), "at": clock.now()}
    if request.htmx:
        return render(request, "batches/_queues.html", shown)
    return page(request, "batches/index.html", shown, title="Batch queues")


@require_GET
@needs("jobs.view_item")
def batch_queue(request: ConsoleRequest, name: str) -> HttpResponse:
    """The queue, and its items of one status, of one run, or by key; for htmx its counters alone."""
    queue = find(name)
    if request.htmx:
        return render(request, "batches/_head.html", _head(queue))
    return page(request, "batches/show.html", {**_head(queue), **_items(request, queue)}, title=name)


def find(name: str) -> BatchQueue:
    return get_object_or_404(with_oldest(), name=name)


def _head(queue: BatchQueue) -> dict[str, Any]:
    at = clock.now()
    return {"card": batch_pages.card(queue, at), "queue": queue, "at": at}


def _items(request: ConsoleRequest, queue: BatchQueue) -> dict[str, Any]:
    asked = request.GET.get
    text, run, beyond = asked("q", "").strip()[:200], whole_number(asked("run", "")), whole_number(asked("beyond", ""))
    status = asked("status", "") if asked("status") in ItemStatus.values else _first_status(queue)
    if text:
        screen = batch_pages.by_key(queue, text)
    elif run:
        screen = batch_pages.by_run(queue, run, beyond)
    else:
        screen = batch_pages.by_status(queue, status, beyond)
    is_parked = status == ItemStatus.PARKED and not (text or run)
    return {
        "screen": screen, "q": text, "run": run, "beyond": beyond, "status": "" if text or run else status,
        "reasons": batch_pages.reasons(queue) if is_parked else [],
        "counts": {status: getattr(queue, status) for status in ItemStatus.values},
        "moved": MOVED.get(status if not (text or run) else "", "Last change"),
    }  # fmt: skip


def _first_status(queue: BatchQueue) -> str:
    """What there is to see: what waits, else what needs somebody, else what was done."""
    order = (ItemStatus.WAITING, ItemStatus.PARKED, ItemStatus.TAKEN, ItemStatus.DONE)
    return next((status for status in order if getattr(queue, status)), ItemStatus.WAITING)


@require_POST
@needs("jobs.retry_item")
def batch_queue_put_back(request: ConsoleRequest, name: str) -> HttpResponse:
    """Let parked items wait again: one, all like this, or all."""
    return _change_parked(request, name, put_back, "item waits again,items wait again")


@require_POST
@needs("jobs.delete_item")
def batch_queue_drop(request: ConsoleRequest, name: str) -> HttpResponse:
    """Delete parked items for good."""
    return _change_parked(request, name, drop_parked, "item was dropped,items were dropped")


def _change_parked(request: ConsoleRequest, name: str, change: Callable[..., int], done: str) -> HttpResponse:
    like = request.POST.get("like", "").replace("\r\n", "\n")  # a form sends line ends in its own way
    number = change(find(name), key=request.POST.get("key", ""), like=like)
    messages.success(request, f"{plural(number, done)}.")
    return redirect("batch_queue", name)


@require_POST
@needs("jobs.add_item")
def batch_queue_put(request: ConsoleRequest, name: str) -> HttpResponse:
    """Put pasted items in; what cannot be read stays in the form with the reason."""
    queue, text, key = find(name), request.POST.get("text", ""), request.POST.get("key", "").strip()
    try:
        found = put(name, pasted.items(text, key), at=clock.now())
    except RequestError as refusal:
        messages.error(request, f"Nothing was put in. {refusal}")
        shown = {**_head(queue), **_items(request, queue), "text": text, "key": key}
        return page(request, "batches/show.html", shown, title=name, status=422)
    known = f"; {plural(found.known, 'key was,keys were')} there already" if found.known else ""
    messages.success(request, f"{plural(found.added, 'item,items')} put in{known}.")
    return redirect("batch_queue", name)


urlpatterns = [
    path("batch-queues/", batch_queues, name="batch_queues"),
    path("batch-queues/<str:name>/", batch_queue, name="batch_queue"),
    path("batch-queues/<str:name>/put-back/", batch_queue_put_back, name="batch_queue_put_back"),
    path("batch-queues/<str:name>/drop/", batch_queue_drop, name="batch_queue_drop"),
    path("batch-queues/<str:name>/put/", batch_queue_put, name="batch_queue_put"),
]
