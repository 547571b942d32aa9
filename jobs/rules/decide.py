"""Ask the handler of a firing, in the project's interpreter, and do what it answers: once, whoever dies meanwhile."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import transaction

from jobs import clock
from jobs.errors import ConsoleError, LeaseLost, ProjectError
from jobs.interpreters.call import call
from jobs.models import Firing, Rule
from jobs.reconnect import AWAY, for_seconds, patiently
from jobs.rules.fire import Answer, in_groups, readable, settle, start
from jobs.rules.scope import see
from jobs.runs.reread import reread
from jobs.states import Decision, Wants
from jobs.steps import on_end
from jobs.steps.dispatch import ask_for_decision
from jobs.structure.paths import merge
from kedro_console.wire import Json

logger = logging.getLogger(__name__)

SECONDS: Final = 60.0
LEASE: Final = timedelta(seconds=SECONDS + 30)
MOST_TRIES: Final = 3
PATIENCE_SECONDS: Final = 20.0
BATCH: Final = 100
ADVICE: Final = 'return {"start": True or False, "parameters": {…}, "reason": "…"}'


def decide(firing_id: int, at: datetime) -> bool:
    """Ask this firing's handler and write what comes of it; False when another does, or it is decided."""
    firing = Firing.objects.select_related("rule__target__project", "ended__pipeline__project").get(pk=firing_id)
    token = firing.claim(at=at, lease=LEASE)
    if token is None:
        return False
    try:
        _write_patiently(firing, _answer(firing, at), token)
    except LeaseLost:
        return False
    return True


def _answer(firing: Firing, at: datetime) -> Answer | ConsoleError:
    """What the handler says, or why it says nothing."""
    try:
        return _ask(firing, at)
    except AWAY:
        raise  # the database is away: the reconciler has it asked again
    except ConsoleError as error:
        return error
    except Exception as error:
        logger.exception("%s could not be asked.", firing)
        return ProjectError(f"It could not be asked: {type(error).__name__}: {error}"[:1000])


def _ask(firing: Firing, at: datetime) -> Answer:
    rule = firing.rule
    if rule is None:
        return Answer(False, {}, "The rule was deleted before its handler was asked.")
    reread(rule.target.project, at=at)
    if not rule.handler:
        return Answer(True, firing.parameters)
    state = {**_seen(firing, rule, at), "rule": rule.name, "computed": firing.parameters}
    return read(call(rule.target.project, rule.handler, {"state": state}, seconds=SECONDS), rule.handler)


def _seen(firing: Firing, rule: Rule, at: datetime) -> dict[str, Json]:
    node = firing.ended.node_runs.filter(name=firing.node).first() if firing.node else None
    arrivals = firing.arrivals.select_related("run__pipeline").order_by("pk") if rule.wants == Wants.ALL else []
    return see(firing.ended, at, node=node, joined=[arrival.run for arrival in arrivals])


def read(value: Json, handler: str) -> Answer:
    """What the handler returned; ProjectError when it is no answer."""
    if not isinstance(value, dict) or not isinstance(value.get("start"), bool):
        raise ProjectError(f"{handler} gave no answer: {ADVICE}.")
    parameters, reason = value.get("parameters") or {}, value.get("reason") or ""
    if not isinstance(parameters, dict) or not all(isinstance(name, str) for name in parameters):
        raise ProjectError(f"{handler} gave parameters that are not a group of names and values: {ADVICE}.")
    return Answer(value["start"], parameters, str(reason)[:1000])


def _write_patiently(firing: Firing, answer: Answer | ConsoleError, token: uuid.UUID) -> None:
    """An answer is not thrown away because the database is unavailable for a moment."""
    patiently(lambda: _write(firing, answer, token, clock.now()), is_over=for_seconds(PATIENCE_SECONDS))


def _write(firing: Firing, answer: Answer | ConsoleError, token: uuid.UUID, at: datetime) -> None:
    """What the answer brings about, in one transaction that only the holder of the lease can finish."""
    with transaction.atomic():
        rule = _locked(firing)
        settle(firing, partial(_follow, firing, rule, answer, at))
        firing.decide(Decision(firing.decision), readable(firing.sentence), at=at, token=token)


def _locked(firing: Firing) -> Rule | None:
    on_end.lock(firing.ended.pipeline_id)
    rules = Rule.objects.select_related("target__project").filter(firings=firing)
    return rules.locked().first()


def _follow(firing: Firing, rule: Rule | None, answer: Answer | ConsoleError, at: datetime) -> None:
    if isinstance(answer, ConsoleError):
        firing.decision, firing.sentence = Decision.FAILED, str(answer)
    elif rule is None:
        firing.decision, firing.sentence = Decision.REFUSED, "The rule was deleted before its handler had answered."
    elif not rule.is_enabled:
        firing.decision, firing.sentence = Decision.DISABLED, "The rule was turned off before its handler had answered."
    elif not answer.start:
        firing.decision, firing.sentence = Decision.UNMET, answer.reason or f"{rule.handler} said no."
    else:
        firing.parameters = merge(firing.parameters, in_groups(answer.parameters, rule.target))
        start(firing, rule, at)
        firing.sentence = f"{firing.sentence} {answer.reason}".strip()


def ask_unheard(at: datetime, patience: timedelta) -> int:
    """Have handlers asked that nobody asks, and give up those that no worker survives; how many."""
    return sum(_ask_again(firing, at, patience) for firing in Firing.objects.unheard(at, patience=patience)[:BATCH])


def _ask_again(firing: Firing, at: datetime, patience: timedelta) -> bool:
    if firing.tries >= MOST_TRIES:
        sentence = f"{firing.tries} workers were lost while its handler ran: it is given up."
        return bool(
            Firing.objects.undecided(at)
            .filter(pk=firing.pk)
            .update(decision=Decision.FAILED, sentence=sentence, decided_at=at)
        )
    mine = Firing.objects.unheard(at, patience=patience).filter(pk=firing.pk).update(sent_at=at)
    return bool(mine) and ask_for_decision(firing.pk)
