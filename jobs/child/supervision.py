"""One step under this worker's lease: its child is started, heard, answered, stopped, and its end written down."""

from __future__ import annotations

import logging
import math
import select
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

from jobs import clock
from jobs.child.answer import answer, reads_a_file
from jobs.child.link import Link
from jobs.child.read_aside import ReadAside
from jobs.child.run_whole import take_all, was_taken
from jobs.errors import HostLost, IllegalMove, LeaseLost, PlatformError, ProjectError
from jobs.interpreters import stores
from jobs.interpreters.boundary import lay_out
from jobs.reconnect import AWAY, attempt, for_seconds, patiently, reconnect
from jobs.states import Status
from jobs.steps.advance import Outcome, finish
from jobs.steps.collect import Collector
from jobs.steps.dispatch import ask_for_snapshot, send_all
from jobs.steps.hand_on import Claim, HandedOn, go_on
from jobs.steps.heard import Heard
from jobs.steps.leases import LEASE, LEASES, Hold
from jobs.steps.node_facts import StopReason
from jobs.steps.node_limits import NodeLimits
from jobs.steps.outcome import bad_end, outcome_of
from jobs.steps.request_for_child import drop_folders, request_for, structure_of
from jobs.steps.verdict import (
    Again,
    AskAgain,
    Clock,
    Ended,
    GoOn,
    HandedBack,
    Lost,
    Over,
    Stop,
    Waits,
    as_asked,
    verdict,
)
from kedro_console import wire

logger = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 0.2
"""How long a question that the database could not answer waits before it is asked again."""
LEAVE_SECONDS: Final = 1.0
"""How long a child may take to leave, even where a stop has no grace."""


class Supervision:
    """One step under this worker's lease, from its claim to its end; what comes next is what `verdict` says."""

    def __init__(self, mine: Claim, hold: Hold, link: Link, worker_name: str) -> None:
        self.mine, self.step, self.token = mine, mine.step, mine.token
        self.hold, self.link, self.worker_name = hold, link, worker_name
        self.pipeline = self.step.run.pipeline
        structure = structure_of(self.step.run)
        self.collector = Collector(self.step, self.token, structure.outputs, structure.revision)
        limits = NodeLimits(self.pipeline.node_time_limit_seconds, structure.limits)
        began, limit = time.monotonic(), self.pipeline.time_limit_seconds
        self._clock = Clock(began, began, self.pipeline.grace_seconds, limits, time_limit_seconds=limit)
        self._untold = mine.others
        self._stops: list[dict[str, str]] = []
        self._aside: ReadAside | None = None

    def run(self) -> Claim | None:
        """From the request to the transaction that ends the step; the next one, when that claimed it for its child."""
        try:
            end = self._execute()
        except (HostLost, ConnectionError):  # also in the middle of the request
            self.heard.close()
            end = Ended(self._clock.stop)
        except (ProjectError, PlatformError, wire.WireError) as error:
            end = Ended(self._clock.stop, sentence=str(error))
        except AWAY as error:  # before the child had begun: nothing is lost, and it costs no retry
            logger.warning("%s is handed back, the database is away: %s", self.step, error)
            reconnect()
            end = HandedBack(self._clock.stop, why="The database was away")
        finally:
            self._tell_others()
            if self._aside:
                self._aside.give_up()
        if isinstance(end, HandedOn) and end.following:  # whatever the pulse thinks of a lease that has just ended
            return end.following
        self.link.close()
        if isinstance(end, HandedOn):
            return None
        if isinstance(end, Lost) or self.hold.is_lost:
            raise LeaseLost(f"The lease of {self.step} was lost: its process was ended and nothing more is written.")
        self._close(as_asked(end, self.heard, self.hold))
        return None

    @property
    def heard(self) -> Heard:
        return self.collector.heard

    # ---- the child

    def _execute(self) -> Ended | HandedBack | Lost | HandedOn:
        """Have a child run the step: the one of the step before when there is one, else a new one."""
        self._lay_out()
        while True:
            self.heard.ask(is_following=self.link.is_open)
            if not self.link.is_open:
                self.link.open(self.pipeline.project, self.step.run.env, self.step.run.begun_with)
            found = self._converse()
            if isinstance(found, HandedOn):
                return found
            self.link.close()
            if self.heard.is_refused("stale"):  # also at the last try: the next step has another host
                self.link.replace_host()
            if not isinstance(found, AskAgain):
                return found
            if end := self._prepare_for(found.again):
                return end

    def _lay_out(self) -> None:
        try:
            lay_out(self.step.run)
        except OSError as error:
            raise PlatformError(f"The folder of the run cannot be made: {error.strerror}: {error.filename}.") from error

    def _prepare_for(self, again: Again) -> Ended | HandedOn | None:
        """What has to be done before a child is asked for again; how the step ended where none is."""
        match again:
            case Again.NEW_HOST | Again.NEW_CHILD:
                pass
            case Again.WHOLE_RUN:
                return self._take_all()
            case _:
                assert_never(again)
        return None

    def _take_all(self) -> Ended | HandedOn | None:
        """The pipeline has other nodes than the run was divided by: this step runs it whole, unless another does."""
        if not take_all(self.step, self.token, at=clock.now(), by=self.worker_name):
            is_taken = was_taken(self.step, self.token, at=clock.now(), by=self.worker_name)
            return HandedOn() if is_taken else Ended(self._clock.stop)
        structure = structure_of(self.step.run)
        self.collector = Collector(self.step, self.token, structure.outputs, structure.revision)
        if self._clock.stop.reason:
            self.heard.stop(self._clock.stop.reason)
        return None

    def _converse(self) -> Over | HandedOn:
        """Send the request and listen until the child is gone, or waits and has its next step."""
        self.link.send(patiently(self._request, is_over=lambda: self.hold.is_lost))
        self._tell_others()
        with self.hold.shared_with(self.link.connection):
            return self._listen()

    def _request(self) -> wire.StepStarted:
        return request_for(self.step, self.hold.until)

    def _tell_others(self) -> None:
        """Celery hears of what became ready with this step when its own child is at work."""
        untold, self._untold = self._untold, ()
        try:
            send_all(untold)
        except AWAY as error:  # the reconciler tells them
            reconnect()
            logger.warning("The database is away, and Celery was not told of %d steps: %s", len(untold), error)

    def _listen(self) -> Over | HandedOn:
        while True:
            self._clock = replace(self._clock, now=time.monotonic())
            match verdict(self.heard, self.hold, self._clock):
                case GoOn() as on:
                    self._go_on(on)
                case Waits() as child:
                    self._answer()
                    if handed_on := self._hand_on(child):
                        return handed_on
                case over:
                    return over

    def _go_on(self, on: GoOn) -> None:
        self._answer()
        self._write_if_due()
        if on.stop:
            self._press(on.stop)
        seconds = min(on.seconds, ANSWER_SECONDS) if self.heard.questions else on.seconds
        if not self._hear(self.collector.writer.seconds_until_due(seconds)):
            self.heard.close()

    def _hear(self, seconds: float) -> bool:
        """Wait this long for a word from the child or the pulse, and take it; False at the end of the stream."""
        link, wake = self.link.connection.fileno(), self.hold.wake.fileno()
        poll = select.poll()  # select knows no descriptor beyond 1,023
        for descriptor in (link, wake):
            poll.register(descriptor, select.POLLIN)
        readable = {descriptor for descriptor, _ in poll.poll(math.ceil(seconds * 1_000))}
        if wake in readable:
            self.hold.wake.recv(64)
        return link not in readable or self._read()

    def _read(self) -> bool:
        """Take what has arrived; False at the end of the stream."""
        frames = self.link.read()
        for kind, payload in frames or ():
            if kind == wire.LOG_FRAME:
                self.collector.take_log(payload, time.time())
                continue
            message = wire.parse(payload)
            if isinstance(message, wire.ChildStarted):
                self.link.learn(message)
            self.collector.take(message)
        return frames is not None

    def _answer(self) -> None:
        """Answer what nodes asked; with the database or the artifact store away they wait until it is back."""
        while self.heard.questions:
            try:
                reply = self._reply_to(self.heard.questions[0])
            except AWAY as error:
                reconnect()
                logger.warning("A question of %s waits for the database: %s", self.step, error)
                return
            if reply is None:
                return
            self.heard.questions.popleft()
            self.link.send(reply)

    def _reply_to(self, asked: wire.Asked) -> wire.Answered | None:
        """None while a stored file is read for it."""
        if not reads_a_file(asked):
            return answer(self.step, self.token, asked, clock.now())
        if self._aside is None or self._aside.asked is not asked:
            self._aside = ReadAside(self.step, self.token, asked, self.hold.poke)
            self._aside.start()
        try:
            return self._aside.result()
        except AWAY:
            self._aside = None  # it is asked again
            raise

    def _write_if_due(self) -> None:
        if not self.collector.writer.is_due:
            return
        try:
            self.collector.writer.flush()
        except AWAY as error:
            reconnect()
            logger.warning("The database took no rows for %s (%s): they wait in memory.", self.step, error)

    def _press(self, stop: Stop) -> None:
        """The next stage of a stop begins."""
        self._clock = replace(self._clock, stop=stop)
        if stop.reason:
            self.heard.stop(stop.reason)
        self.collector.say("WARNING", f"The process is asked to stop: {stop.stage}.", time.time())
        self.link.send(wire.StopAsked(stage=stop.stage))
        at = datetime.now(UTC)  # our own clock's: a stop waits for no database
        due = at + timedelta(seconds=stop.next_at - self._clock.now)
        self._stops = [*self._stops, {"stage": stop.stage.value, "at": at.isoformat(), "next_at": due.isoformat()}]
        self.collector.writer.facts["stops"] = self._stops

    # ---- a child that waits

    def _hand_on(self, child: Waits) -> HandedOn | None:
        """End the step while its child waits, which then goes on or is let go; the run's last one is let go first."""
        self.heard.is_waiting = False
        self.collector.close_log(time.time())
        handed_on = self._end_and_claim() if child.may_be_followed and LEASES.may_go_on else None
        if handed_on is None:
            self.link.send(wire.LeaveAsked())
            return None
        drop_folders(self.step)
        if handed_on.following is None:
            self._untold = handed_on.ready
            self._tell_others()
            self._see_off()
        return handed_on

    def _end_and_claim(self) -> HandedOn | None:
        outcome = outcome_of(self.collector, Ended(self._clock.stop))
        if outcome.status != Status.SUCCEEDED:
            return None
        at = clock.now()
        try:
            return go_on(self.mine, outcome, self.collector.writer, at=at, worker_name=self.worker_name)
        except (*AWAY, IllegalMove) as refusal:
            reconnect()
            logger.warning("No child goes on after %s: %s", self.step, refusal)
            return None

    def _see_off(self) -> None:
        """Let the child of a step that has ended go, and keep what it says until then. It has the grace to do so."""
        deadline = time.monotonic() + max(LEAVE_SECONDS, self.pipeline.grace_seconds)
        self.link.send(wire.LeaseRenewed(deadline))
        self.link.send(wire.LeaveAsked())
        while not self.heard.exit and (left := deadline - time.monotonic()) > 0:
            if self.hold.is_handed_back or self.hold.is_stop_asked or not self._hear(left):
                break
        self.collector.close_log(time.time())
        warning = bad_end(self.heard.exit)
        if warning:
            self.collector.say("WARNING", warning, time.time())
        try:
            self.collector.writer.append_late(warning)
        except AWAY as error:
            reconnect()
            logger.warning("The database took no last lines of %s: %s", self.step, error)

    # ---- the end

    def _close(self, end: Ended | HandedBack) -> None:
        self.collector.close_log(time.time())
        outcome = outcome_of(self.collector, end)
        if end.stop.reason == StopReason.TIME_LIMIT:
            self.heard.nodes.blame(outcome.error)
        if outcome.error:
            self.collector.say("ERROR", outcome.error, time.time())
        if outcome.warning:
            self.collector.say("WARNING", outcome.warning, time.time())
        self._finish_patiently(outcome)
        attempt(self._notice_new_code, what=f"{self.step}", log=logger)
        self._notice_lost_loan()
        drop_folders(self.step)

    def _notice_new_code(self) -> None:
        """The pages should show the pipelines as they are now."""
        newest, heard = self.pipeline.project.newest_revision, self.heard
        is_newer = newest and heard.revision not in ("", newest)
        is_other = heard.graph_change or heard.is_refused("unknown_node") or heard.is_refused("unknown_pipeline")
        if (is_newer or is_other) and self.pipeline.project.may_ask_for_check(clock.now()):
            ask_for_snapshot(self.pipeline.project_id)

    def _notice_lost_loan(self) -> None:
        """The next run makes anew what an earlier one no longer has."""
        failure = self.heard.failure
        if failure and failure.reason == "lent_gone":
            attempt(lambda: stores.forget(self.step.run, failure.dataset), what=f"{self.step}", log=logger)

    def _finish_patiently(self, outcome: Outcome) -> None:
        def end() -> None:
            at, writer = clock.now(), self.collector.writer
            finish(self.step, outcome, token=self.token, at=at, by=self.worker_name, writer=writer)

        is_late = for_seconds((LEASE + timedelta(seconds=40)).total_seconds())
        patiently(end, is_over=lambda: self.hold.is_lost or is_late())
