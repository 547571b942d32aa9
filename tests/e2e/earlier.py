"""The version before schedules had rows of their own: `python -m tests.e2e.earlier make|beat|begin FILE`.

`make` writes its database with thirty schedules, `beat` ticks as its beat did and starts as its workers did, `begin`
starts what today's beat has decided and writes down at its end what came of each schedule.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

BEFORE: Final = ("jobs", "0027_worker_marks")
BEAT: Final = ("django_celery_beat", "0019_alter_periodictasks_options")
ZONES: Final = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC")
INTERVALS: Final = (3, 4, 5, 6)


def models() -> Any:
    """The tables as that version knew them."""
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    return MigrationLoader(connection).project_state([BEFORE, BEAT]).apps


def make() -> None:
    from django.core.management import call_command

    from jobs import clock
    from tests.factories import content

    for names in (("auth",), ("django_celery_beat",), BEFORE):
        call_command("migrate", *names, verbosity=0)
    old, at = models(), clock.now()
    project = old.get_model("jobs", "Project").objects.create(name="shop", path="/srv/shop", interpreter="/bin/true")
    facts = {"revision": "files-00000001", "content": content(), "taken_at": at}
    old.get_model("jobs", "Snapshot").objects.create(project=project, **facts)
    pipeline = old.get_model("jobs", "Pipeline").objects.create(project=project, name="report", locks_outputs=False)
    tasks = old.get_model("django_celery_beat", "PeriodicTask")
    for name, rule in rules(old, at):
        kwargs = json.dumps({"pipeline_id": pipeline.pk, "parameters": {}})
        row = {"task": "jobs.start", "kwargs": kwargs, "enabled": True, "last_run_at": at, **rule}
        task = tasks.objects.create(name=name, **row)
        tasks.objects.filter(pk=task.pk).update(date_changed=at - timedelta(days=1))


def rules(old: Any, at: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    def rule(model: str, **facts: Any) -> Any:
        return old.get_model("django_celery_beat", model).objects.get_or_create(**facts)[0]

    crontab = {"day_of_month": "*", "month_of_year": "*", "day_of_week": "*"}
    for number, seconds in enumerate(INTERVALS * 3):
        for_it = rule("IntervalSchedule", every=seconds, period="seconds")
        yield f"every {seconds} s, {number}", {"interval": for_it}
    for number in range(8):
        zone = ZONES[number % 4]
        for_it = rule("CrontabSchedule", minute="*", hour="*", timezone=zone, **crontab)
        yield f"each minute {number}, {zone}", {"crontab": for_it}
    hour = f"{(at.hour + 12) % 24}"
    for zone in ZONES[:2]:
        yield f"not now, {zone}", {"crontab": rule("CrontabSchedule", minute="0", hour=hour, timezone="UTC", **crontab)}
    for name, seconds in (("once before", 6), ("once after", 90)):
        for_it = rule("ClockedSchedule", clocked_time=at + timedelta(seconds=seconds))
        yield name, {"clocked": for_it, "one_off": True, "last_run_at": None}
    for_it = rule("SolarSchedule", event="solar_noon", latitude=52.5, longitude=(180 - at.hour * 15) % 360 - 180)
    yield "the sun", {"solar": for_it}
    for name, more in (("off", {"enabled": False}), ("off, cron", {"enabled": False})):
        for_it = {"interval": rule("IntervalSchedule", every=3, period="seconds")}
        yield name, {**for_it, **more} if name == "off" else {**more, "crontab": for_it_of(old, crontab)}
    for number in range(3):
        for_it = rule("IntervalSchedule", every=5, period="seconds")
        yield f"the first time only {number}", {"interval": for_it, "one_off": True}


def for_it_of(old: Any, crontab: dict[str, str]) -> Any:
    rows = old.get_model("django_celery_beat", "CrontabSchedule").objects
    return rows.get_or_create(minute="*", hour="*", timezone="UTC", **crontab)[0]


def beat(_: Path) -> None:
    """Its beat sent each task that was due, and a worker wrote the run under a key; here both are one process."""
    from celery.beat import Service
    from django_celery_beat.schedulers import DatabaseScheduler

    from console.beat import PatientScheduler
    from console.celery import app
    from jobs import clock
    from jobs.schedules.dues import last_due
    from jobs.schedules.schedules import cron_from

    runs = models().get_model("jobs", "Run")

    class Earlier(PatientScheduler):
        producer = None  # nothing is sent

        def enabled_models_qs(self) -> Any:
            return DatabaseScheduler.enabled_models_qs(self).filter(task="jobs.start")

        def tick(self, *args: Any, **kwargs: Any) -> float:
            return min(0.2, DatabaseScheduler.tick(self, *args, **kwargs))

        def setup_schedule(self) -> None:
            """Housekeeping is nobody's here."""

        def apply_entry(self, entry: Any, producer: Any = None) -> None:
            task, at = entry.model, clock.now()
            prefix = f"schedule:{task.pk}:1:"
            slot = slot_of(task, at)
            last = runs.objects.filter(idempotency_key__startswith=prefix).order_by("-id").first()
            if slot is None and last and at - last.created_at < timedelta(seconds=task.interval.every) / 2:
                return
            key = f"{prefix}{slot.isoformat() if slot else f'after-{last.pk if last else 0}'}"
            facts = {"pipeline_id": 1, "cause": "schedule", "cause_detail": task.name, "due_at": slot, "created_at": at}
            runs.objects.get_or_create(idempotency_key=key, defaults=facts)

    def slot_of(task: Any, at: datetime) -> datetime | None:
        if task.clocked:
            return task.clocked.clocked_time  # type: ignore[no-any-return]
        if not task.crontab:
            return None
        zone = ZoneInfo(str(task.crontab.timezone))
        return last_due(cron_from(task.crontab), zone, at + timedelta(seconds=2))

    app.conf.beat_sync_every = 1
    service = Service(app, max_interval=1, scheduler_cls=Earlier)
    signal.signal(signal.SIGTERM, lambda *_: service.stop())
    service.start()


def begin(told: Path) -> None:
    """Until it is ended."""
    from jobs import clock
    from jobs.models import Run, Schedule, Tick
    from jobs.schedules.start import begin as begin_tick

    ends: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ends.append(1))
    while not ends or Tick.objects.waiting().exists():
        for number in list(Tick.objects.waiting().values_list("pk", flat=True)):
            begin_tick(number, clock.now())
        time.sleep(0.02)
    facts = {}
    for schedule in Schedule.objects.known():
        runs = Run.objects.filter(cause_detail=schedule.name).order_by("created_at")
        facts[schedule.name] = {
            "runs": [[run.pk, run.created_at.timestamp(), run.due_at and run.due_at.timestamp()] for run in runs],
            "ticks": [
                [tick.due_at.timestamp(), tick.decision, tick.run_id] for tick in schedule.ticks.order_by("due_at")
            ],
        }
    told.write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    what, file = sys.argv[1], Path(sys.argv[2])
    {"make": lambda _: make(), "beat": beat, "begin": begin}[what](file)
