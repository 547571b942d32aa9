"""Compares what was promised and what nodes wrote with the rows and the processes; knows nothing of the engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from tests.chaos.ledger import Accepted, Answer, Line

FINAL: Final = frozenset({"succeeded", "failed", "cancelled", "crashed"})
BACK_SECONDS: Final = {"pages": 30.0, "beat": 60.0}
"""How long after a kill they may be away; other faults fall into it."""


@dataclass(frozen=True)
class Attempt:
    """One row of a step; times in seconds since the epoch, 0 for none."""

    position: int
    number: int
    status: str
    pid: int
    worker: str
    started_at: float
    finished_at: float
    error: str = ""


@dataclass(frozen=True)
class RunRow:
    """One row of a run with its attempts; `nodes` gives each node's status and the process that counts for it."""

    key: str
    number: int
    status: str
    finished_at: float
    attempts: list[Attempt]
    nodes: dict[str, tuple[str, int]]
    result: dict[str, int]
    """Node → process, as the nodes handed it on: the effect of the run."""
    is_cancel_asked: bool = False
    error: str = ""
    crash_retries: int = 0


@dataclass(frozen=True)
class Pulse:
    """A process of beat, as the rows tell: when its first and its last tick was heard."""

    since: float
    heard_at: float


@dataclass(frozen=True)
class Evidence:
    """All that the auditor is shown."""

    accepted: list[Accepted]
    lines: list[Line]
    runs: list[RunRow]
    busy_workers: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    """What the pages said, in the order in which they were asked."""
    pulses: list[Pulse] = field(default_factory=list)
    pages_killed: list[float] = field(default_factory=list)
    beat_killed: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Violation:
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


class Case:
    """One run, with what was promised of it and all lines that its nodes wrote."""

    def __init__(self, accepted: Accepted, row: RunRow, lines: list[Line]) -> None:
        self.accepted, self.row, self.lines = accepted, row, lines
        self.spans: dict[tuple[str, int], list[Line]] = defaultdict(list)
        for line in sorted(lines, key=lambda line: line.at):
            self.spans[line.node, line.pid].append(line)

    def has_ended(self, node: str, pid: int) -> bool:
        return any(line.word == "end" for line in self.spans.get((node, pid), []))

    @property
    def by_position(self) -> dict[int, list[Attempt]]:
        attempts: dict[int, list[Attempt]] = defaultdict(list)
        for attempt in sorted(self.row.attempts, key=lambda attempt: attempt.number):
            attempts[attempt.position].append(attempt)
        return attempts

    @property
    def fenced(self) -> int:
        """Processes that did a node to its end without effect."""
        return sum(
            self.has_ended(node, pid) and self.row.nodes.get(node) != ("succeeded", pid) for node, pid in self.spans
        )

    @property
    def is_recovered(self) -> bool:
        return self.row.status == "succeeded" and any(attempt.status == "crashed" for attempt in self.row.attempts)


def untrue_end(case: Case) -> Iterator[str]:
    """The status is what was promised, or the row holds what explains another."""
    row, end = case.row, case.accepted.end
    if row.status == "cancelled" and not row.is_cancel_asked:
        yield f"{row.key} is cancelled, and nobody asked for it"
    is_excused = row.status == "failed" and row.is_cancel_asked  # nothing is tried again then
    if row.status in ("succeeded", "failed") and row.status != end and not is_excused:
        yield f"{row.key} is {row.status} and should be {end}: {row.error}"
    if row.status == "crashed" and not any(
        sum(attempt.status == "crashed" for attempt in attempts) > row.crash_retries
        for attempts in case.by_position.values()
    ):
        yield f"{row.key} is crashed with retries left: {row.error}"


def incomplete(case: Case) -> Iterator[str]:
    """A succeeded run has one complete effective execution: each node's end line by the process that counts."""
    if case.row.status != "succeeded":
        return
    for node in case.accepted.nodes:
        status, pid = case.row.nodes.get(node, ("missing", 0))
        if status != "succeeded" or not case.has_ended(node, pid):
            yield f"{case.row.key}: node {node} is {status} by process {pid}, which did not write its end"
        elif case.row.result.get(node) != pid:
            yield f"{case.row.key}: the result has node {node} from {case.row.result.get(node)}, the row from {pid}"


def doubled(case: Case) -> Iterator[str]:
    """No step succeeds twice."""
    for position, attempts in case.by_position.items():
        won = [attempt.number for attempt in attempts if attempt.status == "succeeded"]
        if len(won) > 1:
            yield f"{case.row.key}: attempts {won} of step {position} succeeded"


def overlapped(case: Case) -> Iterator[str]:
    """No two attempts of one step are at work at the same time: neither by the rows nor by what nodes wrote."""
    for position, attempts in case.by_position.items():
        for earlier, later in pairwise(attempts):
            if later.started_at and later.started_at < earlier.finished_at:
                yield f"{case.row.key}: attempt {later.number} of step {position} began before the end of the last"
    for node in {node for node, _ in case.spans}:
        spans = sorted((lines for (name, _), lines in case.spans.items() if name == node), key=lambda s: s[0].at)
        for first, second in pairwise(spans):
            if first[-1].at > second[0].at:
                by = f"{first[-1].at - second[0].at:.1f} s"
                yield f"{case.row.key}: {node} of process {first[0].pid} was at work {by} into process {second[0].pid}"


def late(case: Case) -> Iterator[str]:
    """After the end of a run none of its processes does anything."""
    for line in case.lines:
        if line.at > case.row.finished_at:
            late_by = f"{line.at - case.row.finished_at:.1f} s"
            wrote = f"process {line.pid} wrote {line.word} {line.node} {late_by} later"
            yield f"{case.row.key} is {case.row.status}, and {wrote}"


def unended(case: Case) -> Iterator[str]:
    """A run with an end has no step without one."""
    for attempt in case.row.attempts:
        if attempt.status not in FINAL:
            yield f"{case.row.key} is {case.row.status}, its step {attempt.position} is {attempt.status}"


CHECKS: Final[dict[str, Callable[[Case], Iterator[str]]]] = {
    "untrue": untrue_end,
    "incomplete": incomplete,
    "doubled": doubled,
    "overlapped": overlapped,
    "late": late,
    "left": unended,
}


@dataclass(frozen=True)
class Verdict:
    """What was found, and the figures of the report."""

    violations: list[Violation]
    accepted: int
    by_status: dict[str, int]
    fenced: int
    recovered: int
    attempts: int

    def count(self, kind: str) -> int:
        return sum(violation.kind == kind for violation in self.violations)


def audit(evidence: Evidence) -> Verdict:
    """Every violation in this evidence; none means that all was kept."""
    rows = {row.key: row for row in evidence.runs}
    lines: dict[str, list[Line]] = defaultdict(list)
    for line in evidence.lines:
        lines[line.key].append(line)
    ended = [run for run in evidence.accepted if run.key in rows and rows[run.key].status in FINAL]
    cases = [Case(run, rows[run.key], lines[run.key]) for run in ended]
    found = [Violation(kind, what) for case in cases for kind, check in CHECKS.items() for what in check(case)]
    return Verdict(
        violations=[*_lost(evidence, rows), *_unasked(evidence), *found, *_left(evidence), *_away(evidence)],
        accepted=len(evidence.accepted),
        by_status={status: sum(row.status == status for row in evidence.runs) for status in sorted(FINAL)},
        fenced=sum(case.fenced for case in cases),
        recovered=sum(case.is_recovered for case in cases),
        attempts=sum(len(row.attempts) for row in evidence.runs),
    )


def _lost(evidence: Evidence, rows: dict[str, RunRow]) -> Iterator[Violation]:
    for run in evidence.accepted:
        if run.key not in rows:
            yield Violation("lost", f"{run.key} was accepted and has no row")
        elif rows[run.key].status not in FINAL:
            yield Violation("lost", f"{run.key} was accepted and is {rows[run.key].status} forever")


def _unasked(evidence: Evidence) -> Iterator[Violation]:
    accepted = {run.key for run in evidence.accepted}
    known = [row.key for row in evidence.runs]
    for key in sorted(set(known)):
        if known.count(key) > 1:
            yield Violation("doubled", f"{key} was accepted once and has {known.count(key)} rows")
        if key not in accepted:
            yield Violation("doubled", f"{key} has a row, and nobody was told so")


def _left(evidence: Evidence) -> Iterator[Violation]:
    for worker in evidence.busy_workers:
        yield Violation("left", f"the worker {worker}")
    for process in evidence.processes:
        yield Violation("left", f"the process {process}")


def _away(evidence: Evidence) -> Iterator[Violation]:
    """Pages and beat are there again soon after each kill, the last one included."""
    spans = {
        "pages": returns(evidence.pages_killed, [answer.at for answer in evidence.answers if answer.is_there]),
        "beat": returns(evidence.beat_killed, [pulse.since for pulse in evidence.pulses]),
    }
    for who, found in spans.items():
        for killed_at, seconds in found:
            if seconds > BACK_SECONDS[who]:
                yield Violation("away", f"{who}, killed at {killed_at:.1f}, gave no sign for {seconds:.1f} s")


def returns(kills: list[float], signs: list[float]) -> list[tuple[float, float]]:
    """Each kill with the seconds until the next sign of life (endless without one); one before the next kill counts."""
    found = []
    for kill, following in zip(kills, [*kills[1:], float("inf")], strict=False):
        back = min((sign for sign in signs if sign > kill), default=float("inf"))
        if back < following or following == float("inf"):
            found.append((kill, back - kill))
    return found
