"""What a supervisor does next: one pure function of what it heard, what becomes of its lease, and what time it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Final, Protocol

from jobs.steps.heard import Heard
from jobs.steps.node_facts import StopReason
from jobs.steps.node_limits import NodeLimits

IDLE_SECONDS: Final = 1.0
TRIES: Final = 5
KILL_AFTER_TERMINATE_SECONDS: Final = 5.0
RESTLESS_SECONDS: Final = 60.0
"""How long a step waits for files that keep changing, as they do while another version is being copied into place."""
BIRTH_SECONDS: Final = 1.0
"""How long a stop waits for a host that is still loading the project and has no child for this step yet."""


class Stage(StrEnum):
    """How far a supervision has gone in stopping its child."""

    AT_WORK = ""
    INTERRUPT = "interrupt"
    TERMINATE = "terminate"
    KILL = "kill"

    @property
    def following(self) -> Stage:
        stages = list(Stage)
        return stages[min(stages.index(self) + 1, len(stages) - 1)]


@dataclass(frozen=True)
class Stop:
    """A stop under way; its times are seconds of the monotonic clock."""

    reason: StopReason | None = None
    limit_seconds: int = 0
    node: str = ""
    """The node that reached its own limit; "": it was the step's."""
    stage: Stage = Stage.AT_WORK
    next_at: float = 0.0
    unborn_until: float = 0.0


@dataclass(frozen=True)
class Clock:
    """What time it is and what has its time, in seconds of the monotonic clock."""

    now: float
    began: float
    grace_seconds: int
    limits: NodeLimits
    time_limit_seconds: int = 0
    """0: none."""
    stop: Stop = Stop()


class Held(Protocol):
    """The lease, as the heartbeat knows it."""

    is_lost: bool
    is_stop_asked: bool
    is_force_asked: bool
    is_handed_back: bool


class Again(Enum):
    """Whom a child is asked of again."""

    NEW_HOST = "the host has older code than the project"
    NEW_CHILD = "the child that was to go on was gone already"
    WHOLE_RUN = "the pipeline has other nodes than the run was divided by"


@dataclass(frozen=True)
class GoOn:
    """Listen for so long; before that begin the next stage of a stop, if there is one."""

    seconds: float
    stop: Stop | None = None


@dataclass(frozen=True)
class Waits:
    """The step is done and its child waits for the next one, which it may be given or not."""

    may_be_followed: bool


@dataclass(frozen=True)
class Ended:
    """The child is gone, or never came; a sentence says why it could not even be started."""

    stop: Stop = Stop()
    sentence: str = ""


@dataclass(frozen=True)
class HandedBack:
    """The step is left to another worker."""

    stop: Stop = Stop()
    why: str = "The worker was stopped"


@dataclass(frozen=True)
class Lost:
    """The lease is another's: nothing more may be written."""


@dataclass(frozen=True)
class AskAgain:
    """The step has not begun, and another request may succeed."""

    again: Again


Over = Ended | HandedBack | Lost | AskAgain
Verdict = GoOn | Waits | Over


def verdict(heard: Heard, hold: Held, clock: Clock) -> Verdict:
    """Leaving the conversation closes the connection, and the host then ends the child's process group."""
    if hold.is_lost:
        return Lost()
    is_over = heard.exit is not None or heard.is_closed
    if is_over or hold.is_handed_back or _is_unborn(heard, clock):
        if again := _again(heard, clock):
            return AskAgain(again)
        return HandedBack(clock.stop) if hold.is_handed_back and not is_over else Ended(clock.stop)
    if heard.is_waiting:
        return Waits(may_be_followed=not (clock.stop.reason or hold.is_stop_asked))
    stop = _pressed(heard, hold, clock)
    return GoOn(_patience(heard, replace(clock, stop=stop) if stop else clock), stop)


def as_asked(end: Ended | HandedBack, heard: Heard, hold: Held) -> Ended | HandedBack:
    """What was asked to stop and did not even come to be started has stopped as asked."""
    if not hold.is_stop_asked or heard.has_begun:
        return end
    return replace(end, stop=replace(end.stop, reason=StopReason.CANCEL))


def _is_unborn(heard: Heard, clock: Clock) -> bool:
    return clock.stop.stage != Stage.AT_WORK and not heard.has_begun and clock.now >= clock.stop.unborn_until


def _again(heard: Heard, clock: Clock) -> Again | None:
    is_last = heard.tries >= TRIES
    if heard.is_refused("stale") and not (is_last and clock.now - clock.began >= RESTLESS_SECONDS):
        return Again.NEW_HOST
    if is_last:
        return None
    if heard.is_refused("unknown_node") and not heard.is_following:
        return Again.WHOLE_RUN
    was_never_taken = not heard.has_begun and (heard.is_host_lost or heard.is_refused("gone"))
    return Again.NEW_CHILD if heard.is_following and was_never_taken else None


def _pressed(heard: Heard, hold: Held, clock: Clock) -> Stop | None:
    """The next stage of a stop when its time has come: interrupt, after the grace terminate, a little later kill.

    Somebody who forces it skips what is left of that."""
    stop = clock.stop if clock.stop.reason else _wanted(heard, hold, clock)
    if stop is None:
        return None
    is_forced = hold.is_force_asked and stop.stage != Stage.KILL
    if clock.now < stop.next_at and not is_forced:
        return None
    stage = Stage.KILL if is_forced else stop.stage.following
    wait = clock.grace_seconds if stage == Stage.INTERRUPT else KILL_AFTER_TERMINATE_SECONDS
    unborn_until = clock.now + BIRTH_SECONDS if stop.stage == Stage.AT_WORK else stop.unborn_until
    return replace(stop, stage=stage, next_at=clock.now + wait, unborn_until=unborn_until)


def _wanted(heard: Heard, hold: Held, clock: Clock) -> Stop | None:
    if clock.time_limit_seconds and clock.now - clock.began >= clock.time_limit_seconds:
        return Stop(StopReason.TIME_LIMIT, clock.time_limit_seconds)
    if node := clock.limits.overdue(heard.nodes.running_since, clock.now):
        return Stop(StopReason.TIME_LIMIT, clock.limits.of(node), node)
    return Stop(StopReason.CANCEL) if hold.is_stop_asked else None


def _patience(heard: Heard, clock: Clock) -> float:
    """Seconds until something is due: the next stage of a stop, or a time limit."""
    if clock.stop.reason:
        until = clock.stop.next_at if heard.has_begun else min(clock.stop.next_at, clock.stop.unborn_until)
        return max(0.0, min(IDLE_SECONDS, until - clock.now))
    left = clock.limits.seconds_left(heard.nodes.running_since, clock.now, most=IDLE_SECONDS)
    if clock.time_limit_seconds:
        left = min(left, clock.began + clock.time_limit_seconds - clock.now)
    return max(0.0, left)
