"""What nodes ask of batch queues; each answer is part of the transaction that checks the step's lease."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs.batches.batches import described, fail_item, find_queue, finish_items, put, take
from jobs.models import Step
from kedro_console import wire


def _put(step: Step, data: dict[str, Any], at: datetime) -> wire.Json:
    items = ((item["key"], item["body"]) for item in data["items"])
    found = put(str(data["queue"]), items, at=at, run=step.run)
    return {"added": found.added, "known": found.known}


def _take(step: Step, data: dict[str, Any], at: datetime) -> wire.Json:
    batch = take(step, str(data["queue"]), int(data["count"]), at=at, node=str(data.get("node", "")))
    return {"items": batch.items, "left": batch.left, "more": batch.has_more}


def _finish(step: Step, data: dict[str, Any], at: datetime) -> wire.Json:
    ids = data["ids"] if "ids" in data else [data["id"]]
    return finish_items(step.run, [int(number) for number in ids], at)


def _fail(step: Step, data: dict[str, Any], at: datetime) -> wire.Json:
    fail_item(step.run, int(data["id"]), str(data["error"])[:10_000])
    return None


def _describe(step: Step, data: dict[str, Any], at: datetime) -> wire.Json:
    return described(find_queue(str(data["queue"])))


ANSWERS = {
    "items_put": _put,
    "items_taken": _take,
    "item_done": _finish,
    "items_done": _finish,
    "item_failed": _fail,
    "queue_described": _describe,
}
