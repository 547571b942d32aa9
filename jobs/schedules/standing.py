"""How a schedule stands: what is wrong with it, or that it waits for its next due time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.db import models

from jobs.models import Schedule, Tick
from jobs.states import Status, TickDecision


class State(models.TextChoices):
    """The worst first."""

    REFUSED = "refused", "refused"
    FAILING = "failing", "failing"
    MISSED = "missed", "missed"
    ON = "on", "on"
    PAUSED = "paused", "paused"
    OVER = "over", "over"


ORDER: Final = {state: place for place, state in enumerate(State)}
TROUBLE: Final = frozenset({State.REFUSED, State.FAILING, State.MISSED})
ENDED_BADLY: Final = frozenset({Status.FAILED, Status.CRASHED})


@dataclass(frozen=True)
class Standing:
    """A state, and why it is so as a sentence; "" where nothing is to be said."""

    state: State
    reason: str = ""

    @property
    def is_trouble(self) -> bool:
        return self.state in TROUBLE


def standing(schedule: Schedule, ticks: list[Tick], at: datetime) -> Standing:
    """By its newest ticks, the newest last. A tick that somebody dismissed is no trouble any more."""
    if schedule.pipeline is None:
        return Standing(State.REFUSED, "The pipeline that it starts is gone: choose another, or delete it.")
    if schedule.is_paused(at):
        return Standing(State.PAUSED, _paused(schedule))
    counted = [tick for tick in ticks if tick.decision not in (TickDecision.DUE, TickDecision.DUPLICATE)]
    if counted and (found := _of_tick(counted[-1], counted)):
        return found
    return Standing(State.OVER, "No due time is left.") if schedule.is_over else Standing(State.ON)


def _paused(schedule: Schedule) -> str:
    by = f" by {schedule.paused_by}" if schedule.paused_by else ""
    end = schedule.paused_until.astimezone(ZoneInfo(schedule.zone)) if schedule.paused_until else None
    until = f"until {end:%Y-%m-%d %H:%M} ({schedule.zone})" if end else "until somebody resumes it"
    reason = f": {schedule.paused_reason.rstrip('.')}" if schedule.paused_reason else ""
    return f"Paused{by}, {until}{reason}."


def _of_tick(newest: Tick, ticks: list[Tick]) -> Standing | None:
    if newest.decision in (TickDecision.REFUSED, TickDecision.MISSED) and newest.dismissed_at is None:
        return Standing(State(newest.decision), newest.reason)
    run = next((tick.run for tick in reversed(ticks) if tick.run and tick.run.is_final), None)
    if run is None or run.status not in ENDED_BADLY:
        return None
    return Standing(
        State.FAILING, f"Run #{run.pk} {run.status}: {run.error}" if run.error else f"Run #{run.pk} {run.status}."
    )
