"""The rows of imagined runs, as the engine would have left them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from django_celery_results.models import TaskResult

from jobs.models import Act, Artifact, Event, LogChunk, NodeRun, RequestCount, RequestRecord, Run, Step, Transition
from jobs.models.act import Door
from jobs.models.result import STATES, TASK
from jobs.seeding.bulk import Table, flag, key, moment
from jobs.seeding.files import content_of
from jobs.seeding.imagine import Attempt, Imagined, NodeTold
from jobs.states import Cause, NodeStatus, RequestStatus, Status

HOSTS: Final = ("api.example.org", "rates.example.com", "files.example.net")
NO_ANSWER: Final = "no answer"


class History:
    """Tables that belong together; what is added is written when asked, in an order that foreign keys allow."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.runs = Table(
            Run, "id", "uuid", "pipeline_id", "snapshot_id", "cause", "cause_detail", "requested_by_name", "status",
            "runner", "created_at", "started_at", "finished_at", "error", "retry_of_id", "is_resumption",
            "resolved_parameters", "results", "revision", "nodes_total", "nodes_done", "peak_memory_bytes",
            "log_dropped_at", "seq", "log_seq",
        )  # fmt: skip
        self.steps = Table(
            Step, "id", "run_id", "position", "attempt", "nodes", "needs", "task_id", "queue", "status", "ready_at",
            "sent_at", "started_at", "finished_at", "lease_token", "worker_name", "mode", "revision", "pid",
            "exit_code", "exit_signal", "peak_memory_bytes", "error",
        )  # fmt: skip
        self.nodes = Table(
            NodeRun, "run_id", "step_id", "name", "position", "status", "attempts", "started_at", "finished_at",
            "seconds", "taken_from_id", "error", "failure", number=False,
        )  # fmt: skip
        self.artifacts = Table(
            Artifact, "uuid", "run_id", "dataset", "node", "name", "media_type", "size_bytes", "sha256", "rows",
            "columns", "created_at", number=False,
        )  # fmt: skip
        self.moves = Table(
            Transition, "run_id", "step_id", "from_status", "to_status", "at", "by", "reason", number=False
        )
        self.results = Table(
            TaskResult, "task_id", "task_name", "task_args", "status", "result", "content_type", "content_encoding",
            "worker", "date_started", "date_created", "date_done", number=False,
        )  # fmt: skip
        self.acts = Table(Act, "at", "actor", "door", "verb", "kind", "key", "name", number=False)
        self.requests = Table(
            RequestRecord, "call", "run_id", "step_id", "node", "at", "last_at", "library", "method", "url", "host",
            "status_code", "reason", "seconds", "status", "settled_at", number=False,
        )  # fmt: skip
        self.counts = Table(
            RequestCount, "run_id", "step_id", "node", "host", "status_code", "count", "seconds", number=False
        )
        self.events = Table(Event, "run_id", "step_id", "seq", "at", "kind", "node", "data", number=False)
        self.lines = Table(LogChunk, "run_id", "step_id", "first_seq", "last_seq", "content", number=False)

    @property
    def tables(self) -> list[Table]:
        """Each after those that its rows point at."""
        return [
            self.runs, self.steps, self.nodes, self.artifacts, self.moves, self.results, self.acts, self.requests,
            self.counts, self.events, self.lines,
        ]  # fmt: skip

    def write(self) -> int:
        return sum(table.write() for table in self.tables)

    def add(self, told: Imagined, *, is_fresh: bool) -> None:
        """All rows of one run; a fresh one has its log, its events and files that can be opened."""
        number, seq = self.runs.number(), 0
        keys = {attempt.position: self._add_step(number, attempt, told) for attempt in told.attempts}
        self._add_nodes(number, told, keys)
        if told.status == Status.SUCCEEDED:
            self._add_files(number, told, is_fresh=is_fresh)
        if is_fresh and keys:
            seq = self._add_log(number, told, keys)
        self._add_requests(number, told, keys, openness=0.4 if is_fresh else 0.02)
        self._add_run(number, told, seq, is_fresh=is_fresh)

    def _add_run(self, number: int, told: Imagined, seq: int, *, is_fresh: bool) -> None:
        habit, end = told.habit, moment(told.finished_at)
        created, started = moment(told.created_at), moment(told.started_at)
        detail = "Every morning" if told.cause == Cause.SCHEDULE else ""
        self.runs.add(
            number, self._key(told.created_at), habit.pipeline.pk, habit.snapshot.pk, told.cause.value, detail, told.by,
            told.status.value, habit.runner, created, started, end, told.error, told.again, flag(told.is_resumption),
            habit.resolved, habit.results if told.status == Status.SUCCEEDED else "{}", habit.snapshot.revision,
            len(told.nodes), told.done, self._random.randrange(90, 900) * 1_000_000,
            None if is_fresh else end, seq, seq,
        )  # fmt: skip
        by = told.by or told.cause.value
        self._move(number, None, "", Status.QUEUED, created, by, detail)
        self._move(number, None, Status.QUEUED, Status.RUNNING, started, self._worker(told), "")
        self._move(number, None, Status.RUNNING, told.status, end, self._worker(told), told.error)
        if told.by:
            verb = "resumed" if told.is_resumption else "retried" if told.again else "started"
            door = Door.API if told.cause == Cause.API else Door.PAGE
            self.acts.add(created, told.by, door.value, verb, "run", str(number), f"run #{number}")

    def _worker(self, told: Imagined) -> str:
        return told.attempts[-1].worker if told.attempts else ""

    def _add_step(self, run: int, attempt: Attempt, told: Imagined) -> int:
        number, habit = self.steps.number(), told.habit
        ready, begun, end = moment(told.created_at), moment(attempt.started_at), moment(attempt.finished_at)
        queue, task = habit.pipeline.queue, UUID(int=self._random.getrandbits(128), version=4)
        names = json.dumps([habit.nodes[place].name for place in attempt.places]) if len(habit.groups) > 1 else "[]"
        needs = f"[{attempt.position - 1}]" if attempt.position else "[]"
        is_killed = attempt.status == Status.CRASHED
        self.steps.add(
            number, run, attempt.position, attempt.number, names, needs, key(task), queue, attempt.status.value, ready,
            ready, begun, end, self._key(attempt.started_at), attempt.worker, "fork", habit.snapshot.revision,
            4000 + number % 20_000, None if is_killed else int(attempt.status == Status.FAILED),
            9 if is_killed else None, self._random.randrange(90, 900) * 1_000_000, attempt.error,
        )  # fmt: skip
        self._move(run, number, "", Status.QUEUED, ready, told.by or told.cause.value, "")
        self._move(run, number, Status.QUEUED, Status.RUNNING, begun, attempt.worker, "")
        self._move(run, number, Status.RUNNING, attempt.status, end, attempt.worker, attempt.error)
        result = json.dumps({"run": run, "step": attempt.position, "attempt": attempt.number, "error": attempt.error})
        self.results.add(
            str(task), TASK, f"[{number}]", STATES[attempt.status], result, "application/json", "utf-8",
            attempt.worker, begun, end, end,
        )  # fmt: skip
        return number

    def _add_nodes(self, run: int, told: Imagined, keys: dict[int, int]) -> None:
        steps = {place: keys[attempt.position] for attempt in told.attempts for place in attempt.places}
        for node in told.nodes:
            begun = moment(node.started_at) if node.started_at else None
            end = moment(_end(node)) if node.started_at else None
            self.nodes.add(
                run, steps.get(node.place), told.habit.nodes[node.place].name, node.place, node.status.value,
                node.attempts, begun, end, node.seconds if begun else None,
                told.again if node.status == NodeStatus.REUSED else None, told.error if node.mode else "",
                node.mode.failure if node.mode and node.status == NodeStatus.FAILED else None,
            )  # fmt: skip

    def _add_files(self, run: int, told: Imagined, *, is_fresh: bool) -> None:
        for file in told.habit.files:
            rows = self._random.randrange(200, 20_000)
            size, digest = file.size_bytes + 31 * rows, f"{self._random.getrandbits(256):064x}"
            if is_fresh:
                size, digest = content_of(file, rows % 7)
            is_table = file.media_type == "text/csv"
            self.artifacts.add(
                self._key(told.finished_at), run, file.dataset, file.node, file.name, file.media_type, size, digest,
                rows if is_table else None, 6 if is_table else None, moment(told.finished_at),
            )  # fmt: skip

    def _add_log(self, run: int, told: Imagined, keys: dict[int, int]) -> int:
        """A line and an event for each start and end of a node; the last number given."""
        seq, lines = 0, list[list[int | float | str]]()
        step = next(iter(keys.values()))
        for node in (node for node in told.nodes if node.started_at):
            name, begun, end = told.habit.nodes[node.place].name, node.started_at, _end(node)
            for kind, at, text in _said(node, name):
                seq += 2
                when = begun if at == "begin" else end
                assert when is not None  # noqa: S101 - narrows the type
                level = "ERROR" if kind == "node_failed" else "INFO"
                lines.append([seq - 1, when.timestamp(), level, "logging", name, text, "kedro.pipeline.node"])
                data = {"seconds": node.seconds} if kind != "node_started" else {}
                self.events.add(run, step, seq, moment(when), kind, name, json.dumps(data))
        if lines:
            self.lines.add(run, step, lines[0][0], lines[-1][0], json.dumps(lines))
        return seq

    def _add_requests(self, run: int, told: Imagined, keys: dict[int, int], *, openness: float) -> None:
        """A node that could not reach an API left its request; this share of them is still in the inbox."""
        failed = next((node for node in told.nodes if node.mode and node.mode.exception == "ConnectionError"), None)
        if failed is None or failed.status != NodeStatus.FAILED or failed.started_at is None:
            return
        host, step = self._random.choice(HOSTS), list(keys.values())[-1]
        name, at = told.habit.nodes[failed.place].name, moment(failed.started_at)
        is_open = self._random.random() < openness
        status = RequestStatus.OPEN if is_open else RequestStatus.DISMISSED
        code = self._random.choice([0, 429, 503])
        self.requests.add(
            self._key(failed.started_at), run, step, name, at, at, "requests", "GET", f"https://{host}/v1/rows?page=3",
            host, code, str(code or NO_ANSWER), failed.seconds, status.value, None if is_open else at,
        )  # fmt: skip
        self.counts.add(run, step, name, host, code, 1, failed.seconds)

    def _move(self, run: int, step: int | None, before: str, after: str, at: str, by: str, why: str) -> None:
        self.moves.add(run, step, str(before), str(after), at, by, why)

    def _key(self, at: datetime) -> str:
        """A UUID of version 7 begins with the time: an index on a million of them is written at its end."""
        begin = int(at.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62
        return key(UUID(int=begin | self._random.getrandbits(12) << 64 | self._random.getrandbits(62)))


def _end(node: NodeTold) -> datetime:
    assert node.started_at is not None  # noqa: S101 - narrows the type
    return node.started_at + timedelta(seconds=node.seconds)


def _said(node: NodeTold, name: str) -> Sequence[tuple[str, str, str]]:
    """(kind of event, which moment, log line)"""
    begun = ("node_started", "begin", f"Running node: {name}")
    if node.status == NodeStatus.FAILED and node.mode:
        return begun, ("node_failed", "end", f"Node {name} failed with error: {node.mode.message}")
    return begun, ("node_finished", "end", f"Completed node: {name}")
