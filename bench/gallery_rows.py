"""What no seeded history has, made in the console whose state the environment names; prints its keys as JSON.

Schedules with their ticks, a backfill that is half done, links to files, and files of every kind that is shown.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from datetime import datetime, timedelta
from datetime import time as time_of_day
from mimetypes import guess_type
from typing import Any, Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.files.base import ContentFile  # noqa: E402

from bench.gallery_files import files  # noqa: E402
from jobs import clock  # noqa: E402
from jobs.backfills import plan  # noqa: E402
from jobs.backfills.begin import begin  # noqa: E402
from jobs.backfills.control import pause as pause_backfill  # noqa: E402
from jobs.batches.batches import put  # noqa: E402
from jobs.interpreters.artifacts import key_of, store  # noqa: E402
from jobs.library.share import ShareOrder, share  # noqa: E402
from jobs.library.shelve import shelve  # noqa: E402
from jobs.models import Artifact, Backfill, Pipeline, Run, Schedule, Subscription, Tick  # noqa: E402
from jobs.models.channel import Asker  # noqa: E402
from jobs.schedules.due import next_dues  # noqa: E402
from jobs.schedules.dues import Cron, Every  # noqa: E402
from jobs.schedules.edit import Wanted, create  # noqa: E402
from jobs.schedules.switch import pause  # noqa: E402
from jobs.states import NewsKind, Status, TickDecision  # noqa: E402
from jobs.telling.edit import save_subscription  # noqa: E402

ZONE: Final = "Europe/Berlin"
PAST: Final = timedelta(days=20)
DAYS: Final = 12
DONE: Final = 5
"""Dates of the backfill that have run when it is paused."""
PATIENCE: Final = 120
CITIES: Final = ("Bergen", "Ghent", "Lisbon", "Lyon", "Oslo", "Porto", "Riga", "Turku", "Vienna", "Zadar")
WORDS: Final = ("flights", "hotel", "rental car", "parking", "lounge", "train", "taxi", "weather")


def main() -> None:
    at, by = clock.now(), User.objects.filter(is_superuser=True).order_by("pk")[0]
    put("keywords", [(f"{city} {word}", {"market": city}) for city in CITIES for word in WORDS], at=at)
    line = Pipeline.objects.get(pk=_key("markets", "markets"))
    wanted = Subscription(owner=by, pipeline=line, kinds=[NewsKind.FAILING, NewsKind.RECOVERED, NewsKind.LATE])
    wanted.expected_by = time_of_day(7, 30)
    save_subscription(wanted, [], by=Asker.of(by), at=at)
    rows = {**_schedules(at, by), **_files(), "backfill": _backfill(at, by).pk}
    deck_of_today = Artifact.objects.get(pk=rows.pop("deck_key"))
    rows |= _links(deck_of_today, at, by)
    rows |= {f"huge_{name}": _key("atlas", name) for name in ("in_namespaces", "without_namespaces")}
    rows["markets"] = _key("markets", "markets")
    sys.stdout.write(f"{json.dumps(rows)}\n")


def _key(project: str, name: str) -> int:
    return Pipeline.objects.get(project__name=project, name=name).pk


# ---- schedules


def _schedules(at: datetime, by: User) -> dict[str, int]:
    """A daily one with a past, others beside it, and a paused one."""
    lines = {row.name: row for row in Pipeline.objects.filter(project__name="demo")}
    facts: dict[str, Any] = {"zone": ZONE, "owner": by}
    daily = create(
        Wanted(name="Airports report", pipeline=lines["reporting"], rule=Cron("0 6 * * *"), note="Before the meeting.",
               **facts), at=at)  # fmt: skip
    others = [
        Wanted(
            name="Rows every hour",
            pipeline=lines["data_loading"],
            rule=Every(3600, at.replace(minute=0, second=0, microsecond=0) - PAST),
            **facts,
        ),
        Wanted(name="Keywords on workdays", pipeline=lines["keyword_metrics"], rule=Cron("30 7 * * 1-5"), **facts),
        Wanted(name="Texts of the month", pipeline=lines["prompts"], rule=Cron("0 4 1 * *"), **facts),
    ]
    made = [create(wanted, at=at) for wanted in others]
    pause(made[-1], at=at, by=by.get_username(), until=at + timedelta(days=9), reason="The vendor moves house")
    for schedule in (daily, *made[:2]):
        _past_of(schedule, at)
    return {"schedule": daily.pk}


def _past_of(schedule: Schedule, at: datetime) -> None:
    """Ticks of the last days, each with the run of the history that is nearest to it."""
    runs = list(Run.objects.filter(pipeline=schedule.pipeline_id, finished_at__isnull=False).order_by("-pk")[:400])
    schedule.counts_since = at - PAST
    found = [due for due in next_dues(schedule, 600, at - PAST) if due < at][-70:]
    for place, due in enumerate(found):
        run = min(runs, key=lambda each: abs(each.created_at - due))
        decision = {len(found) - 9: TickDecision.SKIPPED, len(found) - 17: TickDecision.MISSED}.get(place)
        words = {TickDecision.SKIPPED: "Run #1 had not ended.", TickDecision.MISSED: "No scheduler was up."}
        dismissed = at if decision == TickDecision.MISSED else None
        Tick.objects.create(
            schedule=schedule, due_at=due, decided_at=due, decision=decision or TickDecision.STARTED,
            run=None if decision else run, reason=words.get(decision, "") if decision else "",
            lateness_seconds=None if decision else 0.08, dismissed_at=dismissed,
        )  # fmt: skip


# ---- files


def _files() -> dict[str, Any]:
    """Left by the newest good run of the pipeline that reports, and by the one before it."""
    runs = Run.objects.filter(pipeline__name="reporting", pipeline__project__name="demo", status=Status.SUCCEEDED)
    last, before = runs.order_by("-pk")[:2]
    found: dict[str, Any] = {}
    for run in (before, last):
        for name, content in files(is_older=run == before).items():
            row = _kept(run, name, content)
            found[name.replace("flights.", "").replace("airports.", "")] = str(row.uuid)
            found["deck_key"] = row.pk if name.endswith(".pptx") else found.get("deck_key")
        shelve(run)
    return found


def _kept(run: Run, name: str, content: bytes) -> Artifact:
    sha256 = hashlib.sha256(content).hexdigest()
    if not store().exists(key_of(sha256)):
        store().save(key_of(sha256), ContentFile(content))
    return Artifact.objects.create(
        run=run, name=name, dataset=name.replace(".", "_"), sha256=sha256, size_bytes=len(content),
        media_type=guess_type(name)[0] or "", created_at=run.finished_at or run.created_at,
    )  # fmt: skip


def _links(row: Artifact, at: datetime, by: User) -> dict[str, str]:
    """For anybody, always the newest; with a password; for people who log in."""
    week = at + timedelta(days=7)
    _, newest = share(ShareOrder(row, week, is_newest=True), at=at, by=by)
    _, closed = share(ShareOrder(row, week, password="autumn"), at=at, by=by)
    share(ShareOrder(row, at + timedelta(days=30), needs_login=True), at=at, by=by)
    return {"share": newest, "share_closed": closed}


# ---- a backfill


def _backfill(at: datetime, by: User) -> Backfill:
    """Of the last days of the large project, paused when some of them have run."""
    line, today = Pipeline.objects.get(pk=_key("markets", "markets")), at.date()
    first, last = today - timedelta(days=DAYS), today - timedelta(days=1)
    wanted = plan.Wanted(pipeline=line, first_day=first, last_day=last, zone=ZONE, at_once=2, date_parameter="")
    row = begin(wanted, at=at, by=by)
    deadline = time.monotonic() + PATIENCE
    while row.dates.filter(run__finished_at__isnull=False).count() < DONE and time.monotonic() < deadline:
        time.sleep(0.2)
    pause_backfill(row, at=clock.now(), by=by.get_username())
    return row


if __name__ == "__main__":
    main()
