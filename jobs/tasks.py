"""Doors only: what Celery may ask of us."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from celery import Task, shared_task
from celery.exceptions import Ignore

from jobs import clock
from jobs.child.supervise import supervise
from jobs.errors import ProjectError
from jobs.interpreters.snapshots import take
from jobs.models import Project
from jobs.resends.replay import replay as send_again
from jobs.rules.decide import decide as ask_handler
from jobs.schedules.start import begin as begin_tick
from jobs.schedules.start import start_scheduled
from jobs.telling.deliver import deliver as send_news
from jobs.upkeep.prune import prune
from jobs.upkeep.reconcile import reconcile
from kedro_console.wire import Json


@shared_task(name="jobs.execute", bind=True)
def execute(self: Task[Any, Any], step_id: int) -> None:
    """Run one step and those that follow it. Each step keeps its result with its end, not with the end of this task;
    a message for a step that another has is ignored."""
    if not supervise(step_id, worker_name=self.request.hostname or ""):
        raise Ignore


@shared_task(name="jobs.begin")
def begin(tick_id: int) -> None:
    """Start what a due time is to start; a message for one that is decided is ignored."""
    begin_tick(tick_id, clock.now())


@shared_task(name="jobs.start", bind=True, ignore_result=False)
def start(
    self: Task[Any, Any],
    pipeline_id: int,
    parameters: dict[str, Json] | None = None,
    selection: dict[str, Json] | None = None,
    since: str = "",
    last_day: bool = False,
) -> str:
    """Start a pipeline, or what a schedule starts at its newest due time, as an earlier version's beat asks; the run's
    number is the task's result. Whether and with what, the schedule's row says (not `since`, `last_day`)."""
    name = getattr(self.request, "periodic_task_name", None) or ""
    run = start_scheduled(pipeline_id, parameters or {}, name, clock.now(), selection)
    if run is None:
        raise Ignore
    return str(run)


@shared_task(name="jobs.tick")
def tick() -> None:
    """The reconciler once more, for when a worker's own pulse is hindered."""
    reconcile(clock.now())


@shared_task(name="jobs.prune")
def drop_old() -> None:
    """Drop what no run needs any more, on the machine of the worker that got this."""
    prune(clock.now())


@shared_task(name="jobs.snapshot")
def snapshot(project_id: int) -> None:
    """Read a project again; what cannot be read is the project's trouble, not the task's."""
    with suppress(ProjectError):
        take(Project.objects.get(pk=project_id), at=clock.now())


@shared_task(name="jobs.decide", bind=True, ignore_result=False)
def decide(self: Task[Any, Any], firing_id: int) -> str:
    """Ask the handler of one firing; a message for one that is decided is ignored and leaves no result."""
    if not ask_handler(firing_id, clock.now()):
        raise Ignore
    return f"firing {firing_id} decided"


@shared_task(name="jobs.replay", bind=True, ignore_result=False)
def replay(self: Task[Any, Any], replay_id: int) -> str:
    """Send failed requests again; a message for a replay that another has is ignored and leaves no result."""
    if not send_again(replay_id, worker_name=self.request.hostname or ""):
        raise Ignore
    return f"replay {replay_id} went on"


@shared_task(name="jobs.deliver")
def deliver(delivery_id: int) -> None:
    """Send news over a channel; a message for a delivery that is not due, or that another has, is ignored."""
    send_news(delivery_id, clock.now())
