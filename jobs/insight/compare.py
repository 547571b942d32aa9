"""How two runs of a pipeline differ in what went into them, and how a failure stands among the runs before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from jobs.insight.durations import Neighbours
from jobs.models import Event, Run
from jobs.runs.preview_reuse import content_of
from jobs.states import Status
from jobs.structure.paths import by_name, merge
from jobs.structure.selection import is_parameter
from jobs.structure.values import same, shown
from kedro_console.wire import Json, SnapshotNode, Value

RUNS_LOOKED_AT: Final = 200
EVENTS_LOOKED_AT: Final = 10_000
"""Of both runs together."""
BAD: Final = (Status.FAILED, Status.CRASHED)
GONE: Final = "not there"
"""Instead of a value that only one of the two has."""


class Subject(StrEnum):
    """What kind of thing differs."""

    PARAMETER = "parameter"
    CODE = "code"
    PACKAGE = "package"
    DATA = "data"
    RUNNER = "runner"


@dataclass(frozen=True)
class Difference:
    """One thing that was another in the other run."""

    subject: Subject
    name: str
    before: Value
    after: Value


@dataclass(frozen=True)
class History:
    """A failure among the last runs of its pipeline."""

    last_success: Run | None
    in_a_row: int
    """Failures since the last success, this one included."""
    alike: int
    """Runs that ended with the same error, this one included."""
    first: Run
    """The first of those."""


def last_success(run: Run) -> Run | None:
    """The newest success of its pipeline among the runs before this one."""
    rows = Run.objects.succeeded(run.pipeline_id).before(run.pk)
    return rows.select_related("snapshot", "pipeline").defer("snapshot__content").first()


def history(run: Run, past: Sequence[Run] | None = None) -> History:
    """Of at most the last 200 runs up to this one: `past`, where somebody has them, the newest first."""
    known = Neighbours(run, RUNS_LOOKED_AT).past if past is None else past
    rows = [row for row in known if row.is_final]
    successes = [place for place, row in enumerate(rows) if row.status == Status.SUCCEEDED]
    since = rows[: successes[0]] if successes else rows
    alike = [row for row in rows if row.status in BAD and row.error == run.error] or [run]
    good = rows[successes[0]] if successes else last_success(run)
    return History(good, sum(row.status in BAD for row in since), len(alike), alike[-1])


def differences(before: Run, after: Run) -> list[Difference]:
    """What is recorded of both and is not the same: parameters, code, packages, the data that they read, the runner."""
    return [
        *_without_secrets(_named(Subject.PARAMETER, _parameters(before), _parameters(after))),
        *_code(before, after),
        *_named(Subject.PACKAGE, before.versions, after.versions),
        *_named(Subject.DATA, *_read_by_both(before, after)),
        *_named(Subject.RUNNER, {"runner": before.get_runner_display()}, {"runner": after.get_runner_display()}),
    ]


@lru_cache(maxsize=64)
def kept_differences(before: int, after: int) -> tuple[Difference, ...]:
    """`differences` of two runs that have ended, by their numbers: what is recorded of them stays as it is."""
    rows = Run.objects.select_related("snapshot", "pipeline").defer("snapshot__content").in_bulk([before, after])
    return tuple(differences(rows[before], rows[after])) if len(rows) == 2 else ()


def _named(subject: Subject, before: Mapping[str, Value], after: Mapping[str, Value]) -> Iterator[Difference]:
    """By name; nothing when one of the two runs did not come so far that it is known."""
    for name in sorted(before.keys() | after.keys()) if before and after else ():
        pair = before.get(name, GONE), after.get(name, GONE)
        if not same(*pair):
            yield Difference(subject, name, *pair)


def _parameters(run: Run) -> dict[str, Value]:
    """As Kedro resolved them; of a run that ended before that as they were asked for."""
    if run.resolved_parameters:
        return by_name(run.resolved_parameters)
    return by_name(merge(run.snapshot.picture.parameters, run.parameters)) if run.snapshot else {}


def _without_secrets(found: Iterator[Difference]) -> Iterator[Difference]:
    for each in found:
        one, other = (shown({each.name: value})[each.name] for value in (each.before, each.after))
        yield Difference(each.subject, each.name, one, f"{other} (another)" if one == other else other)


def _code(before: Run, after: Run) -> Iterator[Difference]:
    """The nodes whose function or datasets are others; the revision, when the difference is elsewhere."""
    if not before.revision or not after.revision or before.revision == after.revision:
        return
    one, other = ({node.name: content_of(node) for node in _nodes(run)} for run in (before, after))
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    for name in names:
        word = GONE if name not in other else "changed" if name in one else "new"
        yield Difference(Subject.CODE, name, "as it was" if name in one else GONE, word)
    if not names:
        yield Difference(Subject.CODE, "revision", before.revision, after.revision)


def _nodes(run: Run) -> Sequence[SnapshotNode]:
    structure = run.structure
    return structure.nodes if structure else ()


def _read_by_both(before: Run, after: Run) -> tuple[dict[str, str], dict[str, str]]:
    """What came from outside and was loaded in both: a run that failed has not read all."""
    one, other = _read([before, after])
    both = one.keys() & other.keys()
    return {name: one[name] for name in both}, {name: other[name] for name in both}


def _read(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Of each run dataset → its size, of those that the run has not made itself."""
    names = {run.pk: _outside(run) for run in runs}
    every = sorted(set().union(*names.values()))
    sizes: dict[int, dict[str, str]] = {run.pk: {} for run in runs}
    if every:
        loaded = Event.objects.filter(run__in=runs, kind="dataset_loaded", data__dataset__in=every).order_by("seq")
        for number, data in loaded.values_list("run_id", "data")[:EVENTS_LOOKED_AT]:
            if data["dataset"] in names[number]:
                sizes[number][data["dataset"]] = _size(data)
    return [{name: size for name, size in sizes[run.pk].items() if size} for run in runs]


def _outside(run: Run) -> set[str]:
    """The datasets that its nodes read and none of them makes."""
    nodes = [node for node in _nodes(run) if not run.nodes or node.name in run.nodes]
    made = {name for node in nodes for name in node.outputs}
    read = {name for node in nodes for name in node.inputs if not is_parameter(name)}
    return read - made


def _size(loaded: Mapping[str, Json]) -> str:
    units = {"rows": "row", "columns": "column", "size_bytes": "byte"}
    parts = [_counted(loaded[name], unit) for name, unit in units.items() if loaded.get(name) is not None]
    return ", ".join([*parts, *([f"version {loaded['version']}"] if loaded.get("version") else [])])


def _counted(number: Json, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
