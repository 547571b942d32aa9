"""Several beats: one decides, another takes over when it dies or is stopped, and what people switch off stays off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django_celery_beat.models import PeriodicTask

from jobs import clock
from jobs.models import Lead, Pipeline, Project, Run, Schedule, Tick
from jobs.schedules.due import rule_of
from jobs.schedules.dues import Every, Once, dues
from jobs.schedules.edit import Wanted, create
from jobs.schedules.switch import pause
from jobs.states import TickDecision
from tests import live

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]
COUNT = 6
TAKE_OVER = timedelta(seconds=5)


def beat(stack: ExitStack, name: str) -> subprocess.Popen[bytes]:
    log = settings.VAR / f"beat-{name}.log"
    return stack.enter_context(live.process(sys.executable, "-m", "console", "beat", log=log))


def leads(beats: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes] | None:
    holder = Lead.objects.values_list("holder", flat=True).first() or ""
    return next((each for each in beats if holder.startswith(f"{each.pid}@")), None)


def leader(beats: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    return live.until(lambda: leads(beats), what="a beat leads")


def newest_after(count: int, what: str) -> None:
    """This many more due times are started."""
    before = Tick.objects.exclude(run=None).count()
    live.until(lambda: Tick.objects.exclude(run=None).count() >= before + count, what=what)


@pytest.fixture
def quick(toy: Project, worker: subprocess.Popen[bytes], tmp_path: Path) -> Pipeline:
    Pipeline.objects.filter(project=toy).update(overlap="both", locks_outputs=False)
    return Pipeline.objects.get(project=toy, name="chain")


def test_beats_die_and_stop_and_each_due_time_starts_once(quick: Pipeline) -> None:
    with ExitStack() as stack:
        beats = [beat(stack, "a"), beat(stack, "b")]
        leader(beats)
        at = clock.now()
        facts = {"pipeline": quick, "rule": Every(2, at), "zone": "UTC", "parameters": {"word": "x"}}
        for number in range(COUNT):
            create(Wanted(name=f"each two {number}", **facts), at=at)
        newest_after(COUNT, "the first beat decides")
        killed = leader(beats)
        killed.kill()
        gone_at = clock.now()
        live.until(lambda: leads([each for each in beats if each is not killed]), what="the second takes over")
        assert clock.now() - gone_at < 2 * TAKE_OVER  # twice, on a machine that is busy
        newest_after(COUNT, "the second beat decides")
        beats = [each for each in beats if each is not killed] + [beat(stack, "c")]
        stopped = leader(beats)
        os.kill(stopped.pid, signal.SIGSTOP)
        live.until(lambda: leads([each for each in beats if each is not stopped]), what="the third takes over")
        os.kill(stopped.pid, signal.SIGCONT)
        newest_after(2 * COUNT, "the third decides beside the one that was stopped")
        for schedule in Schedule.objects.all():
            pause(schedule, at=clock.now(), by="ann")
        off_at = clock.now()
        started = Run.objects.count()
        paused = Tick.objects.filter(decision=TickDecision.PAUSED, due_at__gt=off_at)
        live.until(lambda: paused.count() >= 2 * COUNT, what="due times of the pause pass")
        assert Run.objects.count() == started, "nothing starts after a pause is saved"
        assert not PeriodicTask.objects.filter(task="jobs.start", enabled=True).exists()
    for schedule in Schedule.objects.all():
        found = rule_of(schedule)
        assert found
        wanted = list(dues(found, ZoneInfo("UTC"), at, schedule.decided_until))
        assert list(schedule.ticks.order_by("due_at").values_list("due_at", flat=True)) == wanted
    others = Tick.objects.exclude(decision__in=[TickDecision.STARTED, TickDecision.PAUSED])
    assert list(others.values_list("due_at", "decided_at", "decision", "reason")) == []
    assert max(Counter(Tick.objects.exclude(run=None).values_list("run", flat=True)).values()) == 1
    assert Lead.objects.get().token >= 3


def has_host(project: Project) -> bool:
    """A process of the worker that is the project's, warm or about to be."""
    lines = (file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists())
    return any(b"kedro_console.host" in line and str(project.path).encode() in line for line in lines)


def test_the_project_of_what_is_due_soon_is_imported_before(toy: Project, quick: Pipeline) -> None:
    assert not has_host(toy)
    at = clock.now()
    facts = {"pipeline": quick, "zone": "UTC", "parameters": {"word": "x"}}
    create(Wanted(name="in an hour", rule=Once(at + timedelta(hours=1)), **facts), at=at)
    create(Wanted(name="in a minute", rule=Once(at + timedelta(minutes=1)), **facts), at=at)
    live.until(lambda: has_host(toy), what="the host of what is due in a minute")
    assert not Run.objects.exists()
