"""Own one step's child: start it in the project's host, listen, cancel, time out, close."""

from __future__ import annotations

import logging
import select
import shutil
import socket
import time
import uuid
from collections import deque
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.db import OperationalError, transaction

from jobs import clock
from jobs.admit import admit
from jobs.advance import Outcome, finish
from jobs.answer import answer
from jobs.collect import Collector, flush_patiently
from jobs.dispatch import ask_for_snapshot
from jobs.errors import IllegalMove, LeaseLost, ProjectError
from jobs.hosts import HOSTS, Host
from jobs.leases import LEASE, LEASES, Hold
from jobs.models import Event, Run, Step
from jobs.outcome import Ending, outcome_of
from jobs.states import NODE_DONE, NodeStatus, Runner, Status
from jobs.try_again import tell_wait
from kedro_console import wire

logger = logging.getLogger(__name__)

READ_BYTES: Final = 256 * 1024
IDLE_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 0.2
STALE_TRIES: Final = 5
KILL_AFTER_TERMINATE_SECONDS: Final = 5.0


def supervise(step_id: int, *, worker_name: str) -> bool:
    """Run this step to its end; False when the claim was refused (another has it, or nothing is to be done)."""
    step = Step.objects.select_related("run__pipeline__project", "run__snapshot").get(pk=step_id)
    asked = time.monotonic()
    try:
        token = _claim(step, worker_name)
    except IllegalMove as refusal:
        logger.info("%s was not claimed: %s", step, refusal)
        return False
    if token is None:
        logger.info("%s waits for its quotas.", step)
        return False
    with LEASES.hold(step, token, since=asked) as hold:
        try:
            Supervision(step, token, hold, worker_name).run()
        except LeaseLost as lost:
            logger.warning("%s", lost)
    return True


def _claim(step: Step, worker_name: str) -> uuid.UUID | None:
    """The step's lease token, None while its run waits for a quota; the run starts with its first claimed step."""
    at = clock.now()
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=step.run_id)
        if not admit(run, step, at):
            return None
        token = step.claim(at=at, worker_name=worker_name, lease=LEASE)
        if run.status == Status.QUEUED:
            run.start(at=at, by=worker_name)
        elif step.eligible_at:
            tell_wait(run.pk)
    return token


def step_folder(step: Step) -> Path:
    """Where this attempt's staged files lie until they are in the store."""
    return step.run.folder / f"{step.position}-{step.attempt}"


def pinned_versions(step: Step) -> dict[str, str]:
    """The versions that this run (or the one it resumes) saved before: a step must not read a newer one of another.

    What the step makes itself is not pinned: its nodes read each other's new versions.
    """
    run = step.run
    done = run.node_runs.filter(status=NodeStatus.SUCCEEDED).exclude(name__in=step.nodes).values("name")
    saved = Event.objects.filter(run=run, kind="dataset_saved", node__in=done).exclude(data__version="")
    versions = saved.order_by("seq").values_list("data__dataset", "data__version")
    return {**run.load_versions, **{dataset: version for dataset, version in versions if version}}


def is_part(step: Step) -> bool:
    """Whether it has to name its nodes; a whole run runs what the pipeline is now, whatever the snapshot says."""
    run = step.run
    if run.nodes or run.runner == Runner.DISTRIBUTED:
        return True
    return run.node_runs.filter(status__in=sorted(NODE_DONE)).exclude(name__in=step.nodes).exists()


class Supervision:
    """One step under this worker's lease, from its claim to its end."""

    def __init__(self, step: Step, token: uuid.UUID, hold: Hold, worker_name: str) -> None:
        self.step, self.token, self.hold, self.worker_name = step, token, hold, worker_name
        self.pipeline = step.run.pipeline
        self.folder = step_folder(step)
        structure = step.run.snapshot.pipeline(self.pipeline.name) if step.run.snapshot else None
        self.collector = Collector(step, token, set(structure.outputs) if structure else set())
        self.ending = Ending(grace_seconds=self.pipeline.grace_seconds)
        self._questions: deque[wire.Asked] = deque()
        self._stage = ""
        self._stage_at = 0.0
        self._started = time.monotonic()

    def run(self) -> None:
        """From the first request to the transaction that ends the step."""
        try:
            self._execute()
        except (ProjectError, wire.WireError) as error:
            self.ending.sentence = str(error)
        if self.hold.is_lost:
            raise LeaseLost(f"The lease of {self.step} was lost: its process was ended and nothing more is written.")
        self._close()

    # ---- the child

    def _execute(self) -> None:
        for _ in range(STALE_TRIES):
            self.collector.refusal = None
            host = HOSTS.of(self.pipeline.project)
            self._converse(host)
            if self.collector.refusal is None or self.collector.refusal.reason != "stale":
                return
            HOSTS.replace(self.pipeline.project, host)

    def _converse(self, host: Host) -> None:
        """Send the request and listen until the host has said that the child is gone."""
        with host.connect() as connection:
            wire.send(connection, self._request())
            with self.hold.shared_with(connection):
                self._listen(connection)

    def _listen(self, connection: socket.socket) -> None:
        reader = wire.FrameReader()
        while not self.collector.exit and not self._is_over():
            self._answer(connection)
            self._write_if_due()
            self._press_on(connection)
            wait = self.collector.seconds_until_due(self._patience())
            readable, _, _ = select.select([connection, self.hold.wake], [], [], wait)
            if self.hold.wake in readable:
                self.hold.wake.recv(64)
            if connection in readable and not self._read(connection, reader):
                self.ending.is_host_lost = not (self.collector.exit or self.collector.refusal)
                return

    def _request(self) -> wire.StepStarted:
        run, limit = self.step.run, self.pipeline.memory_limit_mb
        is_distributed, is_partial = run.runner == Runner.DISTRIBUTED, is_part(self.step)
        self.folder.mkdir(parents=True, exist_ok=True)
        return wire.StepStarted(
            run_id=str(run.uuid),
            step_id=str(self.step.task_id),
            pipeline=self.pipeline.name,
            nodes=self.step.nodes if is_partial else [],
            runner=Runner.SEQUENTIAL if is_distributed else run.runner,
            max_workers=self.pipeline.max_workers,
            parameters=run.parameters,
            folder=str(self.folder),
            store_folder=str(run.store_folder) if run.is_resumable or is_distributed else "",
            save_version=f"{clock.now():%Y-%m-%dT%H.%M.%S.%f}Z",
            load_versions=pinned_versions(self.step) if is_partial else {},
            free_outputs=sorted(self.collector.outputs),
            memory_limit_bytes=limit * 1024 * 1024,
            held_until=self.hold.until,
        )

    def _read(self, connection: socket.socket, reader: wire.FrameReader) -> bool:
        """Take what has arrived; False at the end of the stream."""
        try:
            data = connection.recv(READ_BYTES)
        except ConnectionResetError:
            data = b""
        for kind, payload in reader.feed(data):
            if kind == wire.LOG_FRAME:
                self.collector.take_log(payload, time.time())
            else:
                self._take(wire.parse(payload))
        return bool(data)

    def _take(self, message: wire.Message) -> None:
        if isinstance(message, wire.Asked):
            self._questions.append(message)
        else:
            self.collector.take(message)

    def _answer(self, connection: socket.socket) -> None:
        """Answer what nodes asked; with the database away they wait until it is back."""
        while self._questions:
            try:
                reply = answer(self.step, self.token, self._questions[0], clock.now())
            except OperationalError as error:
                logger.warning("A question of %s waits for the database: %s", self.step, error)
                return
            self._questions.popleft()
            with suppress(OSError):  # the host is closing: its last message is still to be read
                wire.send(connection, reply)

    def _is_over(self) -> bool:
        """Leave the conversation: closing the connection makes the host kill the child's process group."""
        if self.hold.is_handed_back:
            self.ending.is_handed_back = True
        return self.hold.is_lost or self.hold.is_handed_back

    def _write_if_due(self) -> None:
        if not self.collector.is_due:
            return
        try:
            self.collector.flush()
        except OperationalError as error:
            logger.warning("The database took no rows for %s (%s): they wait in memory.", self.step, error)

    # ---- stopping

    def _patience(self) -> float:
        """Seconds until something of ours is due: a time limit, a late answer, or the next stage of a stop."""
        waits = [ANSWER_SECONDS if self._questions else IDLE_SECONDS]
        if limit := self.pipeline.time_limit_seconds:
            waits.append(max(0.0, self._started + limit - time.monotonic()))
        if self._stage:
            waits.append(max(0.0, self._stage_at - time.monotonic()))
        return min(waits)

    def _press_on(self, connection: socket.socket) -> None:
        """Stop in stages: interrupt, after the grace terminate, a little later kill."""
        limit = self.pipeline.time_limit_seconds
        if limit and not self.ending.is_timed_out and time.monotonic() - self._started >= limit:
            self.ending.is_timed_out, self.ending.time_limit_seconds = True, limit
        if self.hold.is_stop_asked:
            self.ending.is_stop_asked = True
        if not (self.ending.is_stop_asked or self.ending.is_timed_out) or time.monotonic() < self._stage_at:
            return
        following = {"": "interrupt", "interrupt": "terminate", "terminate": "kill", "kill": "kill"}
        self._stage = following[self._stage]
        wait = self.pipeline.grace_seconds if self._stage == "interrupt" else KILL_AFTER_TERMINATE_SECONDS
        self._stage_at = time.monotonic() + wait
        self.collector.say("WARNING", f"The process is asked to stop: {self._stage}.", time.time())
        try:
            wire.send(connection, wire.StopAsked(stage=self._stage))
        except OSError:
            return  # the host is closing: its last message is still to be read

    # ---- the end

    def _close(self) -> None:
        self.collector.log.close(time.time())
        outcome = outcome_of(self.collector, self.ending)
        self._say_why(outcome)
        flush_patiently(self.collector, seconds=LEASE.total_seconds() * 2)
        self._finish_patiently(outcome)
        self._notice_new_code()
        shutil.rmtree(self.folder, ignore_errors=not self.collector.store_error)

    def _say_why(self, outcome: Outcome) -> None:
        if outcome.error:
            self.collector.say("ERROR", outcome.error, time.time())

    def _notice_new_code(self) -> None:
        """The pages should show the pipelines as they are now."""
        newest = self.pipeline.project.snapshot
        is_new = newest and self.collector.revision not in ("", newest.revision)
        if is_new and self.pipeline.project.may_ask_for_check(clock.now()):
            ask_for_snapshot(self.pipeline.project_id)

    def _finish_patiently(self, outcome: Outcome) -> None:
        deadline = time.monotonic() + (LEASE + timedelta(seconds=40)).total_seconds()
        while True:
            try:
                return finish(self.step, outcome, token=self.token, at=clock.now(), by=self.worker_name)
            except OperationalError:
                if self.hold.is_lost or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
