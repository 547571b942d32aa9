"""Rules: in the transaction in which a run ends, what it brings about is started too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Final

from django.db import connection

from jobs.models import Arrival, NodeRun, Pipeline, Project, Rule, Run
from jobs.rules.fire import fire
from jobs.rules.scope import see
from jobs.states import FINAL, Correlate, NodeStatus, Occasion, Overlap, Status, Wants
from jobs.steps.on_end import Follower
from kedro_console.wire import Json

NODE_ENDS: Final = frozenset({NodeStatus.SUCCEEDED, NodeStatus.FAILED, NodeStatus.CRASHED, NodeStatus.CANCELLED})
NEWEST: Final = 200


# ---- the door of those who write ends


def lock(pipeline_id: int) -> None:
    """Lock the rules that this pipeline's end may fire, then what starting targets locks, always in one order."""
    if not connection.features.has_select_for_update:
        return  # there is one writer, and it is us
    rules, pipelines = _reach(pipeline_id)
    if not rules:
        return
    list(Rule.objects.filter(pk__in=rules).order_by("pk").locked())
    rows = Pipeline.objects.filter(pk__in=pipelines).order_by("pk")
    list(rows.exclude(overlap=Overlap.BOTH).select_for_update(no_key=True))
    writing = rows.filter(locks_outputs=True).order_by().values("project_id")
    list(Project.objects.filter(pk__in=writing).order_by("pk").select_for_update(no_key=True).only("pk"))


def _reach(pipeline_id: int) -> tuple[set[int], set[int]]:
    """The rules and pipelines that may take part: to start a pipeline that cancels the older ends those too."""
    rules: set[int] = set()
    pipelines, new = {pipeline_id}, {pipeline_id}
    while new:
        rows = Rule.sources.through.objects.filter(pipeline_id__in=new)
        found = list(rows.values_list("rule_id", "rule__target_id", "rule__target__overlap"))
        rules |= {rule for rule, _, _ in found}
        ending = {target for _, target, overlap in found if overlap == Overlap.CANCEL}
        new = ending - pipelines
        pipelines |= {target for _, target, _ in found}
    return rules, pipelines


def run_ended(run: Run, at: datetime) -> None:
    """Fire the rules of a run that has just ended; one that never began has ended nothing."""
    if run.started_at is None:
        return
    rules = list(Rule.objects.of(run.pipeline_id).locked())
    if not rules:
        return
    run.refresh_from_db(fields=["results", "resolved_parameters"])
    nodes = {row.name: row for row in run.node_runs.filter(name__in=[rule.node for rule in rules if rule.node])}
    for rule in rules:
        if not rule.node:
            _run_arrives(rule, run, at)
        elif rule.node in nodes:  # if its own end was written by nobody who looked for rules
            _node_arrives(rule, run, nodes[rule.node], {}, at)


def is_awaited(pipeline_id: int, nodes: Collection[str]) -> bool:
    return Rule.objects.at_nodes(pipeline_id, nodes).exists()


def nodes_ended(run: Run, nodes: Collection[str], results: Mapping[str, Mapping[str, Json]], at: datetime) -> None:
    """Fire the side jobs that start at the end of these nodes."""
    rows = {row.name: row for row in run.node_runs.filter(name__in=list(nodes))}
    for rule in Rule.objects.at_nodes(run.pipeline_id, nodes).locked():
        if rule.node in rows:
            _node_arrives(rule, run, rows[rule.node], results, at)


FOLLOWER: Final = Follower(lock, run_ended, is_awaited, nodes_ended)


# ---- arrivals


def matches(rule: Rule, run: Run) -> bool:
    """Whether the run ended as the rule wants it."""
    match rule.outcome:
        case Occasion.SUCCEEDED:
            return run.status == Status.SUCCEEDED
        case Occasion.FAILED:
            return run.status in (Status.FAILED, Status.CRASHED)
        case Occasion.PRODUCED:
            return run.status == Status.SUCCEEDED and has_produced(run)
        case _:
            return run.status in FINAL


def has_produced(run: Run) -> bool:
    """Whether it left an artifact or a result that is not known to be empty."""
    return run.artifacts.exclude(rows=0).exists() or any(map(_is_something, (run.results or {}).values()))


def _is_something(result: Mapping[str, Json]) -> bool:
    if "rows" in result:
        return bool(result["rows"])
    return result.get("value", True) not in (None, False, "", [], {})


def _node_matches(rule: Rule, node: NodeRun) -> bool:
    if node.status == NodeStatus.CANCELLED and node.started_at is None:
        return False
    wanted = {
        Occasion.SUCCEEDED: frozenset({NodeStatus.SUCCEEDED}),
        Occasion.FAILED: frozenset({NodeStatus.FAILED, NodeStatus.CRASHED}),
    }
    return node.status in wanted.get(Occasion(rule.outcome), NODE_ENDS)


def _run_arrives(rule: Rule, run: Run, at: datetime) -> None:
    """One end is seen once by a rule, however often it is told."""
    is_join = rule.wants == Wants.ALL
    if not is_join and not matches(rule, run):
        return
    key = _occasion(rule, run) if is_join else f"run:{run.pk}"
    if Arrival.objects.filter(rule=rule, run=run, node="").exists():
        return
    firing = None if is_join else fire(rule, run, "", key, partial(see, run, at), at)
    Arrival.objects.create(rule=rule, run=run, key=key, at=at, firing=firing)
    if is_join:
        _complete(rule, key, at)


def _node_arrives(rule: Rule, run: Run, node: NodeRun, results: Mapping[str, Mapping[str, Json]], at: datetime) -> None:
    if not _node_matches(rule, node) or Arrival.objects.filter(rule=rule, run=run, node=node.name).exists():
        return
    key = f"run:{run.pk}:{node.name}"
    firing = fire(rule, run, node.name, key, partial(see, run, at, node=node, results=results), at)
    Arrival.objects.create(rule=rule, run=run, node=node.name, key=key, at=at, firing=firing)


def _occasion(rule: Rule, run: Run) -> str:
    """What the runs of a join have in common; a run without a tick belongs to its chain."""
    if rule.correlate == Correlate.TICK and run.due_at:
        return f"tick:{run.due_at.isoformat()}"
    return f"root:{run.root_number}"


def awaited(rule: Rule, key: str) -> tuple[list[Arrival], list[Pipeline]]:
    """Of a join: the newest fitting arrival of each source, and the sources that are still missing."""
    waiting = rule.arrivals.filter(key=key, firing=None).select_related("run__pipeline").order_by("pk")
    fitting = {arrival.run.pipeline_id: arrival for arrival in waiting if matches(rule, arrival.run)}
    sources = list(rule.sources.order_by("pk"))
    there = [fitting[source.pk] for source in sources if source.pk in fitting]
    return there, [source for source in sources if source.pk not in fitting]


def _complete(rule: Rule, key: str, at: datetime) -> bool:
    """Fire a join that misses nobody; the last to come is the run that brought it about."""
    there, missing = awaited(rule, key)
    if missing or not there:
        return False
    last = max(there, key=lambda arrival: arrival.pk).run
    firing = fire(rule, last, "", key, partial(see, last, at, joined=[arrival.run for arrival in there]), at)
    rule.arrivals.filter(key=key, firing=None).update(firing=firing)
    return True


def complete_joins(rule: Rule, at: datetime) -> int:
    """After an edit: fire what waits for nobody any more; how many. Call it with the rule locked."""
    if rule.wants != Wants.ALL:
        return 0
    keys = rule.arrivals.filter(firing=None).order_by("-pk").values_list("key", flat=True)[:NEWEST]
    return sum(_complete(rule, key, at) for key in dict.fromkeys(keys))
