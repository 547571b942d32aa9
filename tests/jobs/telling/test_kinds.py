"""Every kind of news is told once when it begins, arrives by mail and at a webhook, and can begin again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs.models import (
    Artifact,
    Channel,
    Grant,
    News,
    Notice,
    Pipeline,
    Quota,
    Run,
    Schedule,
    Snapshot,
    Subscription,
    Tick,
    Worker,
)
from jobs.schedules.decide import decide
from jobs.schedules.dues import Every
from jobs.schedules.edit import Wanted, create
from jobs.schedules.lead import Leader
from jobs.schedules.start import begin as start_tick
from jobs.states import NewsKind, Status, TickDecision
from jobs.telling.on_run_end import run_ended
from jobs.telling.sweep import sweep
from tests.factories import AT, content, make_pipeline, make_quota, make_run
from tests.jobs.chains import end, ended, pipelines
from tests.jobs.telling.conftest import send_due, silent_worker, subscribed
from tests.receivers import Hook, Mailbox

pytestmark = pytest.mark.django_db


def lasting(pipeline: Pipeline, seconds: float, *, results: Any = None, at: datetime = AT) -> Run:
    """A run that began at `at`, takes so long and succeeds."""
    run = make_run(pipeline, at=at)
    return end(run, at=at + timedelta(seconds=seconds), results=results or {})


def a_history(pipeline: Pipeline, count: int = 6, **facts: Any) -> None:
    for number in range(count):
        lasting(pipeline, 60 + number, **facts)


def fails(pipeline: Pipeline) -> None:
    ended(pipeline, Status.FAILED)


def fails_again(pipeline: Pipeline) -> None:
    fails(pipeline)
    fails(pipeline)


def recovers(pipeline: Pipeline) -> None:
    fails(pipeline)
    ended(pipeline)


def is_late(pipeline: Pipeline) -> None:
    sweep(datetime.combine(AT.date() + timedelta(days=1), time(6, 5), AT.tzinfo))  # 07:05 in Berlin


def is_slow(pipeline: Pipeline) -> None:
    a_history(pipeline)
    lasting(pipeline, 600)


def leaves_little(pipeline: Pipeline) -> None:
    a_history(pipeline, results={"cars": {"type": "pandas.CSVDataset", "rows": 1_000}})
    lasting(pipeline, 60, results={"cars": {"type": "pandas.CSVDataset", "rows": 12}})


def is_missed(pipeline: Pipeline) -> None:
    a_tick(a_schedule(pipeline), TickDecision.REFUSED, reason="The project cannot be read.")
    sweep(AT)


def uses_its_quota(pipeline: Pipeline) -> None:
    Pipeline.objects.filter(pk=pipeline.pk).update(takes={"chat": 1})
    used_up(make_quota(windows="10 requests per day in UTC"), 9)
    sweep(AT)


def waits(pipeline: Pipeline) -> None:
    make_run(pipeline, at=AT - timedelta(hours=1))
    sweep(AT)


def loses_a_worker(pipeline: Pipeline) -> None:
    silent_worker()
    sweep(AT)


def leaves_a_file(pipeline: Pipeline) -> None:
    end(make_run(pipeline), artifacts=[a_file("report-03.pptx")])


BRINGS: dict[str, Callable[[Pipeline], None]] = {
    "failing": fails,
    "still_failing": fails_again,
    "recovered": recovers,
    "late": is_late,
    "slow": is_slow,
    "little": leaves_little,
    "missed": is_missed,
    "quota": uses_its_quota,
    "waiting": waits,
    "worker": loses_a_worker,
    "file": leaves_a_file,
}
WORDS = {
    "failing": "shop / a failed: run #",
    "still_failing": "has failed 2 times in a row",
    "recovered": "succeeds again, after a failure",
    "late": "expected by 07:00, but no run of it began",
    "slow": "10m 00s instead of about 1m 02s",
    "little": "cars with 12 rows instead of about 1,000",
    "missed": "was refused at 2026-03-01 08:00 UTC: The project cannot be read.",
    "quota": "9 of 10 requests per day in UTC used",
    "waiting": "has been waiting for 60 min",
    "worker": "worker@test was lost",
    "file": "report-03.pptx from shop / a",
}


def a_file(name: str) -> dict[str, Any]:
    return {"dataset": "deck", "name": name, "media_type": "x/y", "size_bytes": 10, "sha256": "0" * 64}


def a_schedule(pipeline: Pipeline, name: str = "mornings") -> Schedule:
    every, _ = IntervalSchedule.objects.get_or_create(every=1, period="hours")
    task = PeriodicTask.objects.create(name=name, task="jobs.none", interval=every)
    facts = {"counts_since": AT, "decided_until": AT, "created_at": AT, "edited_at": AT}
    return Schedule.objects.create(periodic_task=task, pipeline=pipeline, **facts)


def a_tick(schedule: Schedule, decision: TickDecision, at: datetime = AT, **facts: Any) -> Tick:
    return Tick.objects.create(schedule=schedule, due_at=at, decided_at=at, decision=decision, **facts)


def used_up(quota: Quota, requests: int) -> None:
    """A settled grant of so many requests."""
    at = AT - timedelta(minutes=5)
    sums = {"requests": requests, "sum_requests": requests, "sum_rows": 0}
    Grant.objects.create(quota=quota, asked_at=at, taken_at=at, settled_at=at, **sums)
    Quota.objects.filter(pk=quota.pk).update(settled_requests=requests, settled_at=at)


def everything(user: User, kind: str, channels: list[Channel], pipeline: Pipeline) -> Subscription:
    return subscribed(
        user,
        kind,
        channels,
        pipeline=None if kind == "worker" else pipeline,
        every=2,
        waits_seconds=900,
        expected_by=time(7) if kind == "late" else None,
        file_name="report-*.pptx" if kind == "file" else "",
    )


def test_all_kinds_are_tried() -> None:
    assert set(BRINGS) | {"channel", "test"} == set(NewsKind.values) == set(WORDS) | {"channel", "test"}


@pytest.mark.parametrize("kind", BRINGS)
def test_every_kind_arrives_by_mail_and_at_a_webhook(
    kind: str, admin: User, channels: list[Channel], box: Mailbox, hook: Hook
) -> None:
    a, *_ = pipelines()
    everything(admin, kind, channels, a)
    BRINGS[kind](a)
    assert send_due(AT + timedelta(days=2)) == 2
    ((to, letter),), (body,) = box.letters, hook.bodies
    assert to == "ops@example.org" and letter["From"] == "console@example.org"
    assert WORDS[kind] in letter["Subject"] and WORDS[kind] in letter.get_content()
    assert (body["kind"], body["title"]) == (kind, letter["Subject"])
    assert body["link"].startswith("http://127.0.0.1:8000/") and body["link"] in letter.get_content()
    assert Notice.objects.get(user=admin).news.kind == kind


@pytest.mark.parametrize("kind", set(BRINGS) - {"late"})
def test_nobody_who_did_not_ask_hears_of_it(kind: str, admin: User, channels: list[Channel]) -> None:
    a, b, *_ = pipelines()
    others = " ".join(set(BRINGS) - {kind, "late", "file"})
    subscribed(admin, others, channels, pipeline=b)
    if kind != "worker":
        everything(admin, kind, channels, b)
    BRINGS[kind](a)
    assert not Notice.objects.exists() and send_due(AT + timedelta(days=2)) == 0


def test_a_thousand_failures_of_one_pipeline_tell_once(
    admin: User, channels: list[Channel], box: Mailbox, hook: Hook
) -> None:
    a, *_ = pipelines()
    subscribed(admin, "failing recovered", channels)
    run = ended(a, Status.FAILED)

    for _ in range(999):
        run_ended(run, AT)
    send_due()
    assert (len(box.letters), hook.kinds) == (1, ["failing"])
    assert News.objects.get().times == 1_000 and Notice.objects.count() == 1
    ended(a)
    send_due()
    assert box.subjects[1].startswith("shop / a succeeds again, after 1,000 failures") and len(hook.calls) == 2
    fails(a)
    send_due()
    assert hook.kinds == ["failing", "recovered", "failing"]


def test_what_is_still_failing_is_told_every_nth_time(admin: User, channels: list[Channel], hook: Hook) -> None:
    a, *_ = pipelines()
    subscribed(admin, "still_failing", channels, every=3)
    for _ in range(7):
        fails(a)
    send_due()
    assert [body["facts"]["times"] for body in hook.bodies] == [3, 6]


def test_one_slow_run_after_another_is_the_same_news(admin: User, channels: list[Channel], hook: Hook) -> None:
    a, *_ = pipelines()
    subscribed(admin, "slow little", channels)
    later = AT + timedelta(hours=1)
    a_history(a, results={"cars": {"size_bytes": 900}})
    lasting(a, 600, results={"cars": {"size_bytes": 100}})
    lasting(a, 600, results={})
    send_due(later)
    assert sorted(hook.kinds) == ["little", "slow"]
    lasting(a, 60, results={"cars": {"size_bytes": 900}})
    lasting(a, 60, results={})
    send_due(later)
    assert hook.kinds[2:] == ["little"] and "no cars (usually 900 bytes)" in hook.bodies[2]["title"]


def test_a_run_that_goes_on_for_too_long_is_told_of_while_it_does(
    admin: User, channels: list[Channel], hook: Hook
) -> None:
    a, *_ = pipelines()
    subscribed(admin, "slow", channels)
    a_history(a)
    run = make_run(a)
    run.start(at=AT, by="test")
    assert sweep(AT + timedelta(seconds=61)) == 0
    sweep(AT + timedelta(minutes=5))
    sweep(AT + timedelta(minutes=6))
    send_due(AT + timedelta(minutes=5))
    assert len(hook.calls) == 1 and f"run #{run.pk} has been running for 5m 00s" in hook.bodies[0]["title"]


def test_who_is_late_is_told_of_once_a_day_and_only_on_its_days(
    admin: User, channels: list[Channel], hook: Hook
) -> None:
    a, *_ = pipelines()
    subscribed(admin, "late", channels, pipeline=a, expected_by=time(7), expected_days="12345")
    monday = datetime(2026, 3, 2, 6, 5, tzinfo=AT.tzinfo)  # 07:05 in Berlin
    for at in (monday, monday + timedelta(minutes=1), monday - timedelta(days=1), monday + timedelta(hours=8)):
        sweep(at)
    assert News.objects.count() == 1
    lasting(a, 60, at=monday + timedelta(hours=17))
    sweep(monday + timedelta(days=1))
    assert News.objects.count() == 1, "it began the evening before and was there in time"
    sweep(monday + timedelta(days=2))
    make_run(a, at=monday + timedelta(days=3, hours=-1))
    sweep(monday + timedelta(days=3))
    titles = list(News.objects.order_by("pk").values_list("title", flat=True))
    assert len(titles) == 3 and titles[2].endswith("is queued")


def test_many_runs_that_wait_are_one_piece_of_news(admin: User, channels: list[Channel], hook: Hook) -> None:
    a, *_ = pipelines()
    subscribed(admin, "waiting", channels, waits_seconds=60)
    runs = [make_run(a, at=AT - timedelta(minutes=30)) for _ in range(20)]
    sweep(AT)
    sweep(AT + timedelta(seconds=3))
    assert News.objects.count() == 1 and "(and 19 more)" in News.objects.get().title
    Run.objects.filter(pk__in=[run.pk for run in runs]).update(status=Status.CANCELLED, finished_at=AT)
    sweep(AT + timedelta(seconds=6))
    make_run(a, at=AT)
    sweep(AT + timedelta(minutes=2))
    assert News.objects.count() == 2


def test_a_quota_that_is_short_by_nature_is_no_news(admin: User, channels: list[Channel]) -> None:
    make_pipeline()
    subscribed(admin, "quota", channels)
    used_up(make_quota("quick", windows="10 requests per 30 minutes"), 10)
    quota = make_quota("slow", windows="10 requests per day in UTC")
    used_up(quota, 8)
    sweep(AT)
    sweep(AT)
    assert News.objects.count() == 1
    sweep(AT + timedelta(days=1))
    assert News.objects.get().ended_at


def test_a_worker_that_comes_back_can_be_lost_again(admin: User, channels: list[Channel]) -> None:
    subscribed(admin, "worker", channels)
    worker = silent_worker()
    sweep(AT)
    Worker.objects.filter(pk=worker.pk).update(heartbeat_at=AT)
    sweep(AT)
    assert News.objects.get().ended_at
    sweep(AT + timedelta(minutes=2))
    assert News.objects.count() == 2
    Worker.objects.update(stopped_at=AT)
    sweep(AT + timedelta(minutes=3))
    assert not News.objects.filter(ended_at=None).exists()


def test_a_schedule_that_misses_again_and_again_is_one_piece_of_news(admin: User, channels: list[Channel]) -> None:
    a, *_ = pipelines()
    subscribed(admin, "missed", channels, pipeline=a)
    schedule = a_schedule(a)
    for minutes in (0, 5, 10):
        a_tick(schedule, TickDecision.MISSED, AT + timedelta(minutes=minutes), reason="The scheduler was down.")
        sweep(AT + timedelta(minutes=minutes))
    assert News.objects.count() == 1
    a_tick(schedule, TickDecision.STARTED, AT + timedelta(minutes=15))
    sweep(AT + timedelta(minutes=15))
    assert News.objects.get().ended_at
    a_tick(schedule, TickDecision.REFUSED, AT + timedelta(minutes=20))
    sweep(AT + timedelta(minutes=20))
    assert News.objects.count() == 2


def test_a_file_is_told_of_by_its_name_and_only_of_runs_that_succeeded(
    admin: User, channels: list[Channel], hook: Hook
) -> None:
    a, *_ = pipelines()
    subscribed(admin, "file", channels, file_name="report-*.pptx")
    end(make_run(a), Status.FAILED, artifacts=[a_file("report-1.pptx")], error="No.")
    end(make_run(a), artifacts=[a_file("other.pptx")])
    end(make_run(a), artifacts=[a_file("report-2.pptx"), a_file("report-3.pptx"), a_file("other.pptx")])
    send_due()
    (body,) = hook.bodies
    assert body["facts"]["files"] == ["report-2.pptx", "report-3.pptx"]
    assert body["link"].endswith(f"/artifacts/{Artifact.objects.get(name='report-2.pptx').uuid}/")


def test_a_due_time_that_the_engine_refuses_is_told_of_with_the_page_of_it(
    admin: User, channels: list[Channel], hook: Hook
) -> None:
    """As beat and a worker bring it about: parameters that the pipeline does not take any more."""
    a, *_ = pipelines()
    subscribed(admin, "missed", channels, pipeline=a)
    every = Wanted(name="mornings", pipeline=a, rule=Every(3600, AT), parameters={"options": {"top": 3}})
    schedule = create(every, at=AT)
    Snapshot.objects.update(content=content(schemas={"options": {"type": "string"}}, pipelines=[]))
    leader, at = Leader("first"), AT + timedelta(hours=1)
    assert leader.turn(AT)
    decide(leader, at)
    for tick in Tick.objects.waiting():
        start_tick(tick.pk, at)
    sweep(at)
    send_due(at)
    tick = Tick.objects.get()
    assert tick.decision == TickDecision.REFUSED and hook.kinds == ["missed"]
    assert hook.bodies[0]["link"].endswith(f"/schedules/{schedule.pk}/ticks/{tick.pk}/")
    assert tick.reason and tick.reason[:40] in hook.bodies[0]["title"]
