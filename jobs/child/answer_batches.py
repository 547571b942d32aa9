"""What nodes ask of batch queues; each answer is part of the transaction that checks the step's lease."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from jobs.batches.batches import described, fail_item, find_queue, finish_items, put, take
from jobs.models import Step
from kedro_console import wire

OfBatches = wire.PutItems | wire.TakeItems | wire.FinishItems | wire.FailItem | wire.DescribeQueue


def reply(step: Step, question: OfBatches, at: datetime) -> wire.Reply | int | None:
    match question:
        case wire.PutItems():
            rows = ((item.key, item.body) for item in question.items)
            found = put(question.queue, rows, at=at, run=step.run)
            return wire.ItemsPut(found.added, found.known)
        case wire.TakeItems():
            batch = take(step, question.queue, question.count, at=at, node=question.node)
            return wire.ItemsTaken(batch.items, batch.has_more, batch.left)
        case wire.FinishItems():
            return finish_items(step.run, question.ids, at)
        case wire.FailItem():
            fail_item(step.run, question.id, question.error)
            return None
        case wire.DescribeQueue():
            return wire.QueueDescribed(**described(find_queue(question.queue)))
        case _:
            assert_never(question)
