"""The Celery app; its settings and the reason for each are in `console/settings.py`."""

import logging
import os
import sys
import threading
from typing import Any, Final

from celery import Celery
from celery.signals import (
    celeryd_init,
    task_postrun,
    task_prerun,
    task_revoked,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

DRAIN_SECONDS: Final = 5.0
ASIDE: Final = {"ticks": 2, "news": 2}
"""Queue → threads that a worker of the default queue has for it beside its slots, so that no work delays it."""

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["jobs"])
app.conf["CELERY_DB_REUSE_MAX"] = sys.maxsize  # else a thread reconnects for each message; Django closes what is old


_pulse: list[Any] = []
"""This process's heartbeat, from the worker's first moment to its last."""
_watch: list[Any] = []
"""What looks at the projects' files meanwhile, starts what is needed soon, sends kept files to their store, or has a
queue of its own."""


@celeryd_init.connect
def have_a_name(sender: str, **_: Any) -> None:
    """Before anybody hears of it: two workers of one name would end each other's steps."""
    import django

    django.setup()
    from django.conf import settings

    from jobs import schema
    from jobs.errors import ConsoleError
    from jobs.steps import broker
    from jobs.steps.pulse import Pulse
    from jobs.upkeep.take_name import insist_on

    schema.wait("The worker", logging.getLogger(__name__).warning, Pulse("worker", settings.VAR).tell)
    try:
        broker.insist()
        insist_on(sender)
    except ConsoleError as refusal:
        sys.exit(str(refusal))


@worker_ready.connect
def start_heartbeat(sender: Any, **_: Any) -> None:
    """The worker's pulse begins when it listens; an earlier one of its name is buried first."""
    from jobs.child.intake import Intake
    from jobs.runs.reread import Watch
    from jobs.steps.uploads import Sender
    from jobs.upkeep.aside import Aside
    from jobs.upkeep.heartbeat import Heartbeat
    from jobs.upkeep.warm_ahead import WarmAhead

    intake = Intake(sender)
    _pulse.append(Heartbeat(sender.hostname, intake))
    _pulse[0].start()
    _watch.extend((Watch(), Sender(), WarmAhead(intake.queues)))
    if app.conf.task_default_queue in intake.queues:
        _watch.extend(Aside(app, queue) for queue, threads in ASIDE.items() for _ in range(threads))
    for thread in _watch:
        thread.start()


@task_prerun.connect
@task_postrun.connect
def close_what_is_old(**_: Any) -> None:
    """As around a request: a connection that is broken, or has been open for long, is not used again."""
    from django.db import close_old_connections

    close_old_connections()


@task_postrun.connect
def take_the_next(**_: Any) -> None:
    """A full worker does not listen; it hears of the slot that is free now."""
    for heartbeat in _pulse:
        heartbeat.intake.look_again()


@worker_shutting_down.connect
def hand_back(**_: Any) -> None:
    """SIGTERM: what runs gets a few seconds to end by itself, then goes back to the queue."""
    from jobs.steps.leases import LEASES

    LEASES.is_taking = False
    timer = threading.Timer(DRAIN_SECONDS, LEASES.hand_back)
    timer.daemon = True
    timer.start()


@task_revoked.connect
def cancel_revoked(sender: Any, request: Any, expired: bool, **_: Any) -> None:
    """Somebody revoked the task of a step that waits, as Flower does: its run is to stop."""
    from jobs import clock
    from jobs.runs.cancel import cancel_step

    if sender.name == "jobs.execute" and not expired:
        cancel_step(request.id, at=clock.now(), by="a revoked task")


@worker_shutdown.connect
def stop_heartbeat(**_: Any) -> None:
    from jobs.interpreters.hosts import HOSTS

    for watch in _watch:
        watch.stop()
    for heartbeat in _pulse:
        heartbeat.stop()
    HOSTS.stop_all()
