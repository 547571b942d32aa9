"""Turn what a child reports into rows: in order, in batches, and only while the lease is held."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Set
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import F

from jobs import clock, requests
from jobs.errors import PlatformError, one_line
from jobs.interpreters.artifacts import described, keep, unkept
from jobs.interpreters.code_of import seen
from jobs.models import Event, LogChunk, NodeRun, Run, Step
from jobs.states import NODE_LIVE, NodeStatus
from jobs.steps import on_end
from jobs.steps.cut_log import Log
from jobs.steps.request_for_child import step_folder
from jobs.steps.spill_log import Spill, StoredLine
from jobs.stored import opened
from jobs.structure.values import shown
from kedro_console import wire

FLUSH_SECONDS: Final = 0.25
"""Rows are written at most four times a second for each step."""
LINES_A_CHUNK: Final = 500
FEW_NODES: Final = 3
CANCEL: Final = "cancel"
TIME_LIMIT: Final = "time limit"
INTERRUPT: Final = "KeyboardInterrupt"
MAX_REASON: Final = 300
SKIPPED: Final = "Its outputs exist, and only missing outputs were asked for."
TO_WRITE: Final = ("seq", "log_seq", "revision", "begun_with", "other_code", "retry_of")
"""What `write` has to know of a run."""
PLANNED: Final = ("content_key", "content", "taken_from", "reason")
"""What the launch knew of a node: its execution changes nothing of that."""
UNWRITTEN: Final = ("memory_measured", "progress_made", "asked", *requests.KINDS)
"""Kinds that only move a value, are answered, or have rows of their own; as events they would be noise."""


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class Collector:
    """Takes the messages of one step and writes them as rows with `flush`.

    `outputs` are the run's final datasets: what is known of them goes into its results. `revision` is what the run was
    planned for ("": not known).
    """

    def __init__(self, step: Step, token: uuid.UUID, outputs: Set[str], revision: str = "") -> None:
        self.step, self.token, self.outputs, self._planned_for = step, token, outputs, revision
        self.log = Log(Spill(step_folder(step), settings.CONSOLE_LOG_FILE_MB * 2**20))
        self.facts: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.artifacts: list[dict[str, Any]] = []
        self.uploads: list[dict[str, Any]] = []
        """Kept files that wait for the store."""
        self.unkept: dict[tuple[str, str], dict[str, Any]] = {}
        """What was left behind and is not kept, by dataset and name."""
        self.failure: wire.RunFailed | None = None
        self.refusal: wire.StepRefused | None = None
        self.exit: wire.ChildExited | None = None
        self.has_begun = self.has_asked = False
        """Has a node asked the console anything? Only then may the step hold a quota."""
        self.is_waiting = self.is_finished = False
        self._requests = requests.Taken()
        self._ended: list[str] = []
        self._is_awaited = False
        self._stopping = ""
        self._stopped: list[str] = []
        self._stopped_at: dict[str, str] = {}
        self.peak_memory_bytes = 0
        self.revision = ""
        self._started: wire.ChildStarted | None = None
        self.running_since: dict[str, float] = {}
        self._run_facts: dict[str, Any] = {}
        self._events: list[wire.Event] = []
        self._dirty: dict[str, NodeRun] = {}
        self._unsaved: list[NodeRun] = []
        rows = NodeRun.objects.filter(run_id=step.run_id, name__in=step.nodes).defer(*PLANNED)
        self._nodes = {row.name: row for row in rows}
        self._done = 0
        self._skipped: list[str] = []
        self._gone: list[NodeRun] = []
        self.graph_change = ""
        self._is_other_code = False
        self._flushed = time.monotonic()  # a short step is written once, at its end
        self._pending_lines: list[StoredLine] = []

    # ---- taking

    def take(self, message: wire.Message) -> None:
        """Remember one message; nothing is written before `flush`."""
        if not isinstance(message, wire.Event):
            return
        if not self._is_of_a_cancel(message):
            self._requests.take(message)
        handler: Callable[[Any], None] | None = getattr(self, f"_on_{message.kind}", None)
        if handler:
            handler(message)
        if message.kind not in UNWRITTEN:
            self._events.append(message)

    def close_log(self, at: float) -> None:
        """No more lines come; those that rows do not hold are kept as a file."""
        problem, kept = "", self.log.spilled()
        try:
            waiting = keep(kept) if kept else None
            self.uploads += [waiting] if waiting else []
            self.facts |= {"log_sha256": kept.sha256} if kept else {}
        except PlatformError as error:
            problem = str(error)
        self.log.close(at, problem)

    def take_log(self, data: bytes, at: float) -> None:
        self.log.feed(data, at)

    def say(self, level: str, text: str, at: float) -> None:
        """A line of the console itself in the run's log."""
        self.log.lines.append((at, level, "console", "", text, ""))

    @property
    def running_nodes(self) -> list[str]:
        return [name for name, row in self._nodes.items() if row.status == NodeStatus.RUNNING]

    def _on_step_refused(self, event: wire.StepRefused) -> None:
        self.refusal = event

    def _on_child_started(self, event: wire.ChildStarted) -> None:
        self.facts |= {"pid": event.pid, "mode": event.mode}
        self.facts |= {"revision": event.revision, "packages": event.packages}
        self.has_begun = True
        self.revision = event.revision
        if event.note:
            self.say("WARNING", event.note, event.at)
        if not event.has_gone_on:
            self._started = event
            self._is_other_code = self._planned_for not in ("", event.revision)

    def _on_run_started(self, event: wire.RunStarted) -> None:
        if event.versions:
            self._run_facts |= {"resolved_parameters": opened(event.parameters), "versions": event.versions}
        self.outputs = self.outputs | frozenset(event.outputs)
        if event.is_whole:
            self._take_whole(event.nodes)
        for name in event.nodes:
            self._node(name)

    def _take_whole(self, nodes: list[str]) -> None:
        """The nodes that the whole pipeline has in this process are the run's, whatever it was planned with."""
        new = [name for name in nodes if name not in self._nodes]
        there = set(nodes)
        gone = [name for name, row in self._nodes.items() if name not in there and row.status == NodeStatus.WAITING]
        if not (gone or new):
            return
        for name in gone:
            self._gone.append(self._nodes.pop(name))
        for position, name in enumerate(nodes):
            self._node(name).position = position
        self.graph_change = self._run_facts["graph_change"] = (
            f"The pipeline's nodes are not those it had when the project was read: {len(new)} new, {len(gone)} gone."
        )

    def _on_nodes_skipped(self, event: wire.NodesSkipped) -> None:
        for name in event.nodes:
            row = self._node(name)
            if row.status == NodeStatus.WAITING:
                row.status = NodeStatus.REUSED
                self._skipped.append(name)
                self._done += 1

    def _on_node_started(self, event: wire.NodeStarted) -> None:
        row = self._node(event.node)
        row.status, row.started_at, row.step = NodeStatus.RUNNING, moment(event.at), self.step
        row.attempts += 1
        self.running_since[event.node] = time.monotonic()
        row.finished_at = row.seconds = row.failure = row.progress = None
        row.error = ""

    def _on_node_finished(self, event: wire.NodeFinished) -> None:
        row = self._node(event.node)
        row.status, row.finished_at, row.seconds = NodeStatus.SUCCEEDED, moment(event.at), event.seconds
        self.running_since.pop(event.node, None)
        self._done += 1

    def _on_node_failed(self, event: wire.NodeFailed) -> None:
        row = self._node(event.node)
        row.status, row.finished_at, row.seconds = NodeStatus.FAILED, moment(event.at), event.seconds
        self.running_since.pop(event.node, None)
        row.error, row.failure = one_line(event.failure), asdict(event.failure)
        if self._stopping:
            self._stopped.append(event.node)
        if self._stopping == CANCEL:  # whatever it raised then, it did not fail
            row.status, row.error, row.failure = NodeStatus.CANCELLED, "", None
            self._stopped_at[event.node] = place_of(event.failure)

    def stop(self, why: str) -> None:
        """From now on the child is being stopped: CANCEL, or TIME_LIMIT. How its nodes end follows from that."""
        self._stopping = self._stopping or why

    def _is_of_a_cancel(self, message: wire.Event) -> bool:
        """A request that breaks off because its process is asked to stop has not failed."""
        return self._stopping == CANCEL and isinstance(message, wire.RequestMade)

    def blame(self, sentence: str) -> None:
        """The nodes that were stopped failed for a reason that their exceptions do not tell."""
        for name in self._stopped if sentence else ():
            row = self._nodes[name]
            if row.status == NodeStatus.FAILED:
                row = self._node(name)
                row.error = sentence
                if row.failure and row.failure["exception"] == INTERRUPT:
                    row.failure = {**row.failure, "exception": "TimeLimit", "message": sentence}

    def _on_progress_made(self, event: wire.ProgressMade) -> None:
        if event.node in self._nodes:
            bar = {"label": event.label, "done": event.done, "total": event.total, "unit": event.unit}
            self._node(event.node).progress = bar

    def _on_dataset_saved(self, event: wire.DatasetSaved) -> None:
        if event.has_value or event.dataset in self.outputs:
            self.results[event.dataset] = result_of(event)
        for key in [key for key in self.unkept if key[0] == event.dataset]:  # saved again: the last time counts
            del self.unkept[key]
        if event.kept:
            self._keep(event, event.kept)

    def _keep(self, event: wire.DatasetSaved, kept: wire.KeptFile) -> None:
        try:
            waiting = keep(kept)
        except PlatformError as error:
            problem = wire.FileUnkept(event.at, event.node, event.dataset, kept.name, event.path, str(error))
            self.say("WARNING", problem.reason, event.at)
            self._on_file_unkept(problem)
            return
        self.uploads += [waiting] if waiting else []
        row = described(event, kept)
        others = [one for one in self.artifacts if (one["dataset"], one["name"]) != (row["dataset"], row["name"])]
        self.artifacts = [*others, row]  # of one name given twice the last counts

    def _on_file_kept(self, event: wire.FileKept) -> None:
        dataset = event.dataset or event.kept.name
        given = wire.DatasetSaved(event.at, dataset=dataset, node=event.node, type="file", seconds=0)
        self._keep(given, event.kept)

    def _on_file_unkept(self, event: wire.FileUnkept) -> None:
        row = unkept(event)
        self.unkept[row["dataset"], row["name"]] = row

    def _on_memory_measured(self, event: wire.MemoryMeasured) -> None:
        self._measure(event.used_bytes)

    def _measure(self, used_bytes: int) -> None:
        self.peak_memory_bytes = self.facts["peak_memory_bytes"] = max(used_bytes, self.peak_memory_bytes)

    def _on_run_finished(self, event: wire.RunFinished) -> None:
        self.is_finished = True

    def _on_run_failed(self, event: wire.RunFailed) -> None:
        self.failure = event

    def _on_child_waited(self, event: wire.ChildWaited) -> None:
        self.is_waiting = True
        self._measure(event.peak_memory_bytes)

    def _on_child_exited(self, event: wire.ChildExited) -> None:
        self.exit = event
        self.facts |= {"exit_code": event.exit_code, "exit_signal": event.signal}
        self._measure(event.peak_memory_bytes)

    def _node(self, name: str) -> NodeRun:
        """The node's row, marked to be written; a node that the snapshot did not know gets one."""
        row = self._nodes.get(name)
        if row is None:
            row = self._nodes[name] = NodeRun(run_id=self.step.run_id, name=name, position=len(self._nodes))
            self._unsaved.append(row)
        elif row.pk:
            self._dirty[name] = row
        return row

    # ---- writing

    @property
    def is_due(self) -> bool:
        return self._has_news and time.monotonic() - self._flushed >= FLUSH_SECONDS

    @property
    def _has_news(self) -> bool:
        rows = self._events or self._dirty or self._unsaved or self.log.lines or self._pending_lines
        return bool(rows or self.facts or self._requests)

    def seconds_until_due(self, idle: float) -> float:
        """How long a supervisor may wait for news before it has to flush."""
        if not self._has_news:
            return idle
        return max(0.0, min(idle, self._flushed + FLUSH_SECONDS - time.monotonic()))

    def flush(self) -> None:
        """Write all that was taken in one transaction; LeaseLost when the step is another's by now.

        When the database is away nothing is lost: the same rows are written by the next flush.
        """
        self._flushed = time.monotonic()
        with transaction.atomic():
            self.lock_followers()
            run = Run.objects.select_for_update().only(*TO_WRITE).get(pk=self.step.run_id)
            self.step.record(self.token, **self.facts)
            self.write(run)
        self.forget()

    def append_late(self, warning: str = "") -> None:
        """Lines that came after the step had ended under this lease join its log; its run is given the warning."""
        if not self.log.lines:
            return
        self._pending_lines += self.log.take()
        with transaction.atomic():
            run = Run.objects.select_for_update().only("seq", "log_seq").get(pk=self.step.run_id)
            known = {"warning": warning} if warning else {}
            Run.objects.filter(pk=run.pk).update(log_seq=run.log_seq + len(self._pending_lines), **known)
            self._write_lines(run.log_seq + 1)

    def write(self, run: Run, **facts: Any) -> None:
        """Within a transaction that has locked the run and made sure of the lease; `forget` after its commit.

        `facts` are written of the run in the same UPDATE.
        """
        if problem := self._requests.write(self.step):
            self.say("WARNING", problem, time.time())
        self._pending_lines += self.log.take()
        first = run.seq + 1
        last, last_line = run.seq + len(self._events), run.log_seq + len(self._pending_lines)
        done = {"nodes_done": F("nodes_done") + self._done} if self._done else {}
        if self._started:
            self._run_facts |= seen(run, self.step, self._started)
            self.step.run.begun_with = self._run_facts.get("begun_with") or run.begun_with
        Run.objects.filter(pk=run.pk).update(seq=last, log_seq=last_line, **done, **self._run_facts, **facts)
        self._write_nodes()
        self._write_events(first)
        self._write_lines(run.log_seq + 1)
        if self._is_awaited:
            whole = Run.objects.select_related("pipeline").get(pk=run.pk)
            on_end.nodes_ended(whole, self._ended, self.results, clock.now())

    def lock_followers(self) -> None:
        """Before the run's row is locked: take what goes on at the end of one of these nodes."""
        self._ended = [row.name for row in (*self._dirty.values(), *self._unsaved) if row.status not in NODE_LIVE]
        self._is_awaited = on_end.lock_for_nodes(self.step.run.pipeline_id, self._ended)

    def _write_nodes(self) -> None:
        if self._is_other_code:  # what the nodes, and those below them, follow from was looked up for the snapshot's
            NodeRun.objects.filter(run_id=self.step.run_id).exclude(content_key="").update(content_key="")
        if self._gone:
            NodeRun.objects.filter(pk__in=[row.pk for row in self._gone]).delete()
        if self._unsaved or self._gone:
            for row in self._unsaved:
                row.pk = None  # set by a flush that was rolled back
            NodeRun.objects.bulk_create(self._unsaved)
            total = NodeRun.objects.filter(run_id=self.step.run_id).count()
            Run.objects.filter(pk=self.step.run_id).update(nodes_total=total)
        if self._dirty:
            columns = [
                "step",
                "status",
                "attempts",
                "started_at",
                "finished_at",
                "seconds",
                "error",
                "failure",
                "progress",
            ]
            if len(self._dirty) <= FEW_NODES:  # one UPDATE each is cheaper than one with a CASE for every column
                for row in self._dirty.values():
                    row.save(update_fields=columns)
            else:
                NodeRun.objects.bulk_update(self._dirty.values(), columns, batch_size=50)
        for name, place in self._stopped_at.items():
            NodeRun.objects.filter(run_id=self.step.run_id, name=name).update(reason=place)
        if self._skipped:
            NodeRun.objects.filter(run_id=self.step.run_id, name__in=self._skipped).update(reason=SKIPPED)

    def _write_events(self, first: int) -> None:
        Event.objects.bulk_create(
            [
                Event(
                    run_id=self.step.run_id,
                    step=self.step,
                    seq=first + place,
                    at=moment(event.at),
                    kind=event.kind,
                    node=getattr(event, "node", ""),
                    data=_data(event),
                )
                for place, event in enumerate(self._events)
            ],
            batch_size=200,
        )

    def _write_lines(self, first: int) -> None:
        numbered: list[list[Any]] = [[first + place, *line] for place, line in enumerate(self._pending_lines)]
        chunks = [numbered[start : start + LINES_A_CHUNK] for start in range(0, len(numbered), LINES_A_CHUNK)]
        LogChunk.objects.bulk_create(
            LogChunk(
                run_id=self.step.run_id, step=self.step, first_seq=chunk[0][0], last_seq=chunk[-1][0], content=chunk
            )
            for chunk in chunks
        )

    def forget(self) -> None:
        """What was written is committed."""
        self._events, self._unsaved, self._pending_lines, self._dirty = [], [], [], {}
        self._skipped, self._stopped_at = [], {}
        self._started, self._gone = None, []
        self._done, self._run_facts, self.facts, self._is_other_code = 0, {}, {}, False
        self._requests = requests.Taken()


def place_of(failure: wire.Failure) -> str:
    """Where in the project's code it was when it was stopped, as a sentence; "" when it was in none of it."""
    own = next((frame for frame in reversed(failure.frames) if frame.is_project), None)
    return f"It was at {own.file}:{own.line} in {own.function}."[:MAX_REASON] if own else ""


def result_of(event: wire.DatasetSaved) -> dict[str, Any]:
    """What the run's results say of one of its outputs; only what is known."""
    known = {
        "type": event.type,
        "rows": event.rows,
        "columns": event.columns,
        "parts": event.parts,
        "size_bytes": event.size_bytes,
        "path": event.path or None,
        "version": event.version or None,
    }
    result = {name: value for name, value in known.items() if value is not None}
    return {**result, "value": event.value} if event.has_value else result


def _data(event: wire.Event) -> dict[str, wire.Json]:
    """What everybody may see of an event: the run's row has the parameters that Kedro resolved."""
    data = wire.plain(event)
    return {**data, "parameters": shown(wire.unpacked(data["parameters"]))} if "parameters" in data else data
