"""Steps that use a quota."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from jobs.models import Step
from jobs.quotas.quotas import grant_settled, grant_taken
from kedro_console import wire
from tests.factories import AT, make_run


def second(number: float) -> datetime:
    return AT + timedelta(seconds=number)


def running_step(**facts: Any) -> Step:
    run = make_run(**facts)
    step = run.steps.get()
    step.claim(at=AT, worker_name="w@test", lease=timedelta(hours=1))
    run.start(at=AT, by="w@test")
    return step


def ask(step: Step, at: float | datetime, quota: str = "chat", **data: Any) -> dict[str, Any]:
    moment = at if isinstance(at, datetime) else second(at)
    with transaction.atomic():
        question = wire.TakeGrant.read({"quota": quota, **data})
        answer: dict[str, Any] = grant_taken(step, question, moment).to_data()
    return answer


def settle(step: Step, grant: int, at: float | datetime, **data: Any) -> None:
    with transaction.atomic():
        grant_settled(
            step, wire.SettleGrant.read({"grant": grant, **data}), at if isinstance(at, datetime) else second(at)
        )


def use(step: Step, at: float | datetime, quota: str = "chat", **data: Any) -> None:
    answer = ask(step, at, quota, **data)
    assert answer["granted"], answer
    settle(step, answer["grant"], at)
