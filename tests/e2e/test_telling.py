"""With a real worker: a pipeline that a schedule starts fails, people hear of it once, and again when it recovers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs import clock
from jobs.models import Channel, Delivery, News, Pipeline, Project, Run, Subscription
from jobs.models.channel import Asker
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.schedules.decide import decide
from jobs.schedules.dues import Every
from jobs.schedules.edit import Wanted, create
from jobs.schedules.lead import Leader
from jobs.schedules.switch import pause
from jobs.states import Cause, DeliveryStatus, Status
from jobs.telling.edit import save_channel, save_subscription, send_test
from tests import live
from tests.factories import make_user
from tests.live import until
from tests.receivers import hook_server, mail_server

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]


def start_on_schedule(pipeline: Pipeline, leader: Leader, count: int, **parameters: Any) -> list[Run]:
    """Runs that a schedule started, one after the other."""
    wanted = Wanted(name="often", pipeline=pipeline, rule=Every(1, clock.now()), parameters=parameters, overlap="skip")
    schedule = create(wanted, at=clock.now())

    def enough() -> list[Run]:
        at = clock.now()
        if leader.turn(at):
            decide(leader, at)
        runs = list(pipeline.runs.filter(cause="schedule", started_at__isnull=False).order_by("pk"))
        return runs if len([run for run in runs if run.is_final]) >= count else []

    runs = until(enough, seconds=120, what="the runs of the schedule")
    pause(schedule, at=clock.now(), by="test")
    return runs


def test_people_hear_when_a_scheduled_pipeline_fails_and_when_it_recovers(
    redis_server: subprocess.Popen[bytes], transactional_db: None, toy: Project, tmp_path: Path, settings: Any
) -> None:
    settings.CONSOLE_CHANNEL_NETWORKS = ["127.0.0.0/8"]
    pipeline = Pipeline.objects.select_related("project").get(project=toy, name="answers_late")
    at = clock.now()
    with mail_server() as box, hook_server() as hook:
        ada = make_user("ada", "admin", email="ada@example.org")
        mail, webhook = Channel(name="me", kind="mail", owner=ada), Channel(name="hook", kind="webhook")
        save_channel(mail, by=Asker.of(ada), at=at, address="ada@example.org")
        save_channel(webhook, by=Asker.of(ada), at=at, address=hook.url)
        told = Subscription(owner=ada, pipeline=pipeline, kinds=["failing", "recovered"])
        save_subscription(told, [mail, webhook], by=Asker.of(ada), at=at)
        words = {"CONSOLE_MAIL_URL": box.url, "CONSOLE_CHANNEL_NETWORKS": "127.0.0.0/8"}
        with live.worker("teller", slots=1, **words):
            runs = start_on_schedule(pipeline, Leader("test"), 4, failures=2, diary=str(tmp_path / "diary"))
            assert [run.status for run in runs[:3]] == [Status.FAILED, Status.FAILED, Status.SUCCEEDED]
            until(lambda: len(box.letters) >= 2 and len(hook.calls) >= 2, what="both messages by both ways")
    name = f"{toy.name} / answers_late"
    assert box.subjects == [
        f"{name} failed: run #{runs[0].pk}",
        f"{name} succeeds again, after 2 failures: run #{runs[2].pk}",
    ]
    assert sorted(hook.kinds) == ["failing", "recovered"] and "late" in box.letters[0][1].get_content()
    assert News.objects.count() == 2


def test_a_receiver_that_does_not_answer_holds_up_no_step(
    redis_server: subprocess.Popen[bytes], transactional_db: None, toy: Project
) -> None:
    """Deliveries have threads of their own: with one slot, a step runs while receivers hang."""
    hangs = [sys.executable, "-c", "import socket, time; s = socket.create_server(('127.0.0.1', 0)); "]
    hangs[-1] += "print(s.getsockname()[1], flush=True); time.sleep(600)"
    listener = subprocess.Popen(hangs, stdout=subprocess.PIPE, text=True)
    try:
        assert listener.stdout
        port = int(listener.stdout.readline())
        ada = make_user("ada", "admin")
        channels = [Channel(name=f"hangs {number}", kind="webhook") for number in range(4)]
        with live.worker("hung", slots=1, CONSOLE_CHANNEL_NETWORKS="127.0.0.0/8"):
            for channel in channels:
                save_channel(channel, by=Asker.of(ada), at=clock.now(), address=f"http://127.0.0.1:{port}/")
                send_test(channel, by="ada", at=clock.now())
            until(lambda: Delivery.objects.filter(attempts__gt=0).count() >= 2, what="two that hang")
            pipeline = Pipeline.objects.select_related("project").get(project=toy, name="chain")
            run = launch(Order(pipeline, Cause.MANUAL), at=clock.now())
            until(lambda: Run.objects.get(pk=run.pk).is_final, what="the run ends")
            assert Run.objects.get(pk=run.pk).status == Status.SUCCEEDED
            assert Delivery.objects.filter(status=DeliveryStatus.SENT).count() == 0
    finally:
        listener.kill()
        listener.wait()
