"""Fire a rule: weigh what it sees, start what it wants, and write down what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from django.db import transaction

from jobs.errors import ConsoleError
from jobs.models import Firing, Pipeline, Rule, Run
from jobs.reconnect import AWAY
from jobs.rules.scope import Scope
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.states import Cause, Decision, Wants
from jobs.steps.dispatch import ask_for_decision
from jobs.structure.expressions import BadExpression, Evaluation
from jobs.structure.parameters import as_given, check
from jobs.structure.selection import read
from kedro_console.wire import Group, Key, Value

T = TypeVar("T")
logger = logging.getLogger(__name__)

Look = Callable[[], Scope]

HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Answer:
    """What a rule's expressions say about one end."""

    start: bool
    parameters: Group
    reason: str = ""


def weigh(rule: Rule, look: Look) -> Answer:
    """The condition and the parameters; BadExpression names the field that cannot be computed."""
    if not rule.condition.strip() and not rule.mapping:
        return Answer(True, {})
    evaluation = Evaluation(look())
    if rule.condition.strip() and not _named("condition", partial(evaluation.holds, rule.condition)):
        return Answer(False, {}, f"The condition was false: {rule.condition.strip()}")
    values = {name: _named(name, partial(evaluation.value, text)) for name, text in rule.mapping.items()}
    return Answer(True, in_groups({name: value for name, value in values.items() if value is not None}, rule.target))


def in_groups(parameters: Group, target: Pipeline) -> dict[Key, Value]:
    """With the keys of the target's project; BadParameters for what no run could be given, whatever its pipeline."""
    snapshot = target.project.snapshot if parameters else None
    return check(parameters, picture=snapshot.picture if snapshot else None, pipeline=None)


def _named(field: str, compute: partial[T]) -> T:
    try:
        return compute()
    except BadExpression as error:
        raise BadExpression(f"{field}: {error}") from error


def fire(rule: Rule, run: Run, node: str, key: str, look: Look, at: datetime) -> Firing:
    """Write what comes of it; whatever goes wrong is the firing's, and the end of the run stands."""
    firing = Firing(
        rule=rule,
        rule_name=rule.name,
        key=key,
        generation=1 if rule.wants == Wants.ANY else Firing.objects.filter(rule=rule, key=key).count() + 1,
        at=at,
        ended=run,
        node=node,
        is_side_job=rule.is_side_job,
        decided_at=at,
    )
    settle(firing, partial(_decide, firing, rule, look, at))
    firing.save(force_insert=True)
    if firing.decision == Decision.DECIDING:
        transaction.on_commit(partial(ask_for_decision, firing.pk))
    return firing


def settle(firing: Firing, decide: partial[None]) -> None:
    """Decide in a savepoint: an error is the firing's sentence, and nothing of what was begun is left."""
    firing.started = None
    try:
        with transaction.atomic():
            decide()
        return
    except AWAY:
        raise  # the database is away or two stood in each other's way: all of it is tried again
    except BadExpression as error:
        decision, sentence = Decision.FAILED, str(error)
    except ConsoleError as error:
        decision, sentence = Decision.REFUSED, str(error)
    except Exception as error:
        logger.exception("The rule %s failed.", firing.rule_name)
        decision, sentence = Decision.FAILED, f"It failed unexpectedly: {type(error).__name__}: {error}"[:1000]
    firing.decision, firing.sentence, firing.started = decision, readable(sentence), None


def readable(sentence: str) -> str:
    """What any database can store."""
    return sentence.encode("utf-8", "replace").decode().replace("\x00", "")[:2000]


def _decide(firing: Firing, rule: Rule, look: Look, at: datetime) -> None:
    if not rule.is_enabled:
        firing.decision, firing.sentence = Decision.DISABLED, "The rule was off."
        return
    answer = weigh(rule, look)
    firing.parameters = answer.parameters
    if not answer.start:
        firing.decision, firing.sentence = Decision.UNMET, answer.reason
    elif rule.handler:
        firing.decision, firing.sentence = Decision.DECIDING, f"{rule.handler} is asked."
        firing.decided_at = None
    elif rule.target.project.trouble:  # a worker reads it again, which nobody can wait for here
        firing.decision, firing.sentence = Decision.DECIDING, f"The project {rule.target.project} is read again first."
        firing.decided_at = None
    else:
        start(firing, rule, at)


def start(firing: Firing, rule: Rule, at: datetime) -> None:
    """Start the rule's pipeline with the firing's parameters, within its caps."""
    if sentence := _cap(rule, firing.ended, at):
        firing.decision, firing.sentence = Decision.CAPPED, sentence
        return
    order = Order(
        rule.target,
        Cause.RULE,
        parameters=as_given(firing.parameters),
        selection=read(rule.selection),
        caused_by=firing.ended,
        cause_detail=f"rule {rule.name} after {firing.node[:120] or 'the end'} of run #{firing.ended_id}",
        is_side_job=rule.is_side_job,
    )
    firing.started = run = launch(order, at=at)
    firing.decision = Decision.REFUSED if run.is_final else Decision.STARTED
    firing.sentence = run.error if run.is_final else f"Started run #{run.pk} of {run.pipeline.name}."


def _cap(rule: Rule, ended: Run, at: datetime) -> str:
    """Why it may not start another one; "" when it may."""
    if ended.iteration + 1 > rule.max_iterations:
        return f"Run #{ended.pk} is already number {ended.iteration} after the first of its chain, the rule's cap."
    if not rule.max_per_hour:
        return ""
    started = rule.firings.filter(decision=Decision.STARTED).order_by("-pk").values_list("decided_at", flat=True)
    first = started[rule.max_per_hour - 1 : rule.max_per_hour].first()
    is_full = first is not None and first > at - HOUR
    return f"It has started {rule.max_per_hour} runs within an hour, the rule's cap." if is_full else ""
