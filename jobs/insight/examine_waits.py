"""Look whether all that waits, waits for somebody: workers, queues, quotas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from django.db.models import Count

from jobs.insight.examine import START, Finding
from jobs.models import Pipeline, Step, Worker
from jobs.quotas.usage import Usage, usages
from jobs.states import Wanted

WORKERS_PAGE: Final = "/workers/"


def examine_waits(at: datetime, quotas: Iterable[Usage] | None = None) -> list[Finding]:
    """Quick enough to be asked each time, so that it is true the moment that a worker is paused or goes.

    `quotas` is how they stand, where that is known already.
    """
    alive = list(Worker.objects.alive(at))
    waiting = _waiting(at)
    known = usages(at) if quotas is None else quotas
    return [_workers(alive, sum(waiting.values())), *_queues(alive, waiting), *_quotas(known)]


def _waiting(at: datetime) -> dict[str, int]:
    """How many ready steps wait, by queue."""
    rows = Step.objects.ready(at).filter(run__cancel_requested_at=None)
    return dict(rows.order_by().values_list("queue").annotate(Count("pk")))


def _workers(alive: list[Worker], waiting: int) -> Finding:
    wait = f"{_steps(waiting)} now" if waiting else "runs stay queued"
    if not alive:
        return Finding("workers", False, f"No worker is alive, so {wait}.", START)
    if not any(map(_takes_steps, alive)):
        one = "The only worker is" if len(alive) == 1 else f"All {len(alive)} workers are"
        sentence = f"{one} {_told(alive)}, so {wait}. Press Resume on the Workers page, or start another worker."
        return Finding("workers", False, sentence, page=WORKERS_PAGE, is_amber=True)
    return Finding("workers", True, "One worker is alive." if len(alive) == 1 else f"{len(alive)} workers are alive.")


def _steps(number: int) -> str:
    return "one step waits" if number == 1 else f"{number} steps wait"


def _takes_steps(worker: Worker) -> bool:
    return worker.is_taking and worker.wanted_state == Wanted.WORKING


def _told(workers: list[Worker]) -> str:
    """What they were told to do and by whom: “paused by ada”."""
    states = sorted({worker.wanted_state for worker in workers if worker.wanted_state != Wanted.WORKING}) or ["ending"]
    people = sorted({worker.wanted_by for worker in workers if worker.wanted_by})
    return " or ".join(states) + (f" by {' and '.join(people)}" if people else "")


def _queues(alive: list[Worker], waiting: dict[str, int]) -> Iterator[Finding]:
    """A finding for each queue that pipelines use, or a step waits in, and no worker takes from."""
    if not any(map(_takes_steps, alive)):
        return  # all queues alike: the workers' own finding says it
    used = set(Pipeline.objects.filter(is_registered=True).values_list("queue", flat=True).distinct())
    for queue in sorted(used | set(waiting)):
        heard = [worker for worker in alive if queue in worker.queues]
        wait = f": {_steps(waiting[queue])}" if queue in waiting else ""
        if not heard:
            sentence = f"No worker listens to the queue {queue}{wait}."
            yield Finding(f"queue {queue}", False, sentence, listen(queue), is_amber=True)
        elif not any(map(_takes_steps, heard)):
            sentence = f"What listens to the queue {queue} is {_told(heard)}{wait}. Press Resume on the Workers page."
            yield Finding(f"queue {queue}", False, sentence, page=WORKERS_PAGE, is_amber=True)


def _quotas(known: Iterable[Usage]) -> Iterator[Finding]:
    """A finding for each quota that is paused until further notice while runs wait for it."""
    for usage in known:
        quota = usage.quota
        if usage.is_paused and quota.paused_until is None and usage.waiting:
            wait = "one waits" if usage.waiting == 1 else f"{usage.waiting} wait"
            sentence = f"The quota {quota.name} is paused{_by(quota.paused_by)} and {wait} for it. Open it on its page."
            yield Finding(f"quota {quota.name}", False, sentence, page=quota.get_absolute_url(), is_amber=True)


def _by(name: str) -> str:
    return f" by {name}" if name else ""


def listen(queue: str) -> str:
    """The command of a worker for this queue."""
    return f"CONSOLE_WORKER_QUEUES={queue} python -m console worker"
