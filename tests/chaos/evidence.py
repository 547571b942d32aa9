"""Reads the rows for the auditor, and measures from them how long an interrupted step waited."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from django_celery_beat.models import PeriodicTask

from jobs.models import Beat, NodeRun, Pipeline, Run, Step, Worker
from tests.chaos.auditor import FINAL, Attempt, Evidence, Pulse, RunRow
from tests.chaos.ledger import Accepted, Ledger, Line
from tests.chaos.tormentor import Fault

MATTERS: Final = frozenset({"child killed", "host killed", "worker killed", "worker stopped", "worker terminated",
                     "database locked", "database restarted", "database crashed", "database hangs",
                     "sessions ended"})  # fmt: skip


TICKED: Final = "ticked"
"""The key of runs that the schedule starts: it gives all of them the same parameters."""
MINUTE: Final = timedelta(minutes=1)


def gather(ledger: Ledger, processes: list[str], faults: list[Fault], until: datetime) -> Evidence:
    """What the auditor is shown, read once at the end; what the clock promised until then is part of it."""
    workers = Worker.objects.all()
    runs = [_run(run) for run in Run.objects.select_related("pipeline").order_by("pk")]
    return Evidence(
        accepted=[*ledger.accepted(), *_ticks({run.key for run in runs}, until)],
        lines=_told_apart(ledger.lines(), runs),
        runs=runs,
        busy_workers=[f"{row.name} with {row.busy} busy" for row in workers if row.busy or not row.stopped_at],
        processes=processes,
        answers=ledger.answers(),
        pulses=[Pulse(_seconds(beat.since), _seconds(beat.heard_at)) for beat in Beat.objects.all()],
        pages_killed=[fault.at for fault in faults if fault.kind == "pages killed"],
        beat_killed=[fault.at for fault in faults if fault.kind == "beat killed"],
    )


def _ticks(known: set[str], until: datetime) -> list[Accepted]:
    """One run for each minute since the schedule was made; the last one may be under way yet."""
    schedule, pipeline = PeriodicTask.objects.get(name=TICKED), Pipeline.objects.get(name=TICKED)
    first = Run.objects.filter(cause_detail=TICKED).order_by("pk").first()
    due = first.created_at.replace(second=0, microsecond=0) if first else until
    found = []
    while due < until:
        key = f"schedule:{schedule.pk}:{pipeline.pk}:{due.isoformat()}"
        if key in known or due < until - MINUTE:
            found.append(Accepted(key, ["only"]))
        due += MINUTE
    return found


def _told_apart(lines: list[Line], runs: list[RunRow]) -> list[Line]:
    """Lines of ticked runs with the key of the run whose attempt that process was."""
    keys = {attempt.pid: run.key for run in runs if run.key.startswith("schedule:") for attempt in run.attempts}
    return [replace(line, key=keys.get(line.pid, TICKED)) if line.key == TICKED else line for line in lines]


def _run(run: Run) -> RunRow:
    out = ((run.results or {}).get("out") or {}).get("value")
    return RunRow(
        key=run.idempotency_key or "",
        number=run.pk,
        status=run.status,
        finished_at=_seconds(run.finished_at),
        attempts=[_attempt(step) for step in run.steps.order_by("position", "attempt")],
        nodes={row.name: _node(row) for row in run.node_runs.select_related("step")},
        result=out if isinstance(out, dict) else {},
        is_cancel_asked=run.cancel_requested_at is not None,
        error=run.error,
        crash_retries=run.pipeline.crash_retries,
    )


def _node(row: NodeRun) -> tuple[str, int]:
    return row.status, (row.step.pid or 0) if row.step else 0


def _attempt(step: Step) -> Attempt:
    return Attempt(
        position=step.position,
        number=step.attempt,
        status=step.status,
        pid=step.pid or 0,
        worker=step.worker_name,
        started_at=_seconds(step.started_at),
        finished_at=_seconds(step.finished_at),
        error=step.error,
    )


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0


@dataclass(frozen=True)
class Recovery:
    """An attempt that a fault ended: seconds until somebody noticed, and from then until the next one started."""

    noticed: float
    waited: float

    @property
    def seconds(self) -> float:
        return self.noticed + self.waited


def recoveries(evidence: Evidence, faults: list[Fault]) -> tuple[list[Recovery], int]:
    """From the last fault that may have ended an attempt to the next attempt; how many ends no fault explains."""
    found, unexplained = [], 0
    for run in evidence.runs:
        for lost, following in zip(run.attempts, run.attempts[1:], strict=False):
            if lost.status != "crashed" or following.position != lost.position or not following.started_at:
                continue
            causes = [fault.at for fault in faults if _may_end(fault, lost)]
            if causes:
                found.append(Recovery(lost.finished_at - max(causes), following.started_at - lost.finished_at))
            unexplained += not causes
    return found, unexplained


def _may_end(fault: Fault, lost: Attempt) -> bool:
    """A fault of the moment, of this attempt's process or worker, or of all."""
    if fault.kind not in MATTERS or not lost.started_at - 15 <= fault.at <= lost.finished_at:
        return False
    if fault.kind == "child killed":
        return fault.whom == str(lost.pid)
    return not fault.kind.startswith("worker") or fault.whom == lost.worker


def is_all_over(keys: set[str]) -> bool:
    """Whether every run has ended, and every one of these is there."""
    live = Run.objects.exclude(status__in=sorted(FINAL)).exists()
    return not live and Run.objects.filter(idempotency_key__in=keys).count() == len(keys)
