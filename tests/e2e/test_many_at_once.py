"""A hundred schedules switched off, edited and resumed at once beside two beats: what people said holds."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import Count, Q
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from console.models import ApiToken
from jobs import clock
from jobs.models import Lead, Pipeline, Project, Run, Schedule, Tick
from jobs.schedules.due import rule_of
from jobs.schedules.dues import Every, dues
from jobs.schedules.edit import Wanted, create
from jobs.schedules.schedules import START
from jobs.schedules.switch import pause
from jobs.states import TickDecision
from tests import live
from tests.admin.changing import act
from tests.api.conftest import post
from tests.api.test_schedules import patch
from tests.factories import make_user

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
MANY = 100
HANDS = 8
"""So many people at once."""
EVERY_SECONDS = 8
OWN = 10
"""Tasks of the console's own, which beat counts and writes down itself."""
OWN_ONES = Q(task="jobs.tick", name__startswith="own")
NOT_PAUSED = (TickDecision.DUE, TickDecision.STARTED, TickDecision.SKIPPED, TickDecision.MISSED, TickDecision.MADE_UP)
LONG = 300


@pytest.fixture
def quick(toy: Project, worker: subprocess.Popen[bytes]) -> Pipeline:
    """One at a time: what is due meanwhile is skipped, which is a decision too."""
    Pipeline.objects.filter(project=toy).update(overlap="skip", locks_outputs=False)
    return Pipeline.objects.get(project=toy, name="chain")


@pytest.fixture
def beats() -> Iterator[list[subprocess.Popen[bytes]]]:
    with ExitStack() as stack:
        logs = [settings.VAR / f"beat-many-{name}.log" for name in "ab"]
        words = (sys.executable, "-m", "console", "beat")
        yield [stack.enter_context(live.process(*words, log=log)) for log in logs]


@pytest.fixture
def hands(quick: Pipeline) -> Iterator[Callable[[list[Callable[[Client], int]]], list[int]]]:
    """Do all of it over the API, by many at once; the answers' numbers."""
    _, secret = ApiToken.objects.create(make_user("ann", "admin"), timedelta(days=1), role="admin")

    def alone(deed: Callable[[Client], int]) -> int:
        try:
            return deed(Client(headers={"Authorization": f"Bearer {secret}"}))
        finally:
            connection.close()

    with ThreadPoolExecutor(HANDS) as pool:
        yield lambda deeds: list(pool.map(alone, deeds))


def hundred(pipeline: Pipeline) -> list[Schedule]:
    at = clock.now()
    facts = {"pipeline": pipeline, "zone": "UTC", "parameters": {"word": "x"}}
    anchors = [at + timedelta(seconds=EVERY_SECONDS * number / MANY) for number in range(MANY)]
    return [
        create(Wanted(name=f"schedule {number:02}", rule=Every(EVERY_SECONDS, anchor), **facts), at=at)
        for number, anchor in enumerate(anchors)
    ]


def each_has(count: int, what: str, **facts: object) -> None:
    """Every one of the schedules has so many ticks like that."""
    ticks = Count("ticks", filter=Q(**{f"ticks__{name}": fact for name, fact in facts.items()}))
    few = Schedule.objects.annotate(seen=ticks).filter(seen__lt=count)
    live.until(lambda: not few.exists(), seconds=LONG, what=what)


def leader_of(beats: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    def leads() -> subprocess.Popen[bytes] | None:
        holder = Lead.objects.values_list("holder", flat=True).first() or ""
        return next((each for each in beats if holder.startswith(f"{each.pid}@")), None)

    return live.until(leads, what="a beat leads")


def fired_for(after: datetime) -> list[Tick]:
    """What was due after that and was more than noted as paused."""
    return list(Tick.objects.filter(due_at__gt=after).exclude(decision=TickDecision.PAUSED))


def test_a_hundred_switched_off_at_once_stay_off_whichever_beat_writes(
    quick: Pipeline,
    beats: list[subprocess.Popen[bytes]],
    hands: Callable[[list[Callable[[Client], int]]], list[int]],
    admin_client: Client,
) -> None:
    second, _ = IntervalSchedule.objects.get_or_create(every=1, period="seconds")
    own = [PeriodicTask.objects.create(name=f"own {n}", task="jobs.tick", interval=second) for n in range(OWN)]
    schedules = hundred(quick)
    leader_of(beats)
    each_has(1, "each is due before", decision__in=NOT_PAUSED)
    live.until(lambda: not PeriodicTask.objects.filter(OWN_ONES, total_run_count=0).exists(), what="own ones")
    by_hand, by_list = schedules[::2], schedules[1::2]
    off = [lambda page, pk=row.pk: post(page, f"/schedules/{pk}/pause", {"reason": "all"}).status_code
           for row in by_hand]  # fmt: skip
    assert set(hands(off)) == {200}
    assert ": paused." in act(admin_client, "disable", *(row.periodic_task for row in by_list), *own)
    off_at = clock.now()
    counts = dict(PeriodicTask.objects.filter(OWN_ONES).values_list("pk", "total_run_count"))

    each_has(2, "the first beat has seen each of them off", decision=TickDecision.PAUSED, due_at__gt=off_at)
    first = leader_of(beats)
    live.end(first)  # it writes down what it still had to write
    over_at = clock.now()
    assert leader_of([each for each in beats if each is not first])
    each_has(2, "the second beat has seen each of them off", decision=TickDecision.PAUSED, due_at__gt=over_at)
    for beat in beats:
        live.end(beat)

    assert Schedule.objects.filter(paused_since__isnull=False, paused_until=None).count() == MANY
    assert not PeriodicTask.objects.filter(Q(task=START) | OWN_ONES, enabled=True).exists()
    assert [str(tick) for tick in fired_for(off_at)] == []
    assert not Run.objects.filter(created_at__gt=off_at).exists()
    own_now = dict(PeriodicTask.objects.filter(OWN_ONES).values_list("pk", "total_run_count"))
    assert all(own_now[pk] - counts[pk] <= 1 for pk in counts), "one may have been on its way"


def test_edits_and_resumes_by_many_at_once_all_hold_and_start_nothing(
    quick: Pipeline,
    beats: list[subprocess.Popen[bytes]],
    hands: Callable[[list[Callable[[Client], int]]], list[int]],
) -> None:
    schedules = hundred(quick)
    for row in schedules:
        pause(row, at=clock.now(), by="ann")
    leader_of(beats)
    begun_at = clock.now()
    each_has(1, "each passes a due time while it is off", decision=TickDecision.PAUSED, due_at__gt=begun_at)
    deeds: list[Callable[[Client], int]] = []
    for number, row in enumerate(schedules):
        bodies = [{"note": f"note {number}"}, {"missed_most": number + 1}, {"jitter_seconds": 0, "overlap": "skip"}]
        bodies += [{"rule": {"kind": "every", "seconds": EVERY_SECONDS + 1}}] if number % 2 else []
        deeds += [
            lambda page, pk=row.pk, body=body: patch(page, f"/schedules/{pk}", body).status_code for body in bodies
        ]
        deeds.append(lambda page, pk=row.pk: post(page, f"/schedules/{pk}/resume").status_code)
    random.Random(3).shuffle(deeds)
    before = clock.now()
    assert Counter(hands(deeds)) == {200: len(deeds)}
    done_at = clock.now()
    each_has(2, "each is due again", due_at__gt=done_at, decision__in=NOT_PAUSED)
    for beat in beats:
        live.end(beat)

    for number, row in enumerate(Schedule.objects.select_related("periodic_task").order_by("periodic_task__name")):
        assert (row.note, row.missed_most, row.overlap) == (f"note {number}", number + 1, "skip")
        assert row.rule["seconds"] == EVERY_SECONDS + number % 2
        assert row.paused_since is None and row.periodic_task.enabled
        assert row.counts_since <= done_at
        rule = rule_of(row)
        assert rule
        wanted = set(dues(rule, ZoneInfo("UTC"), row.counts_since, row.decided_until))
        kept = set(row.ticks.filter(due_at__gt=row.counts_since).values_list("due_at", flat=True))
        assert wanted <= kept, "each due time since its last change"
        assert all(due < done_at for due in kept - wanted), "by another rule only until the change was written"
    assert min(tick.due_at for tick in fired_for(begun_at)) > before, "nothing of the pause is started"
    assert set(Tick.objects.values_list("decision", flat=True)) <= {*NOT_PAUSED, TickDecision.PAUSED}
    assert max(Counter(Tick.objects.exclude(run=None).values_list("run", flat=True)).values()) == 1
