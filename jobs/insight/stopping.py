"""How far the stop of a run has gone: of each of its processes what was sent to it, and what comes next when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobs.models import Run, Step, Worker
from jobs.states import Status
from jobs.steps.verdict import Stage

SAID: Final = {Stage.INTERRUPT: "interrupt sent", Stage.TERMINATE: "termination sent", Stage.KILL: "kill sent"}
DONE: Final = {Stage.INTERRUPT: "interrupted", Stage.TERMINATE: "terminated", Stage.KILL: "killed"}


@dataclass(frozen=True)
class Halt:
    """One process that is being stopped; `at` is when its newest stage began, `next_at` when the next one is due."""

    step: Step
    nodes: list[str]
    """Those of its nodes that are running."""
    stage: Stage
    at: datetime
    next_at: datetime | None
    is_silent: bool
    """Its worker says nothing: it loses the step, and its host ends the process, when its lease ends."""

    @property
    def said(self) -> str:
        return SAID.get(self.stage, "asked")

    @property
    def who(self) -> str:
        """`process 4321 on w1: fetch, clean`"""
        process = f"process {self.step.pid} on " if self.step.pid else ""
        nodes = f": {', '.join(self.nodes)}" if self.nodes else ""
        return f"{process}{self.step.worker_name}{nodes}"

    @property
    def comes(self) -> str:
        """What happens by itself when its time comes."""
        return {Stage.INTERRUPT: "terminated", Stage.TERMINATE: "killed"}.get(self.stage, "")


@dataclass(frozen=True)
class Stopping:
    """A run that was asked to stop and has not ended."""

    run: Run
    halts: list[Halt]

    @property
    def may_be_forced(self) -> bool:
        """Somebody hears it, and there is something left to skip."""
        heard = [halt for halt in self.halts if not halt.is_silent]
        return self.run.force_requested_at is None and any(halt.stage != Stage.KILL for halt in heard)


def stopping(run: Run, at: datetime) -> Stopping | None:
    """None while nobody wants it to stop, and when it has ended."""
    if run.is_final or run.cancel_requested_at is None:
        return None
    steps = list(run.steps.filter(status=Status.RUNNING).order_by("position"))
    names = {step.worker_name for step in steps}
    alive = set(Worker.objects.alive(at).filter(name__in=names).values_list("name", flat=True)) if names else set()
    running: dict[int | None, list[str]] = {}
    for step_id, name in run.node_runs.filter(status=Status.RUNNING).values_list("step_id", "name"):
        running.setdefault(step_id, []).append(name)
    asked_at = run.cancel_requested_at
    return Stopping(run, [_halt(step, running.get(step.pk, []), asked_at, step.worker_name in alive) for step in steps])


def _halt(step: Step, nodes: list[str], asked_at: datetime, is_alive: bool) -> Halt:
    last = step.stops[-1] if step.stops else None
    if last is None:
        return Halt(step, nodes, Stage.AT_WORK, asked_at, None, not is_alive)
    at, next_at = (datetime.fromisoformat(last[name]) for name in ("at", "next_at"))
    return Halt(step, nodes, Stage(last["stage"]), at, next_at, not is_alive)


@dataclass(frozen=True)
class Stopped:
    """A stage of a stop as it happened; of several processes the first that came to it."""

    did: str
    at: datetime
    by: str


def stages(run: Run) -> list[Stopped]:
    """Who asked, what was sent to its processes when, who forced it; in order."""
    if run.cancel_requested_at is None:
        return []
    found = {"asked to stop": Stopped("asked to stop", run.cancel_requested_at, run.cancel_requested_by)}
    if run.force_requested_at:
        found["forced"] = Stopped("forced", run.force_requested_at, run.force_requested_by)
    for step in run.steps.filter(stops__isnull=False).order_by("pk").only("stops", "worker_name"):
        for stop in step.stops or []:
            did, at = DONE[Stage(stop["stage"])], datetime.fromisoformat(stop["at"])
            if did not in found or at < found[did].at:
                found[did] = Stopped(did, at, step.worker_name)
    return sorted(found.values(), key=lambda stage: stage.at)
