"""The yardstick of bench/ticks.py: django-celery-beat and Celery alone, with a database and a Redis of their own.

As a module it is Django's settings and the Celery app at once; run, it makes the tables and so many tasks a second.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from celery import Celery

SECRET_KEY = "of a benchmark"
INSTALLED_APPS = ["django.contrib.contenttypes", "django_celery_beat"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("PLAIN_DATABASE", "").removeprefix("sqlite:///"),
        "OPTIONS": {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"},
    }
}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

app = Celery("plain_beat", broker=os.environ.get("PLAIN_BROKER"))
app.conf.update(task_default_queue="plain", worker_prefetch_multiplier=1, beat_max_loop_interval=5)


@app.task(name="plain.note")
def note(number: int) -> None:
    """When it began: a line that is written at once."""
    with Path(os.environ["PLAIN_DIARY"]).open("a") as diary:
        diary.write(f"{number} {time.time()}\n")


def main() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    second = IntervalSchedule.objects.create(every=1, period="seconds")
    for number in range(int(sys.argv[1])):
        PeriodicTask.objects.create(name=f"note {number}", task="plain.note", args=f"[{number}]", interval=second)


if __name__ == "__main__":
    main()
