"""What forces nodes of a run into one process: hooks, a database with a lock, values that cannot be handed over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from jobs.models import Pipeline, Snapshot
from jobs.states import Grouping, Runner
from jobs.structure.plan import Bond, Plan, plan
from jobs.structure.spoken import listed
from kedro_console.wire import SnapshotNode, bare

FEW_NAMES: Final = 4
FEW_HOOKS: Final = 2
READ_TOGETHER: Final = "sqlite"
"""Of the databases with a lock the one that many processes may read at once."""


def plan_of(pipeline: Pipeline, snapshot: Snapshot, nodes: list[SnapshotNode], runner: str) -> Plan:
    """The steps of a run of these nodes, as its pipeline groups them and as far as they can be split."""
    if runner != Runner.DISTRIBUTED:
        return plan(nodes, Runner(runner))
    found = [] if pipeline.hooks_are_safe else _hooks(nodes, snapshot)
    found = found or bonds(nodes, snapshot, unshareable=pipeline.unshareable)
    return plan(nodes, Runner.DISTRIBUTED, Grouping(pipeline.grouping), found)


def _hooks(nodes: list[SnapshotNode], snapshot: Snapshot) -> list[Bond]:
    """All nodes share a step when a hook counts on that, or the import of the project."""
    names = frozenset(node.name for node in nodes)
    taken = [reason for hook in snapshot.picture.hooks if not hook.name for reason in hook.reasons]
    if taken:
        return [Bond(names, f"One process for the whole run, as each would have its own: {taken[0]}.")]
    reasons = [reason for hook in snapshot.picture.hooks for reason in hook.reasons]
    if not reasons:
        return []
    more = f" and {len(reasons) - FEW_HOOKS} more" if len(reasons) > FEW_HOOKS else ""
    said = f"Hooks rely on one process for the whole run: {', '.join(reasons[:FEW_HOOKS])}{more}."
    return [Bond(names, said)]


def unshared(nodes: list[SnapshotNode], snapshot: Snapshot, *, unshareable: Iterable[str]) -> list[str]:
    """The datasets of these nodes that have to stay in the process that makes them."""
    kept = snapshot.picture.persisted
    known = set(map(bare, unshareable))
    found = {
        name
        for node in nodes
        for name in map(bare, node.outputs)
        if name not in kept and (node.is_generator or name in known)
    }
    return sorted(found)


def bonds(nodes: list[SnapshotNode], snapshot: Snapshot, *, unshareable: Iterable[str]) -> list[Bond]:
    """The nodes that have to share a step, each with the reason for people."""
    stays = unshared(nodes, snapshot, unshareable=unshareable)
    return [*_databases(nodes, snapshot), *_values(nodes, stays)]


def _databases(nodes: list[SnapshotNode], snapshot: Snapshot) -> Iterator[Bond]:
    databases = {bare(row.name): row.database for row in snapshot.picture.datasets if row.database}
    users: dict[str, list[str]] = {}
    writers: dict[str, list[str]] = {}
    for node in nodes:
        for used, datasets in ((writers, node.outputs), (users, [*node.inputs, *node.outputs])):
            for database in {databases[name] for name in map(bare, datasets) if name in databases}:
                used.setdefault(database, []).append(node.name)
    for database, names in users.items():
        kind, _, place = database.partition(" ")
        if len(names) > 1 and not (kind == READ_TOGETHER and place != "memory" and database not in writers):
            yield Bond(frozenset(names), _of_database(names, kind, place))


def _of_database(names: list[str], kind: str, place: str) -> str:
    title = {"duckdb": "DuckDB", "sqlite": "SQLite"}.get(kind, kind)
    if place == "memory":
        return f"{_listed(names)} share a step: they use a {title} database that is only in their process's memory."
    return f"{_listed(names)} share a step: they use the {title} file {place}, which other processes find locked."


def _values(nodes: list[SnapshotNode], stays: list[str]) -> Iterator[Bond]:
    for dataset in stays:
        maker = next(node for node in nodes if dataset in map(bare, node.outputs))
        readers = [node.name for node in nodes if dataset in map(bare, node.inputs)]
        if readers:
            why = "in pieces" if maker.is_generator else "as a value that cannot be handed to another process"
            verb = "yields" if maker.is_generator else "returns"
            names = [maker.name, *readers]
            yield Bond(frozenset(names), f"{_listed(names)} share a step: {maker.name} {verb} {dataset} {why}.")


def _listed(names: list[str]) -> str:
    shown = names if len(names) <= FEW_NAMES else [*names[: FEW_NAMES - 1], f"{len(names) - FEW_NAMES + 1} more"]
    return listed(shown)
