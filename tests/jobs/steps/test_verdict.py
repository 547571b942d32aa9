"""What a supervisor does next, as a table: what it heard, what becomes of its lease, what time it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from jobs.steps.heard import Heard
from jobs.steps.node_facts import NodeFacts, StopReason
from jobs.steps.node_limits import NodeLimits
from jobs.steps.verdict import (
    BIRTH_SECONDS,
    IDLE_SECONDS,
    KILL_AFTER_TERMINATE_SECONDS,
    RESTLESS_SECONDS,
    TRIES,
    Again,
    AskAgain,
    Clock,
    Ended,
    GoOn,
    HandedBack,
    Lost,
    Stage,
    Stop,
    Verdict,
    Waits,
    as_asked,
    verdict,
)
from kedro_console import wire

NOW = 1_000.0
GRACE = 10
BEGUN = wire.ChildStarted(0.0, 1, "fork", "r", "1.7.0", "3.11.7")
AT_WORK = (BEGUN, wire.NodeStarted(0.0, "fetch"))
DONE = (*AT_WORK, wire.NodeFinished(0.0, "fetch", 1.0), wire.RunFinished(0.0, 1.0))
WAITING = (*DONE, wire.ChildWaited(0.0, 1, 1.0))
EXITED = wire.ChildExited(0.0, 0, None, 1, 1.0)
CANCEL, TIME_LIMIT = StopReason.CANCEL, StopReason.TIME_LIMIT


@dataclass
class Hold:
    is_lost: bool = False
    is_stop_asked: bool = False
    is_force_asked: bool = False
    is_handed_back: bool = False


LOST, STOP_ASKED, HANDED_BACK, QUIET = Hold(is_lost=True), Hold(is_stop_asked=True), Hold(is_handed_back=True), Hold()
FORCED = Hold(is_stop_asked=True, is_force_asked=True)


def heard(*messages: wire.AnyMessage, follows: bool = False, closed: bool = False, tries: int = 1) -> Heard:
    found = Heard([NodeFacts("fetch", 0), NodeFacts("process", 1)])
    for _ in range(tries):
        found.ask(is_following=follows)
    for message in messages:
        found.take(message, NOW - 20)
    if closed:
        found.close()
    return found


def refused(reason: str) -> wire.StepRefused:
    return wire.StepRefused(0.0, reason, "No.")


def clock(**facts: Any) -> Clock:
    return replace(Clock(NOW, NOW - 30, GRACE, NodeLimits(0, {})), **facts)


def stopping(stage: Stage, **facts: Any) -> Clock:
    began = Stop(CANCEL, stage=stage, next_at=NOW + 3, unborn_until=NOW + 0.5)
    return clock(stop=replace(began, **facts))


def pressed(reason: StopReason, stage: Stage, *, wait: float, **facts: Any) -> Stop:
    return Stop(reason, stage=stage, next_at=NOW + wait, **{"unborn_until": NOW + BIRTH_SECONDS} | facts)


FIRST = pressed(CANCEL, Stage.INTERRUPT, wait=GRACE)

TABLE: list[tuple[str, Heard, Hold, Clock, Verdict]] = [
    ("while nothing is due it listens", heard(*AT_WORK), QUIET, clock(), GoOn(IDLE_SECONDS)),
    ("before the child has begun it listens too", heard(), QUIET, clock(), GoOn(IDLE_SECONDS)),
    ("a lost lease ends everything", heard(*AT_WORK), LOST, clock(), Lost()),
    ("a lost lease counts also when the child is gone", heard(*DONE, EXITED), LOST, clock(), Lost()),
    ("a child that exited has ended", heard(*DONE, EXITED), QUIET, clock(), Ended()),
    ("a host that says no more has ended it", heard(*AT_WORK, closed=True), QUIET, clock(), Ended()),
    ("the exit of the child before is not this one's", heard(EXITED), QUIET, clock(), GoOn(IDLE_SECONDS)),
    ("a worker that ends hands its step back", heard(*AT_WORK), HANDED_BACK, clock(), HandedBack()),
    ("what has ended is not handed back", heard(*DONE, EXITED), HANDED_BACK, clock(), Ended()),
    ("a child that waits may be followed", heard(*WAITING), QUIET, clock(), Waits(may_be_followed=True)),
    ("nothing follows in a run that is to stop", heard(*WAITING), STOP_ASKED, clock(), Waits(may_be_followed=False)),
    ("nothing follows after a stop", heard(*WAITING), QUIET, stopping(Stage.INTERRUPT), Waits(may_be_followed=False)),
    ("a worker that ends lets no child wait", heard(*WAITING), HANDED_BACK, clock(), HandedBack()),
    # asking again
    ("a stale host is replaced", heard(refused("stale"), closed=True), QUIET, clock(), AskAgain(Again.NEW_HOST)),
    ("a refusal counts when the host has said all", heard(refused("stale")), QUIET, clock(), GoOn(IDLE_SECONDS)),
    (
        "of files that keep changing the end is awaited",
        heard(refused("stale"), closed=True, tries=TRIES), QUIET, clock(began=NOW - RESTLESS_SECONDS + 1),
        AskAgain(Again.NEW_HOST),
    ),
    (
        "a host is replaced a few times at least",
        heard(refused("stale"), closed=True, tries=TRIES - 1), QUIET, clock(began=NOW - 999), AskAgain(Again.NEW_HOST),
    ),
    (
        "and not for ever",
        heard(refused("stale"), closed=True, tries=TRIES), QUIET, clock(began=NOW - RESTLESS_SECONDS), Ended(),
    ),
    (
        "a child that is gone each time is replaced a few times only",
        heard(refused("gone"), closed=True, follows=True, tries=TRIES), QUIET, clock(), Ended(),
    ),
    (
        "nodes that are gone are a reason to run the pipeline whole",
        heard(refused("unknown_node"), closed=True), QUIET, clock(), AskAgain(Again.WHOLE_RUN),
    ),
    (
        "a child that goes on is not asked for the whole pipeline",
        heard(refused("unknown_node"), closed=True, follows=True), QUIET, clock(), Ended(),
    ),
    (
        "a child that was gone already is replaced",
        heard(refused("gone"), closed=True, follows=True), QUIET, clock(), AskAgain(Again.NEW_CHILD),
    ),
    (
        "a child that died between two steps is replaced",
        heard(closed=True, follows=True), QUIET, clock(), AskAgain(Again.NEW_CHILD),
    ),
    (
        "a child that died in its step is not replaced in silence",
        heard(BEGUN, closed=True, follows=True), QUIET, clock(), Ended(),
    ),
    ("a host that died before the first step is not asked again", heard(closed=True), QUIET, clock(), Ended()),
    ("a broken project is not asked again", heard(refused("broken"), closed=True), QUIET, clock(), Ended()),
    # stopping
    ("a stop begins with an interrupt", heard(*AT_WORK), STOP_ASKED, clock(), GoOn(IDLE_SECONDS, FIRST)),
    (
        "it waits out the grace", heard(*AT_WORK), STOP_ASKED, stopping(Stage.INTERRUPT, next_at=NOW + 0.25),
        GoOn(0.25),
    ),
    (
        "after the grace it terminates",
        heard(*AT_WORK), STOP_ASKED, stopping(Stage.INTERRUPT, next_at=NOW),
        GoOn(IDLE_SECONDS, pressed(CANCEL, Stage.TERMINATE, wait=KILL_AFTER_TERMINATE_SECONDS, unborn_until=NOW + 0.5)),
    ),
    (
        "who forces it does not wait out the grace",
        heard(*AT_WORK), FORCED, stopping(Stage.INTERRUPT),
        GoOn(IDLE_SECONDS, pressed(CANCEL, Stage.KILL, wait=KILL_AFTER_TERMINATE_SECONDS, unborn_until=NOW + 0.5)),
    ),
    (
        "nor does who forces it before the first stage",
        heard(*AT_WORK), FORCED, clock(),
        GoOn(IDLE_SECONDS, pressed(CANCEL, Stage.KILL, wait=KILL_AFTER_TERMINATE_SECONDS)),
    ),
    ("what is killed is not killed at every look", heard(*AT_WORK), FORCED, stopping(Stage.KILL), GoOn(IDLE_SECONDS)),
    (
        "then it kills",
        heard(*AT_WORK), STOP_ASKED, stopping(Stage.TERMINATE, next_at=NOW),
        GoOn(IDLE_SECONDS, pressed(CANCEL, Stage.KILL, wait=KILL_AFTER_TERMINATE_SECONDS, unborn_until=NOW + 0.5)),
    ),
    (
        "and kills again",
        heard(*AT_WORK), STOP_ASKED, stopping(Stage.KILL, next_at=NOW),
        GoOn(IDLE_SECONDS, pressed(CANCEL, Stage.KILL, wait=KILL_AFTER_TERMINATE_SECONDS, unborn_until=NOW + 0.5)),
    ),
    ("a host that still loads is given a moment", heard(), STOP_ASKED, stopping(Stage.INTERRUPT), GoOn(0.5)),
    (
        "a child that is not born by then is not waited for",
        heard(), STOP_ASKED, stopping(Stage.INTERRUPT, unborn_until=NOW), Ended(Stop(CANCEL, stage=Stage.INTERRUPT,
        next_at=NOW + 3, unborn_until=NOW)),
    ),
    (
        "a child that was born has the whole grace",
        heard(*AT_WORK), STOP_ASKED, stopping(Stage.INTERRUPT, unborn_until=NOW - 1), GoOn(IDLE_SECONDS),
    ),
    # time limits
    (
        "it listens no longer than to the time limit",
        heard(*AT_WORK), QUIET, clock(began=NOW - 9.5, time_limit_seconds=10), GoOn(0.5),
    ),
    (
        "at the time limit a stop begins",
        heard(*AT_WORK), QUIET, clock(time_limit_seconds=30),
        GoOn(IDLE_SECONDS, pressed(TIME_LIMIT, Stage.INTERRUPT, wait=GRACE, limit_seconds=30)),
    ),
    (
        "a node has a limit of its own",
        heard(*AT_WORK), QUIET, clock(limits=NodeLimits(0, {"fetch": 20})),
        GoOn(IDLE_SECONDS, pressed(TIME_LIMIT, Stage.INTERRUPT, wait=GRACE, limit_seconds=20, node="fetch")),
    ),
    (
        "a node that has ended in time is no reason", heard(*DONE), QUIET, clock(limits=NodeLimits(5, {})),
        GoOn(IDLE_SECONDS),
    ),
    (
        "a time limit counts before somebody's wish",
        heard(*AT_WORK), STOP_ASKED, clock(time_limit_seconds=30),
        GoOn(IDLE_SECONDS, pressed(TIME_LIMIT, Stage.INTERRUPT, wait=GRACE, limit_seconds=30)),
    ),
    (
        "the first reason counts, whatever is reached in the grace",
        heard(*AT_WORK), STOP_ASKED, stopping(Stage.INTERRUPT, reason=CANCEL, next_at=NOW + 0.5), GoOn(0.5),
    ),
    (
        "a limit that was reached is no reason to be restless in the grace",
        heard(*AT_WORK), QUIET, replace(stopping(Stage.INTERRUPT, reason=TIME_LIMIT), time_limit_seconds=30),
        GoOn(IDLE_SECONDS),
    ),
    (
        "an ended child tells how far its stop had come",
        heard(*AT_WORK, EXITED), STOP_ASKED, stopping(Stage.TERMINATE),
        Ended(Stop(CANCEL, stage=Stage.TERMINATE, next_at=NOW + 3, unborn_until=NOW + 0.5)),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "hold", "time", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_verdict(said: Heard, hold: Hold, time: Clock, expected: Verdict) -> None:
    assert verdict(said, hold, time) == expected


def test_a_verdict_changes_nothing() -> None:
    for _, said, hold, time, expected in TABLE:
        before = (dict(vars(said)), dict(vars(hold)), time)
        assert verdict(said, hold, time) == verdict(said, hold, time) == expected
        assert (dict(vars(said)), dict(vars(hold)), time) == before


@pytest.mark.parametrize(
    ("said", "hold", "reason"),
    [
        (heard(), STOP_ASKED, CANCEL),
        (heard(*AT_WORK), STOP_ASKED, TIME_LIMIT),
        (heard(), QUIET, TIME_LIMIT),
    ],
    ids=[
        "what never began and was to stop has stopped as asked",
        "what had begun ends as it did",
        "what nobody asked to stop ends as it did",
    ],
)
def test_the_end_of_what_never_began(said: Heard, hold: Hold, reason: StopReason) -> None:
    found = as_asked(Ended(Stop(TIME_LIMIT), "The host cannot be started."), said, hold)
    assert (found.stop.reason, found.sentence) == (reason, "The host cannot be started.")  # type: ignore[union-attr]
