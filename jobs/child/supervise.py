"""Own one step's child: start it in the project's host, listen, cancel, time out, close."""

from __future__ import annotations

import logging
import select
import shutil
import time
from collections import deque
from datetime import timedelta
from typing import Final

from jobs import clock
from jobs.child.answer import answer
from jobs.child.link import Link
from jobs.child.run_whole import take_all, was_taken
from jobs.errors import HostLost, IllegalMove, LeaseLost, ProjectError
from jobs.interpreters.hosts import HOSTS
from jobs.models import Run, Step
from jobs.reconnect import AWAY, for_seconds, patiently, reconnect
from jobs.states import Runner, Status
from jobs.steps.advance import Outcome, finish
from jobs.steps.collect import CANCEL, TIME_LIMIT, Collector
from jobs.steps.dispatch import ask_for_snapshot, pass_on, send_all
from jobs.steps.hand_on import Claim, Ended, another, claim, go_on, in_turn_after
from jobs.steps.leases import LEASE, LEASES, Hold
from jobs.steps.node_limits import NodeLimits
from jobs.steps.outcome import Ending, bad_end, outcome_of
from jobs.steps.request_for_child import request_for, step_folder, structure_of
from kedro_console import wire

logger = logging.getLogger(__name__)

IDLE_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 0.2
STALE_TRIES: Final = 5
KILL_AFTER_TERMINATE_SECONDS: Final = 5.0
BIRTH_SECONDS: Final = 1.0
"""So long a stop waits for a host that is still loading the project and has no child for this step yet."""
LEAVE_SECONDS: Final = 1.0
"""So long a child may take to leave even where a stop has no grace."""


def supervise(step_id: int, *, worker_name: str) -> bool:
    """Run this step, or the next of its run, and those that follow; False when there is nothing to do."""
    at = clock.now()
    known = Step.objects.select_related("run__pipeline__project")
    step = known.filter(pk=step_id, status=Status.QUEUED, ready_at__isnull=False).first() or another(step_id, at)
    mine = _claimed(step, worker_name)
    if mine is None:
        return False
    with Link() as link:
        while mine:
            mine = _run(mine, link, worker_name)
    HOSTS.let_retired_go()
    return True


def _claimed(step: Step | None, worker_name: str) -> Claim | None:
    try:
        return claim(step, at=clock.now(), worker_name=worker_name) if step else None
    except IllegalMove as refusal:
        logger.info("%s was not claimed: %s", step, refusal)
        return None


def _run(mine: Claim, link: Link, worker_name: str) -> Claim | None:
    """Run the step to its end; the one that follows, in the same child or, when it has ended, in a new one."""
    with LEASES.hold(mine.step, mine.token, since=mine.since) as hold:
        try:
            begun = patiently(lambda: Supervision(mine, hold, link, worker_name), is_over=lambda: hold.is_lost)
            following = begun.run()
        except LeaseLost as lost:
            logger.warning("%s", lost)
            return None
    if following or mine.step.run.runner != Runner.DISTRIBUTED:
        return following
    step = in_turn_after(mine.step, clock.now()) if LEASES.may_go_on else None
    if step:  # what the end of the last one has changed in its run counts for a new process
        step.run = Run.objects.select_related("pipeline__project").get(pk=step.run_id)
    following = _claimed(step, worker_name)
    if not following:
        pass_on(mine.step)
    return following


class Supervision:
    """One step under this worker's lease, from its claim to its end."""

    def __init__(self, mine: Claim, hold: Hold, link: Link, worker_name: str) -> None:
        self.mine, self.step, self.token = mine, mine.step, mine.token
        self.hold, self.link, self.worker_name = hold, link, worker_name
        self.pipeline = self.step.run.pipeline
        self.folder = step_folder(self.step)
        structure = structure_of(self.step.run)
        self.collector = Collector(self.step, self.token, structure.outputs, structure.revision)
        self.limits = NodeLimits(self.pipeline.node_time_limit_seconds, structure.limits)
        self.ending = Ending(grace_seconds=self.pipeline.grace_seconds)
        self.ended: Ended | None = None
        self._questions: deque[wire.Asked] = deque()
        self._untold = mine.others
        self._stage = ""
        self._stage_at = self._unborn_until = 0.0
        self._started = time.monotonic()

    def run(self) -> Claim | None:
        """From the request to the transaction that ends the step; the next one, when that claimed it for its child."""
        try:
            self._execute()
        except (HostLost, ConnectionError):  # also in the middle of the request
            self.ending.is_host_lost = True
        except (ProjectError, wire.WireError) as error:
            self.ending.sentence = str(error)
        except AWAY as error:  # before the child had begun: nothing is lost, and it costs no retry
            logger.warning("%s is handed back, the database is away: %s", self.step, error)
            reconnect()
            self.ending.is_handed_back, self.ending.why_handed_back = True, "The database was away"
        finally:
            self._tell_others()
        if self.ended and self.ended.following:  # whatever the pulse thinks of a lease that has ended in this moment
            return self.ended.following
        self.link.close()
        if self.ended:
            return None
        if self.hold.is_lost:
            raise LeaseLost(f"The lease of {self.step} was lost: its process was ended and nothing more is written.")
        self._close()
        return None

    # ---- the child

    def _execute(self) -> None:
        """Have a child run the step: the one of the step before when there is one, else a new one."""
        for _ in range(STALE_TRIES):
            self.collector.refusal, self.ending.is_host_lost = None, False
            is_following = self.link.is_open
            if not is_following:
                self.link.open(self.pipeline.project, self.step.run.env, self.step.run.begun_with)
            self._converse()
            if self.ended:
                return
            self.link.close()
            if self._is_refused("stale"):
                self.link.replace_host()
            elif self._is_refused("unknown_node") and not is_following and self._takes_all():
                continue
            elif not (is_following and self._was_never_taken()):
                return

    def _takes_all(self) -> bool:
        """The pipeline has other nodes than the run was divided by: this step runs it whole, unless another does."""
        if not take_all(self.step, self.token, at=clock.now(), by=self.worker_name):
            if was_taken(self.step, self.token, at=clock.now(), by=self.worker_name):
                self.ended = Ended()
            return False
        structure = structure_of(self.step.run)
        self.collector = Collector(self.step, self.token, structure.outputs, structure.revision)
        return True

    def _is_refused(self, reason: str) -> bool:
        return self.collector.refusal is not None and self.collector.refusal.reason == reason

    def _was_never_taken(self) -> bool:
        """The child of the step before was gone already: a new one takes the step, which has lost nothing."""
        return not self.collector.has_begun and (self.ending.is_host_lost or self._is_refused("gone"))

    def _converse(self) -> None:
        """Send the request and listen until the child is gone, or waits and has its next step."""
        self.link.send(request_for(self.step, self.hold.until))
        self._tell_others()
        with self.hold.shared_with(self.link.connection):
            self._listen()

    def _tell_others(self) -> None:
        """Celery hears of what became ready with this step when its own child is at work."""
        untold, self._untold = self._untold, ()
        try:
            send_all(untold)
        except AWAY as error:  # the reconciler tells them
            reconnect()
            logger.warning("The database is away, and Celery was not told of %d steps: %s", len(untold), error)

    def _listen(self) -> None:
        while not self.collector.exit and not self._is_over():
            self._answer()
            if self.collector.is_waiting and self._goes_on():
                return
            self._write_if_due()
            self._press_on()
            if not self._hear(self.collector.seconds_until_due(self._patience())):
                self.ending.is_host_lost = not (self.collector.exit or self.collector.refusal)
                return

    def _hear(self, seconds: float) -> bool:
        """Wait so long for a word of the child or of the pulse, and take it; False at the end of the stream."""
        readable, _, _ = select.select([self.link.connection, self.hold.wake], [], [], seconds)
        if self.hold.wake in readable:
            self.hold.wake.recv(64)
        return self.link.connection not in readable or self._read()

    def _goes_on(self) -> bool:
        """End the step while its child waits, which then goes on or is let go; the run's last one is let go first."""
        self.collector.is_waiting = False
        self.collector.close_log(time.time())
        outcome = outcome_of(self.collector, self.ending)
        if outcome.status == Status.SUCCEEDED and LEASES.may_go_on and not self._is_stopping:
            try:
                self.ended = go_on(self.mine, outcome, self.collector, at=clock.now(), worker_name=self.worker_name)
            except (*AWAY, IllegalMove) as refusal:
                reconnect()
                logger.warning("No child goes on after %s: %s", self.step, refusal)
        if self.ended is None:
            self.link.send(wire.LeaveAsked())
            return False
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.ended.following is None:
            self._untold = self.ended.ready
            self._tell_others()
            self._see_off()
        return True

    def _see_off(self) -> None:
        """Let the child of a step that has ended go, and keep what it says until then. It has the grace to do so."""
        deadline = time.monotonic() + max(LEAVE_SECONDS, self.pipeline.grace_seconds)
        self.link.send(wire.LeaseRenewed(deadline))
        self.link.send(wire.LeaveAsked())
        while not self.collector.exit and (left := deadline - time.monotonic()) > 0:
            if self.hold.is_handed_back or self.hold.is_stop_asked or not self._hear(left):
                break
        self.collector.close_log(time.time())
        warning = bad_end(self.collector.exit)
        if warning:
            self.collector.say("WARNING", warning, time.time())
        try:
            self.collector.append_late(warning)
        except AWAY as error:
            reconnect()
            logger.warning("The database took no last lines of %s: %s", self.step, error)

    @property
    def _is_stopping(self) -> bool:
        return self.ending.is_stop_asked or self.ending.is_timed_out or self.hold.is_stop_asked

    def _read(self) -> bool:
        """Take what has arrived; False at the end of the stream."""
        frames = self.link.read()
        for kind, payload in frames or ():
            if kind == wire.LOG_FRAME:
                self.collector.take_log(payload, time.time())
            else:
                self._take(wire.parse(payload))
        return frames is not None

    def _take(self, message: wire.Message) -> None:
        if isinstance(message, wire.Asked):
            self._questions.append(message)
            self.collector.has_asked = True
        elif isinstance(message, wire.ChildStarted):
            self.link.learn(message)
            self.collector.take(message)
        elif self.collector.has_begun or not isinstance(message, wire.ChildExited):  # else it is of the step before
            self.collector.take(message)

    def _answer(self) -> None:
        """Answer what nodes asked; with the database away they wait until it is back."""
        while self._questions:
            try:
                reply = answer(self.step, self.token, self._questions[0], clock.now())
            except AWAY as error:
                reconnect()
                logger.warning("A question of %s waits for the database: %s", self.step, error)
                return
            self._questions.popleft()
            self.link.send(reply)

    def _is_over(self) -> bool:
        """Leave the conversation: closing the connection makes the host kill the child's process group."""
        if self.hold.is_handed_back:
            self.ending.is_handed_back = True
        is_unborn = bool(self._stage) and not self.collector.has_begun and time.monotonic() >= self._unborn_until
        return self.hold.is_lost or self.hold.is_handed_back or is_unborn

    def _write_if_due(self) -> None:
        if not self.collector.is_due:
            return
        try:
            self.collector.flush()
        except AWAY as error:
            reconnect()
            logger.warning("The database took no rows for %s (%s): they wait in memory.", self.step, error)

    # ---- stopping

    def _patience(self) -> float:
        """Seconds until something of ours is due: a time limit, a late answer, or the next stage of a stop."""
        idle = ANSWER_SECONDS if self._questions else IDLE_SECONDS
        waits = [self.limits.seconds_left(self.collector.running_since, time.monotonic(), most=idle)]
        if limit := self.pipeline.time_limit_seconds:
            waits.append(max(0.0, self._started + limit - time.monotonic()))
        if self._stage:
            next_at = self._stage_at if self.collector.has_begun else min(self._stage_at, self._unborn_until)
            waits.append(max(0.0, next_at - time.monotonic()))
        return min(waits)

    def _press_on(self) -> None:
        """Stop in stages: interrupt, after the grace terminate, a little later kill."""
        limit = self.pipeline.time_limit_seconds
        if limit and not self.ending.is_timed_out and time.monotonic() - self._started >= limit:
            self.ending.is_timed_out, self.ending.time_limit_seconds = True, limit
        self._look_at_nodes()
        if self.hold.is_stop_asked and not self.ending.is_timed_out:
            self.ending.is_stop_asked = True
        if not (self.ending.is_stop_asked or self.ending.is_timed_out) or time.monotonic() < self._stage_at:
            return
        if not self._stage:
            self._unborn_until = time.monotonic() + BIRTH_SECONDS
        following = {"": "interrupt", "interrupt": "terminate", "terminate": "kill", "kill": "kill"}
        self._stage = following[self._stage]
        wait = self.pipeline.grace_seconds if self._stage == "interrupt" else KILL_AFTER_TERMINATE_SECONDS
        self._stage_at = time.monotonic() + wait
        self.collector.stop(TIME_LIMIT if self.ending.is_timed_out else CANCEL)
        self.collector.say("WARNING", f"The process is asked to stop: {self._stage}.", time.time())
        self.link.send(wire.StopAsked(stage=self._stage))

    def _look_at_nodes(self) -> None:
        node = self.limits.overdue(self.collector.running_since, time.monotonic())
        if node and not self.ending.is_timed_out:
            self.ending.is_timed_out, self.ending.time_limit_seconds = True, self.limits.of(node)
            self.ending.overdue_node = node

    # ---- the end

    def _close(self) -> None:
        self.collector.close_log(time.time())
        if self.hold.is_stop_asked and not self.collector.has_begun:  # it did not even come to be started
            self.ending.is_stop_asked = True
        outcome = outcome_of(self.collector, self.ending)
        if self.ending.is_timed_out:
            self.collector.blame(outcome.error)
        self._say_why(outcome)
        self._finish_patiently(outcome)
        self._notice_new_code()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _say_why(self, outcome: Outcome) -> None:
        if outcome.error:
            self.collector.say("ERROR", outcome.error, time.time())
        if outcome.warning:
            self.collector.say("WARNING", outcome.warning, time.time())

    def _notice_new_code(self) -> None:
        """The pages should show the pipelines as they are now."""
        newest = self.pipeline.project.snapshot
        is_new = newest and self.collector.revision not in ("", newest.revision)
        is_new = (
            is_new
            or bool(self.collector.graph_change)
            or self._is_refused("unknown_node")
            or self._is_refused("unknown_pipeline")
        )
        if is_new and self.pipeline.project.may_ask_for_check(clock.now()):
            ask_for_snapshot(self.pipeline.project_id)

    def _finish_patiently(self, outcome: Outcome) -> None:
        def end() -> None:
            at = clock.now()
            finish(self.step, outcome, token=self.token, at=at, by=self.worker_name, collector=self.collector)

        is_late = for_seconds((LEASE + timedelta(seconds=40)).total_seconds())
        patiently(end, is_over=lambda: self.hold.is_lost or is_late())
