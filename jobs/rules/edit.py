"""Save, switch and delete rules: nothing wrong is kept, and no end that comes meanwhile is lost or counted twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.db import IntegrityError, transaction

from jobs.errors import BadParameters
from jobs.models import Pipeline, Rule
from jobs.models.act import facts_of, record, recorded
from jobs.models.rule import HANDLER
from jobs.rules.rehearse import Trial, check_expressions, past_run, try_rule
from jobs.rules.rules import complete_joins
from jobs.schedules.schedules import check_selection
from jobs.states import Occasion, Wants
from jobs.structure.parameters import settled, unknown
from jobs.structure.paths import named
from kedro_console.wire import Json

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST_PARAMETERS: Final = 50


class BadRule(BadParameters):
    """A rule that cannot be saved; `fields` has one sentence for each field."""


def check_rule(rule: Rule, sources: Sequence[Pipeline], at: datetime) -> Trial | None:
    """BadRule when it may not be saved; otherwise its trial with a past run, None when there was no such run."""
    problems = _shape(rule, sources) or {
        **_meaning(rule, sources),
        **_choices(rule, at),
        **check_expressions(rule),
    }
    if problems:
        raise BadRule(problems)
    run = past_run(rule, list(sources))
    trial = try_rule(rule, run, at, sources=sources) if run else None
    problems = trial.problems if trial else _unknown_parameters(rule)
    if problems:
        raise BadRule({name: _with(run, sentence) for name, sentence in problems.items()})
    return trial


def _with(run: object, sentence: str) -> str:
    return f"With {run}: {sentence}" if run else sentence


def _shape(rule: Rule, sources: Sequence[Pipeline]) -> dict[str, str]:
    """What has to be so before anything else can be looked at."""
    problems = {}
    if not rule.name.strip():
        problems["name"] = "Give it a name."
    if not sources:
        problems["sources"] = "Choose at least one pipeline."
    if rule.target_id is None:
        problems["target"] = "Choose the pipeline that it starts."
    if not isinstance(rule.mapping, dict) or not all(isinstance(text, str) for text in rule.mapping.values()):
        problems["mapping"] = "Write an object: the name of a parameter and the expression, as text, that computes it."
    elif len(rule.mapping) > MOST_PARAMETERS:
        problems["mapping"] = f"It may compute at most {MOST_PARAMETERS} parameters."
    return problems


def _meaning(rule: Rule, sources: Sequence[Pipeline]) -> dict[str, str]:
    problems = {}
    if rule.node and not rule.is_side_job:
        problems["node"] = "Only a side job may start at a node's end: mark it as one, or leave the node out."
    elif rule.node and rule.wants == Wants.ALL:
        problems["wants"] = "A rule at a node's end waits for any of its sources, not for all."
    elif rule.node and rule.outcome == Occasion.PRODUCED:
        problems["outcome"] = "For a node, choose that it succeeds, fails or ends."
    elif rule.node and (unknown := _without_node(rule.node, sources)):
        problems["node"] = f"{unknown.name} has no node of this name."
    if rule.handler and not re.match(HANDLER, rule.handler):
        problems["handler"] = "Write package.module:function."
    if rule.max_iterations < 1:
        problems["max_iterations"] = "At least 1."
    if rule.max_per_hour < 0:
        problems["max_per_hour"] = "Write how many, or 0 for no limit."
    if _is_endless(rule, sources):
        problems["condition"] = "These pipelines would start each other forever: write a condition that ends it."
    return problems


def _choices(rule: Rule, at: datetime) -> dict[str, str]:
    if not rule.selection:
        return {}
    problems = check_selection(rule.target, rule.selection, at=at)
    said = "; ".join(f"{name}: {sentence}" for name, sentence in problems.items())
    return {"selection": said} if problems else {}


def _without_node(node: str, sources: Iterable[Pipeline]) -> Pipeline | None:
    for source in sources:
        structure = source.structure
        if structure and node not in {known.name for known in structure.nodes}:
            return source
    return None


def _is_endless(rule: Rule, sources: Iterable[Pipeline]) -> bool:
    """Whether it closes a circle of rules none of which ever says no."""
    if rule.condition.strip() or rule.handler:
        return False
    blind = Rule.sources.through.objects.filter(rule__condition="", rule__handler="", rule__is_enabled=True)
    edges = set(blind.exclude(rule_id=rule.pk).values_list("pipeline_id", "rule__target_id"))
    reached, new = {rule.target_id}, {rule.target_id}
    while new:
        new = {target for source, target in edges if source in new} - reached
        reached |= new
    return any(source.pk in reached for source in sources)


def _unknown_parameters(rule: Rule) -> dict[str, str]:
    """Without a past run nothing can be computed, but names can be looked up."""
    snapshot = rule.target.project.snapshot
    if snapshot is None:
        return {}
    structure = snapshot.pipeline(rule.target.name)
    if structure is None:
        return {}
    try:
        names = settled(dict.fromkeys(rule.mapping), snapshot.picture.parameters)
    except BadParameters as refusal:
        return {f"mapping.{name}": sentence for name, sentence in refusal.fields.items()}
    return {
        f"mapping.{named(path, snapshot.picture.parameters)}": sentence
        for path, sentence in unknown(names, snapshot.picture, structure)
    }


def save_rule(
    rule: Rule, sources: Sequence[Pipeline], *, at: datetime, by: User | None = None, **changes: Json
) -> Trial | None:
    """Write the rule with these changes; what a join waited for and does not need any more lets it fire at once.

    Raises BadRule and writes nothing when it cannot be; returns the trial that it passed.
    """
    for name, value in changes.items():
        setattr(rule, name, value)
    trial = check_rule(rule, sources, at)
    rule.edited_at, rule.edited_by = at, by
    verb = "changed" if rule.pk else "added"
    if rule.pk is None:
        rule.created_at, rule.created_by = at, by
    try:
        with transaction.atomic():
            _lock(rule)
            before = _told(rule)
            rule.save()
            rule.sources.set(sources)
            _record(verb, rule, before)
            complete_joins(rule, at)
    except IntegrityError as error:
        raise BadRule({"name": "Another rule has this name."}) from error
    return trial


def switch_rule(rule: Rule, *, is_enabled: bool, at: datetime, by: User | None = None) -> None:
    """Turn it on or off; ends that come while it is off are written down."""
    if is_enabled and _is_endless(rule, rule.sources.all()):
        raise BadRule({"condition": "With it, pipelines would start each other forever: write a condition first."})
    with transaction.atomic(), recorded("switched on" if is_enabled else "switched off", rule):
        Rule.objects.filter(pk=rule.pk).update(is_enabled=is_enabled, edited_at=at, edited_by=by)
    rule.is_enabled = is_enabled


def delete_rule(rule: Rule) -> None:
    """Delete it when no end that is being written needs it; its firings stay, with its name."""
    with transaction.atomic():
        _lock(rule)
        record("deleted", rule, before=_told(rule))
        rule.delete()


def _told(rule: Rule) -> dict[str, Json]:
    """What it is in the rows, for the record of who changes it; nothing of one that is new."""
    row = Rule.objects.filter(pk=rule.pk).first()
    return {**facts_of(row), "sources": [str(each) for each in row.sources.all()]} if row else {}


def _record(verb: str, rule: Rule, before: dict[str, Json]) -> None:
    now = _told(rule)
    differ = [name for name in now if now[name] != before.get(name)]
    record(
        verb, rule, before={name: before[name] for name in differ if before}, after={name: now[name] for name in differ}
    )


def _lock(rule: Rule) -> None:
    if rule.pk:
        list(Rule.objects.filter(pk=rule.pk).locked())
