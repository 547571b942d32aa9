"""Answer what a node asks of the console: each question is one transaction, and only for the holder of the lease."""

from __future__ import annotations

import logging
import uuid
from contextlib import nullcontext
from datetime import datetime
from typing import assert_never

from django.db import transaction

from jobs.child import answer_batches
from jobs.errors import ConsoleError, LeaseLost, StoreAway
from jobs.models import Step
from jobs.quotas.quotas import grant_settled, grant_taken
from jobs.resends.rerun_dependents import replay_answer
from kedro_console import wire

logger = logging.getLogger(__name__)


def answer(step: Step, token: uuid.UUID, asked: wire.Asked, at: datetime) -> wire.Answered:
    """The answer, with a sentence where there is none; LeaseLost when the step is another's by now.

    StoreAway when a stored file is needed that may be there later.
    """
    try:
        question = wire.read_question(asked.what, asked.data)
        with nullcontext() if _only_reads(question) else transaction.atomic():
            step.record(token)
            answered = wire.Answered(asked.number, wire.said(_reply(step, question, at)))
            if len(answered.to_json()) > wire.MAX_EVENT_BYTES:
                raise TooMuch
            return answered
    except (LeaseLost, StoreAway):
        raise
    except (ConsoleError, wire.BadQuestion) as error:
        return wire.Answered(asked.number, error=str(error))
    except (KeyError, TypeError, ValueError) as error:
        logger.exception("%s: the question %s was not answered", step, asked.what)
        return wire.Answered(asked.number, error=f"The console could not answer: {error!r}. Its log says more.")


def reads_a_file(asked: wire.Asked) -> bool:
    """Whether its answer may have to wait for the artifact store."""
    return asked.what == wire.ReadAnswer.what


def _only_reads(question: wire.AnyQuestion) -> bool:
    """Also files: outside of any transaction. Any other answer may write, where the lease is checked."""
    return isinstance(question, wire.ReadAnswer)


def _reply(step: Step, question: wire.AnyQuestion, at: datetime) -> wire.Reply | int | None:
    match question:
        case wire.TakeGrant():
            return grant_taken(step, question, at)
        case wire.SettleGrant():
            grant_settled(step, question, at)
            return None
        case wire.PutItems() | wire.TakeItems() | wire.FinishItems() | wire.FailItem() | wire.DescribeQueue():
            return answer_batches.reply(step, question, at)
        case wire.ReadAnswer():
            return replay_answer(step, question)
        case wire.DescribeRun():
            run = step.run
            return wire.RunDescribed(run.pk, run.pipeline.name, run.cause, run.iteration)
        case _:
            assert_never(question)


class TooMuch(ConsoleError):
    """The answer is larger than a message may be: ask for less at once."""

    def __str__(self) -> str:
        return str(self.__doc__)
