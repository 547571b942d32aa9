"""Runs in the states that pages show, made with the same verbs that workers use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs import clock
from jobs.models import Grant, LogChunk, Pipeline, Quota, Run, Worker
from jobs.quotas.quotas import hold, in_line
from jobs.quotas.turns import Amount, Turn
from jobs.states import NodeStatus, Status
from tests.factories import make_pipeline, make_quota, make_run, make_user

HTMX = {"HTTP_HX_REQUEST": "true"}


KEPT = re.compile(r"""(<(?:pre|textarea)\b.*?</(?:pre|textarea)>|="[^"]*")""", re.DOTALL)


class Reader(Client):
    """Somebody who reads pages: any white space is one space, except in what a browser shows as it is written."""

    def request(self, **request: Any) -> Any:
        response = super().request(**request)
        if not response.streaming and "text/html" in response.headers.get("Content-Type", ""):
            parts = KEPT.split(response.content.decode())
            parts[::2] = [re.sub(r"\s+", " ", part).replace(" >", ">") for part in parts[::2]]
            response.content = "".join(parts)
        return response


def logged_in(role: str) -> Client:
    client = Reader()
    client.force_login(User.objects.filter(username=role).first() or make_user(role, role))
    return client


def running(**facts: Any) -> Run:
    at = facts.pop("at", clock.now() - timedelta(seconds=60))
    run = make_run(at=at, **facts)
    run.steps.get().claim(at=at, worker_name="worker@test", lease=timedelta(hours=1))
    run.start(at=at, by="worker@test")
    run.node_runs.filter(position=0).update(status=NodeStatus.RUNNING, started_at=at, attempts=1)
    return run


def ended(status: Status = Status.SUCCEEDED, *, seconds: float = 30, **facts: Any) -> Run:
    error = facts.pop("error", "")
    run = running(**facts)
    assert run.started_at
    at = run.started_at + timedelta(seconds=seconds)
    run.steps.get().end(status, None, at=at, by="worker@test")
    return run.end(status, at=at, by="worker@test", error=error)


def failed_in_a_node(message: str = "month must be in 1..12") -> Run:
    run = running()
    frames = [
        {"file": "kedro/runner/task.py", "line": 9, "function": "execute", "code": "node.run()", "is_project": False},
        {"file": "src/nodes.py", "line": 48, "function": "parse", "code": "int(month)", "is_project": True},
    ]
    failure = {"exception": "ValueError", "message": message, "frames": frames, "traceback": f"ValueError: {message}"}
    run.node_runs.filter(position=0).update(status=NodeStatus.FAILED, failure=failure, error=message)
    return run.end(Status.FAILED, at=clock.now(), by="worker@test", error=f"ValueError: {message}")


def with_log(run: Run, texts: Iterable[str], *, level: str = "INFO", node: str = "", chunk: int = 200) -> Run:
    """Lines numbered on from what the run has, stored in chunks as the collector does."""
    seq, pending, step = run.log_seq, list(texts), run.steps.get()
    while pending:
        some, pending = pending[:chunk], pending[chunk:]
        lines = [[seq + n, 1_770_000_000.0 + n, level, "stdout", node, text] for n, text in enumerate(some, 1)]
        LogChunk.objects.create(run=run, step=step, first_seq=seq + 1, last_seq=seq + len(some), content=lines)
        seq += len(some)
    Run.objects.filter(pk=run.pk).update(log_seq=seq)
    run.refresh_from_db()
    return run


def a_worker(at: datetime | None = None, **facts: Any) -> Worker:
    at = at or clock.now()
    given = {"queues": ["default"], "slots": 4, "busy": 0, "started_at": at, "heartbeat_at": at, "pid": 1, "host": "h"}
    return Worker.objects.create(**{"name": "worker@test", **given, **facts})


def page_of(run: Run, tab: str = "") -> str:
    return reverse("run", args=[run.pk]) + (f"?tab={tab}" if tab else "")


def busy_quota() -> Quota:
    """One holds it, one waits, one was refused."""
    quota, at = (
        make_quota(windows="2 requests per minute\n1,000 rows per day in UTC", description="The vendor's"),
        clock.now(),
    )
    pipeline = Pipeline.objects.first() or make_pipeline()
    Pipeline.objects.filter(pk=pipeline.pk).update(takes={"chat": 1})
    run = make_run(pipeline)
    hold(quota, Grant(quota=quota, run=run, node="ask"), Amount(1, 10), new=Amount(1, 10), at=at)
    in_line(Grant(quota=quota, run=run, is_reserved=True), Amount(1), Turn(at + timedelta(minutes=1)), at)
    Grant.objects.create(
        quota=quota, run=run, node="<b>", asked_at=at, taken_at=at, settled_at=at, status=429,
        retry_after_seconds=30, sum_requests=1, sum_rows=0,
    )  # fmt: skip
    Quota.objects.update(settled_requests=1, settled_at=at)
    return quota
