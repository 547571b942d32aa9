"""What a rule would do with a past run, without starting anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobs.errors import BadParameters, ConsoleError
from jobs.models import Pipeline, Rule, Run
from jobs.rules.rules import matches
from jobs.rules.scope import see
from jobs.schedules.schedules import check_parameters
from jobs.states import FINAL, Occasion, Wants
from jobs.structure.expressions import BadExpression, Evaluation, parse
from kedro_console.wire import Group, Json

ENOUGH = 50


@dataclass(frozen=True)
class Trial:
    """What would happen: whether it would start, with which parameters; a sentence for each field that cannot be."""

    run: Run
    would_start: bool
    reason: str
    condition: Json = None
    parameters: dict[str, Json] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    """Parameters whose expression found nothing: they are left out, and the target's own value holds."""
    problems: dict[str, str] = field(default_factory=dict)


def try_rule(rule: Rule, run: Run, at: datetime, *, sources: Sequence[Pipeline] | None = None) -> Trial:
    """Compute the condition and the parameters with this run; nothing is written. A handler is not asked.

    In a join the newest fitting runs of the other sources stand beside it; `sources` are those not saved yet.
    """
    target = rule.target
    node = run.node_runs.filter(name=rule.node).first() if rule.node else None
    joined = _joined(rule, run, list(rule.sources.all()) if sources is None else list(sources))
    try:
        evaluation = Evaluation(see(run, at, node=node, joined=joined))
    except BadExpression as error:
        return Trial(run, False, str(error), problems={"condition": str(error)})
    problems: dict[str, str] = {}
    value, holds = _condition(rule, evaluation, problems)
    parameters = _parameters(rule, evaluation, problems)
    found: dict[str, Json] = {name: value for name, value in parameters.items() if value is not None}
    if not problems:
        problems |= _refused(target, found)
    would_start = holds and not problems and (bool(rule.node) or matches(rule, run)) and run.status in FINAL
    reason = _reason(rule, run, holds, problems)
    return Trial(run, would_start, reason, value, found, sorted(parameters.keys() - found.keys()), problems)


def _condition(rule: Rule, evaluation: Evaluation, problems: dict[str, str]) -> tuple[Json, bool]:
    if not rule.condition.strip():
        return None, True
    try:
        return evaluation.value(rule.condition), evaluation.holds(rule.condition)
    except BadExpression as error:
        problems["condition"] = str(error)
        return None, False


def _parameters(rule: Rule, evaluation: Evaluation, problems: dict[str, str]) -> dict[str, Json]:
    values: dict[str, Json] = {}
    for name, text in rule.mapping.items():
        try:
            values[name] = evaluation.value(text)
        except BadExpression as error:
            problems[f"mapping.{name}"] = str(error)
    return values


def _refused(target: Pipeline, parameters: Group) -> dict[str, str]:
    try:
        check_parameters(target, parameters)
    except BadParameters as refusal:
        return {f"mapping.{name}": sentence for name, sentence in refusal.fields.items()}
    except ConsoleError as error:
        return {"mapping": str(error)}
    return {}


def _reason(rule: Rule, run: Run, holds: bool, problems: dict[str, str]) -> str:
    if problems:
        return "; ".join(f"{name}: {sentence}" for name, sentence in problems.items())
    if run.status not in FINAL:
        return f"Run #{run.pk} has not ended yet."
    if not rule.node and not matches(rule, run):
        return f"Run #{run.pk} {run.status}, and the rule wants one that {Occasion(rule.outcome).label}."
    if not holds:
        return "The condition is false."
    if rule.handler:
        return f"{rule.handler} would be asked; a trial run does not ask it."
    if rule.wants == Wants.ALL:
        return "It would start when the other sources have ended like this, too."
    return "It would start."


def _joined(rule: Rule, run: Run, sources: list[Pipeline]) -> list[Run]:
    if rule.wants != Wants.ALL:
        return []
    others = [_newest(rule, [source]) for source in sources if source.pk != run.pipeline_id]
    return [run, *filter(None, others)]


def past_run(rule: Rule, sources: list[Pipeline]) -> Run | None:
    """The newest run of a source that ended as the rule wants it; of a join only when every source has one."""
    if rule.wants == Wants.ALL and not all(_newest(rule, [source]) for source in sources):
        return None
    return _newest(rule, sources)


def _newest(rule: Rule, sources: list[Pipeline]) -> Run | None:
    rows = Run.objects.final().filter(pipeline__in=sources, started_at__isnull=False).select_related("pipeline")
    if rule.node:
        return rows.filter(node_runs__name=rule.node).order_by("-pk").first()
    return next((run for run in rows.order_by("-pk")[:ENOUGH] if matches(rule, run)), None)


def check_expressions(rule: Rule) -> dict[str, str]:
    """A sentence for each expression that cannot be read at all."""
    texts = {f"mapping.{name}": text for name, text in rule.mapping.items()}
    if rule.condition.strip():
        texts["condition"] = rule.condition
    problems = {}
    for name, text in texts.items():
        try:
            parse(text)
        except BadExpression as error:
            problems[name] = str(error)
    return problems
