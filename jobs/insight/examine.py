"""Look whether everything that a run needs is there; each finding says what fixes it."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.db.models import Q
from redis.exceptions import RedisError

from jobs import clock
from jobs.interpreters.artifacts import ask_store, is_remote
from jobs.interpreters.boundary import OFF, open_to_code
from jobs.interpreters.confine import LANDLOCK
from jobs.models import Beat, Lead, Pipeline, Project, Schedule, StoreCheck, Upload, Worker
from jobs.models.lead import TICKS
from jobs.models.quota import check_takes
from jobs.runs.shared_store import apart_from_each_other
from jobs.steps import broker

PATIENCE = timedelta(seconds=60)
BROKER_TIMEOUT_SECONDS = 1.0
COMMAND, START = settings.CONSOLE_COMMAND, settings.CONSOLE_START
CLOCK_SECONDS = 2.0
"""More than this between two clocks is a good part of a lease."""
DISK_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `mend` is the command that puts it right, `page` the page that does.

    Amber is what only makes some of the work wait, or will be wrong before long.
    """

    subject: str
    is_ok: bool
    sentence: str
    mend: str = ""
    page: str = ""
    is_amber: bool = False


def examine(at: datetime) -> list[Finding]:
    """The ground that runs stand on: the same subjects in the same order each time. Slow: it asks other machines."""
    broker = _broker()
    eviction = [_eviction()] if broker.is_ok else []
    ground = [_database(), broker, *eviction, _store(at), *_projects(), *_takes(), *_schedules(), _beat(at)]
    return [*ground, _clocks(at), _meeting(at), _boundary(at), _disk()]


def examine_workers(at: datetime) -> list[Finding]:
    """What workers stand on: the broker keeps what it is given, a beat decides, clocks that agree, a disk with room."""
    return [_eviction(), _beat(at), _clocks(at), _meeting(at), _boundary(at), _disk()]


def _database() -> Finding:
    try:
        with transaction.atomic():
            Worker.objects.filter(pk=-1).update(busy=0)
    except DatabaseError as error:
        return Finding("database", False, f"The database is not writable: {error}.", f"{COMMAND} migrate")
    return Finding("database", True, "The database is writable.")


def _broker() -> Finding:
    client = broker.client(seconds=BROKER_TIMEOUT_SECONDS)
    try:
        client.ping()
    except (RedisError, OSError) as error:
        return _deaf(error)
    finally:
        client.close()
    return Finding("broker", True, "The broker answers.")


def _deaf(error: Exception) -> Finding:
    if why := broker.refusal(error):
        return Finding("broker", False, f"New runs wait. {why}", START)
    return Finding("broker", False, f"The broker does not answer, so new runs wait: {error}", START)


def _eviction() -> Finding:
    client = broker.client(seconds=BROKER_TIMEOUT_SECONDS)
    try:
        policy = str(client.info("memory").get("maxmemory_policy", "unknown"))
    except (RedisError, OSError) as error:
        return _deaf(error)
    finally:
        client.close()
    if policy != "noeviction":
        sentence = f"Redis may drop messages when it is full: its eviction policy is {policy}."
        return Finding("eviction", False, sentence, "redis-cli config set maxmemory-policy noeviction", is_amber=True)
    return Finding("eviction", True, "Redis drops no message: its eviction policy is noeviction.")


def _beat(at: datetime) -> Finding:
    """One decides, however many there are; it says so every second."""
    lead = Lead.objects.filter(what=TICKS).first()
    if lead is None or lead.renewed_at is None or not lead.holder or lead.renewed_at < at - PATIENCE:
        return Finding("beat", False, "No beat decides due times, so no schedule fires.", START)
    others = Beat.objects.alive(at).exclude(origin=lead.holder).count()
    more = f", {others} more would take over" if others else ""
    return Finding("beat", True, f"A beat decides due times: {lead.holder}{more}.")


def _clocks(at: datetime) -> Finding:
    ahead = Worker.objects.alive(at).values_list("name", "clock_ahead_seconds")
    wrong = [(name, seconds) for name, seconds in ahead if abs(seconds) > CLOCK_SECONDS]
    if wrong:
        name, seconds = max(wrong, key=lambda pair: abs(pair[1]))
        side = "before" if seconds > 0 else "behind"
        sentence = f"The clock of {name} is {abs(seconds):.1f} s {side} the database's: leases end too early or late."
        return Finding("clocks", False, sentence, "timedatectl set-ntp true", is_amber=True)
    return Finding("clocks", True, "The clocks of workers and database agree.")


def _meeting(at: datetime) -> Finding:
    """Whether steps on different workers find each other's data; an address of a project's own is its own affair."""
    if apart := apart_from_each_other(Worker.objects.alive(at)):
        names = f"{', '.join(apart[:-1])} and {apart[-1]}"
        sentence = f"The workers {names} share no folder of runs: distributed runs are refused."
        return Finding("run store", False, sentence, "CONSOLE_RUN_STORE=s3://bucket/runs", is_amber=True)
    return Finding("run store", True, "The workers share what lies between the steps of a run.")


def _boundary(at: datetime) -> Finding:
    """Whether project code is kept from the console's own folder, on every worker that is alive."""
    told = dict(Worker.objects.alive(at).exclude(boundary="").values_list("name", "boundary"))
    bare = sorted(name for name, said in told.items() if open_to_code(said))
    if bare:
        who = bare[0] if len(bare) == 1 else f"{len(bare)} workers ({', '.join(bare[:3])})"
        why = "CONSOLE_BOUNDARY is off" if told[bare[0]] == OFF else "the kernel offers nothing to prevent it"
        mend = "CONSOLE_BOUNDARY=auto" if told[bare[0]] == OFF else "CONSOLE_RUN_AS=another-user"
        sentence = f"Project code on {who} can read the console's own folder, its keys among it: {why}."
        return Finding("boundary", False, sentence, mend, is_amber=True)
    if any(said.startswith(LANDLOCK) for said in told.values()):
        sentence = "Project code cannot open the console's own files; it can still reach sockets on its machine."
        return Finding("boundary", True, sentence)
    return Finding("boundary", True, "Project code does not see the console's own folder." if told else UNTOLD)


UNTOLD = "No worker has said yet whether project code sees the console's own folder."


def _disk() -> Finding:
    """Of all the disks that runs write to, the fullest."""
    places = [place for place in _written() if place.exists()]
    disks = {place.stat().st_dev: place for place in reversed(places)}
    place, disk = min(((place, shutil.disk_usage(place)) for place in disks.values()), key=lambda found: found[1].free)
    left = f"{disk.free / 1e9:.1f} GB of {disk.total / 1e9:.0f} GB are free in {place}"
    if disk.free < DISK_BYTES:
        sentence = f"Only {left}: runs fail when there is no room for their files."
        return Finding("disk", False, sentence, f"df -h {place}", is_amber=True)
    return Finding("disk", True, f"{left}.")


def _written() -> Iterator[Path]:
    yield Path(settings.VAR)
    store = settings.STORAGES["artifacts"]
    if store["BACKEND"].endswith("FileSystemStorage"):
        yield Path(store["OPTIONS"]["location"])
    yield from (Path(path) for path in Project.objects.values_list("path", flat=True))


def _store(at: datetime) -> Finding:
    """What workers were told of it: a page that asked it would wait for it. A folder is looked at while none has."""
    if late := _late(at):
        return late
    check = StoreCheck.objects.lately(at).first()
    if check and check.error:
        since = f"{check.failing_since:%H:%M} UTC" if check.failing_since else "its last check"
        sentence = f"The artifact store has not answered {check.host} since {since}: {check.error.rstrip('.')}."
        return Finding("artifact store", False, f"{sentence} {GOES_ON}", is_amber=True)
    if check:
        return Finding("artifact store", True, f"The artifact store answered at {check.at:%H:%M:%S} UTC.")
    return (
        Finding("artifact store", True, "No worker has asked the artifact store lately.") if is_remote() else _folder()
    )


GOES_ON = "Runs go on, and their files are kept until it does."


def _folder() -> Finding:
    try:
        ask_store()
    except Exception as error:  # noqa: BLE001 - every storage backend raises its own; all mean the same here
        return Finding("artifact store", False, f"The artifact store refuses files: {error}", "ls -ld var/artifacts")
    return Finding("artifact store", True, "The artifact store accepts files.")


def _late(at: datetime) -> Finding | None:
    late = Upload.objects.late(at)
    newest = late.order_by("-attempts", "-id").first()
    if newest is None:
        return None
    count = late.count()
    files = "1 file is kept" if count == 1 else f"{count:,} files are kept"
    sentence = f"{files}, not yet in the artifact store. {newest.name}: {newest.sentence(at)}"
    return Finding("artifact store", False, sentence, "ls -l var/unsent", is_amber=True)


def _projects() -> Iterator[Finding]:
    projects = Project.objects.all()
    if not projects:
        yield Finding("projects", False, "No Kedro project is known yet.", f"{COMMAND} project add PATH")
    for project in projects:
        yield _project(project)


def _project(project: Project) -> Finding:
    subject, mend = f"project {project.name}", f"{COMMAND} project check {project.name}"
    if away := _away(project):
        return Finding(subject, False, away, mend)
    if errors := project.errors:
        return Finding(subject, False, f"{project.name}: {errors[0]}", mend)
    if project.snapshot is None:
        return Finding(subject, False, f"The project {project.name} was never read.", mend)
    count = Pipeline.objects.filter(project=project, is_registered=True).count()
    return Finding(subject, True, f"{project.name} has {count} pipeline{'' if count == 1 else 's'}.")


def _away(project: Project) -> str:
    """What of a project is not there at this moment; "" when all is, or when workers on other machines decide that."""
    what = project.absence
    hosts = set(Worker.objects.alive(clock.now()).values_list("host", flat=True)) if what else set()
    return what if hosts <= {platform.node()} else ""


def _schedules() -> Iterator[Finding]:
    """A finding for each schedule that fires for nothing: its pipeline is gone."""
    on = Schedule.objects.known().filter(paused_since=None)
    for schedule in on.filter(Q(pipeline=None) | Q(pipeline__is_registered=False)):
        sentence = f"The schedule “{schedule.name}” starts a pipeline that no longer exists. Change or delete it."
        page = f"/admin/django_celery_beat/periodictask/{schedule.periodic_task_id}/change/"
        yield Finding(f"schedule {schedule.name}", False, sentence, page=page, is_amber=True)


def _takes() -> Iterator[Finding]:
    """A finding for each pipeline whose runs would wait forever: its quota is gone, or never allows so much."""
    for pipeline in Pipeline.objects.filter(is_registered=True).exclude(takes={}).select_related("project"):
        try:
            check_takes(pipeline.takes)
        except ValidationError as error:
            mend = f"{settings.CONSOLE_URL}/admin/jobs/pipeline/{pipeline.pk}/change/"
            sentence = f"Runs of {pipeline.name} wait forever. {error.messages[0]}"
            yield Finding(f"quotas of {pipeline.name}", False, sentence, mend, is_amber=True)
