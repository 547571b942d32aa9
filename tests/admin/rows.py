"""One row of every model that the admin shows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from django_celery_results.models import GroupResult, TaskResult

from console.models import ApiToken
from jobs.models import (
    Arrival,
    Artifact,
    Backfill,
    BackfillDate,
    BatchQueue,
    Channel,
    Delivery,
    Event,
    Firing,
    Grant,
    Item,
    LogChunk,
    News,
    NodeRun,
    Notice,
    Project,
    Quota,
    Replay,
    RequestCount,
    RequestRecord,
    Resend,
    Rule,
    Run,
    Snapshot,
    Step,
    Subscription,
    Tick,
    Transition,
    Worker,
)
from jobs.schedules.schedules import START, wish
from jobs.states import TickDecision
from tests.factories import AT, make_quota, make_run, make_tick, make_user
from tests.records import a_request


def make_artifact(run: Run, name: str = "report.csv", **facts: Any) -> Artifact:
    given = {"dataset": "table", "media_type": "text/csv", "size_bytes": 3, "sha256": "a" * 64, "created_at": AT}
    return Artifact.objects.create(run=run, name=name, **given | facts)


def make_schedule(run: Run, name: str = "mornings", **facts: Any) -> PeriodicTask:
    rule = {} if {"interval", "clocked", "crontab"} & set(facts) else {"crontab": make_crontab()}
    given = {"task": START, "kwargs": wish(run.pipeline, {}), **rule}
    return PeriodicTask.objects.create(name=name, **given | facts)


def make_crontab(minute: str = "0", hour: str = "3", zone: str = "UTC", **facts: Any) -> CrontabSchedule:
    return CrontabSchedule.objects.create(minute=minute, hour=hour, timezone=zone, **facts)


def make_rule(run: Run, name: str = "again", **facts: Any) -> Rule:
    given = {"target": run.pipeline, "condition": "run.iteration < `3`", "created_at": AT, "edited_at": AT}
    rule = Rule.objects.create(name=name, **given | facts)
    rule.sources.add(run.pipeline)
    return rule


def make_backfill(run: Run, **facts: Any) -> Backfill:
    given = {"zone": "UTC", "first_day": AT.date(), "last_day": AT.date(), "rule_words": "Every day", "created_at": AT}
    return Backfill.objects.create(pipeline=run.pipeline, **given | facts)


def make_worker(name: str = "celery@one", **facts: Any) -> Worker:
    given = {"host": "one", "pid": 1, "slots": 4, "started_at": AT, "heartbeat_at": AT}
    return Worker.objects.create(name=name, **given | facts)


def one_of_each() -> dict[type[Model], Model]:
    run = make_run()
    step = run.steps.get()
    user = make_user("paula", "viewer")
    queue = BatchQueue.objects.create(name="words")
    failed = a_request(run)
    replay = Replay.objects.create(created_at=AT, queue="default", total=1)
    rows: list[Any] = [
        run,
        run.pipeline,
        run.pipeline.project,
        step,
        user,
        make_artifact(run),
        (task := make_schedule(run)),
        make_tick(task.console_schedule, AT, TickDecision.STARTED, run=run),
        make_worker(),
        queue,
        Item.objects.create(queue=queue, key="<b>k</b>", body={"word": "a"}, run=run, put_by_run=run, created_at=AT),
        (quota := make_quota()),
        Grant.objects.create(quota=quota, run=run, step=step, asked_at=AT),
        failed,
        replay,
        Resend.objects.create(replay=replay, record=failed, position=0),
        RequestCount.objects.create(run=run, step=step, host="api", status_code=200, count=1),
        run.node_runs.first(),
        run.transitions.first(),
        Snapshot.objects.first(),
        Group.objects.create(name="night shift"),
        (rule := make_rule(run)),
        (backfill := make_backfill(run)),
        BackfillDate.objects.create(backfill=backfill, due_at=AT, run=run),
        (news := News.objects.create(kind="failing", key="k", title="It failed.", run=run, at=AT, last_at=AT)),
        (channel := Channel.objects.create(name="mail", kind="mail", address="a@example.org", created_at=AT)),
        Subscription.objects.create(owner=user, kinds=["failing"], created_at=AT),
        Notice.objects.create(user=user, news=news, at=AT),
        Delivery.objects.create(news=news, channel=channel, due_at=AT, created_at=AT),
        Arrival.objects.create(rule=rule, run=run, key="run:1", at=AT),
        Firing.objects.create(rule=rule, rule_name="again", key="run:1", at=AT, ended=run, decision="unmet"),
        Event.objects.create(run=run, step=step, seq=1, at=AT, kind="node_started", node="fetch"),
        LogChunk.objects.create(
            run=run, step=step, first_seq=2, last_seq=2, content=[[2, 1.0, "INFO", "stdout", "fetch", "<b>hello</b>"]]
        ),
        CrontabSchedule.objects.first(),
        IntervalSchedule.objects.create(every=5, period="minutes"),
        ClockedSchedule.objects.create(clocked_time=AT),
        SolarSchedule.objects.create(event="sunset", latitude=1, longitude=1),
        TaskResult.objects.create(task_id=str(step.task_id), task_name="jobs.execute", status="SUCCESS"),
        GroupResult.objects.create(group_id="g"),
        ApiToken.objects.create(user, name="nightly", expiry=timedelta(days=1))[0],
        LogEntry.objects.create(
            user=user,
            content_type=ContentType.objects.get_for_model(Project),
            object_id="1",
            object_repr="shop",
            action_flag=ADDITION,
            change_message="[]",
        ),
        AccessAttempt.objects.create(username="x", ip_address="127.0.0.1", failures_since_start=1),
        AccessLog.objects.create(username="x", ip_address="127.0.0.1"),
        AccessFailureLog.objects.create(username="x", ip_address="127.0.0.1"),
    ]
    return {type(row): row for row in rows}


SEEN_BY_VIEWERS = (
    Arrival,
    Artifact,
    Backfill,
    BackfillDate,
    Event,
    Firing,
    Grant,
    Item,
    LogChunk,
    News,
    NodeRun,
    Project,
    Quota,
    Rule,
    Run,
    Snapshot,
    Step,
    Tick,
    Transition,
    Worker,
    Replay,
    RequestCount,
    RequestRecord,
    Resend,
)
SEEN_BY_OPERATORS = (TaskResult, PeriodicTask, CrontabSchedule, IntervalSchedule, ClockedSchedule, SolarSchedule)
SEEN_BY_ADMINS = (
    Channel,
    Delivery,
    Notice,
    Subscription,
    User,
    Group,
    ApiToken,
    LogEntry,
    AccessAttempt,
    AccessFailureLog,
    AccessLog,
)
