"""Whether workers find what others left for them between the steps of a run: they must share the place."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.conf import settings

from jobs.errors import NoSharedStore
from jobs.models import Run, Worker
from jobs.structure.plan import Plan


def check_shared(run: Run, plan: Plan, at: datetime) -> None:
    """NoSharedStore when the steps of this run could start on workers that do not see each other's data."""
    if len(plan.steps) < 2 or not _is_ours(run):
        return
    queues = {step.queue or run.pipeline.queue for step in plan.steps}
    apart = apart_from_each_other(worker for worker in Worker.objects.alive(at) if queues & set(worker.queues))
    if apart:
        raise NoSharedStore(apart, _folder())


def apart_from_each_other(workers: Iterable[Worker]) -> list[str]:
    """A worker of each place where data between steps is kept, by name; [] when all of them share one.

    One that has not said where it keeps them is of an older release: nothing is known of it.
    """
    found: dict[str, str] = {}
    for worker in sorted(workers, key=lambda worker: worker.name):
        if worker.runs_mark:
            found.setdefault(worker.store_mark if settings.CONSOLE_RUN_STORE else worker.runs_mark, worker.name)
    return list(found.values()) if len(found) > 1 else []


def _is_ours(run: Run) -> bool:
    """In a folder that the settings name: at an address all meet, and of a project's own folder nothing is known."""
    return not run.store_url or (not run.pipeline.project.store_url and "://" not in run.store_url)


def _folder() -> str:
    return settings.CONSOLE_RUN_STORE or f"{settings.VAR}/runs"
