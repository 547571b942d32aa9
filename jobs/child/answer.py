"""Answer what a node asks of the console: each question is one transaction, and only for the holder of the lease."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from jobs.child import answer_batches
from jobs.errors import ConsoleError, LeaseLost
from jobs.models import Step
from jobs.quotas.quotas import grant_settled, grant_taken
from jobs.resends.rerun_dependents import replay_answer
from kedro_console import wire

Answer = Callable[[Step, dict[str, Any], datetime], wire.Json]


def _describe_run(step: Step, data: dict[str, Any], at: datetime) -> wire.Json:
    run = step.run
    return {"number": run.pk, "pipeline": run.pipeline.name, "cause": run.cause, "iteration": run.iteration}


ANSWERS: Final[dict[str, Answer]] = {
    "run_described": _describe_run,
    "grant_taken": grant_taken,
    "grant_settled": grant_settled,
    **answer_batches.ANSWERS,
}
"""By what is asked. An answer may write: it is part of the transaction in which the lease is checked."""
READ: Final[dict[str, Answer]] = {"replay_answer": replay_answer}
"""What only reads, also files: outside of any transaction."""


def answer(step: Step, token: uuid.UUID, question: wire.Asked, at: datetime) -> wire.Answered:
    """The answer, with a sentence where there is none; LeaseLost when the step is another's by now."""
    find = {**ANSWERS, **READ}.get(question.what)
    if find is None:
        return wire.Answered(question.number, error=f"The console has no answer to “{question.what}”: update it.")
    try:
        with nullcontext() if question.what in READ else transaction.atomic():
            step.record(token)
            answered = wire.Answered(question.number, find(step, question.data, at))
            if len(answered.to_json()) > wire.MAX_EVENT_BYTES:
                raise TooMuch
            return answered
    except LeaseLost:
        raise
    except (ConsoleError, KeyError, TypeError, ValueError) as error:
        sentence = str(error) if isinstance(error, ConsoleError) else f"The question is not understood: {error!r}."
        return wire.Answered(question.number, error=sentence)


class TooMuch(ConsoleError):
    """The answer is larger than a message may be: ask for less at once."""

    def __str__(self) -> str:
        return str(self.__doc__)
