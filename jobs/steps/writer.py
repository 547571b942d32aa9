"""Write what was heard of a step as rows: in order, in batches, and only while the lease is held."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db import transaction
from django.db.models import F

from jobs import clock, requests
from jobs.interpreters.code_of import seen
from jobs.models import Event, LogChunk, NodeRun, Run, Step
from jobs.steps import on_end
from jobs.steps.cut_log import Log
from jobs.steps.heard import Heard, News
from jobs.steps.node_facts import NodeFacts, NodeNews, moment
from jobs.steps.spill_log import StoredLine
from jobs.structure.values import shown
from kedro_console import wire

FLUSH_SECONDS: Final = 0.25
"""Rows are written at most four times a second for each step."""
LINES_A_CHUNK: Final = 500
BYTES_A_CHUNK: Final = 128 * 1024
"""Of text: whoever reads a page of the log holds some chunks in memory, and lines may be long."""
FEW_NODES: Final = 3
SKIPPED: Final = "Its outputs exist, and only missing outputs were asked for."
TO_WRITE: Final = ("seq", "log_seq", "revision", "begun_with", "other_code", "retry_of")
"""What `write` has to know of a run."""
HEARD: Final = ("status", "attempts", "started_at", "finished_at", "seconds", "error", "failure", "progress")
"""The columns of a node that its child decides; what the launch knew of it is neither read nor written."""


class Writer:
    """The rows of one step; what is committed is forgotten as news, what is not is written by the next try."""

    def __init__(self, step: Step, token: uuid.UUID, heard: Heard, log: Log, rows: Iterable[NodeRun]) -> None:
        self.step, self.token, self.heard, self.log = step, token, heard, log
        self.requests = requests.Taken()
        self._rows = {row.name: row for row in rows}
        self._new_rows: list[NodeRun] = []
        self._ended: list[str] = []
        self._is_awaited = False
        self._lines: list[StoredLine] = []
        self._flushed = time.monotonic()  # a short step is written once, at its end

    @property
    def facts(self) -> dict[str, Any]:
        """The columns of the step's own row that are news."""
        return self.heard.news.step

    @property
    def _has_news(self) -> bool:
        return bool(self.heard.news or self.heard.nodes.news or self.log.lines or self._lines or self.requests)

    @property
    def is_due(self) -> bool:
        return self._has_news and time.monotonic() - self._flushed >= FLUSH_SECONDS

    def seconds_until_due(self, idle: float) -> float:
        """How long a supervisor may wait for news before it has to flush."""
        if not self._has_news:
            return idle
        return max(0.0, min(idle, self._flushed + FLUSH_SECONDS - time.monotonic()))

    def flush(self) -> None:
        """Write all news in one transaction; LeaseLost when the step is another's by now.

        When the database is away nothing is lost: the same rows are written by the next flush.
        """
        self._flushed = time.monotonic()
        with transaction.atomic():
            self.lock_followers()
            run = Run.objects.select_for_update().only(*TO_WRITE).get(pk=self.step.run_id)
            self.step.record(self.token, **self.facts)
            self.write(run)
        self.forget()

    def lock_followers(self) -> None:
        """Before the run's row is locked: take what goes on at the end of one of these nodes."""
        self._ended = self.heard.nodes.news.ended
        self._is_awaited = on_end.lock_for_nodes(self.step.run.pipeline_id, self._ended)

    def write(self, run: Run, **facts: Any) -> None:
        """Within a transaction that has locked the run and made sure of the lease; `forget` after its commit.

        `facts` are written of the run in the same UPDATE.
        """
        if problem := self.requests.write(self.step):
            self.log.say("WARNING", problem, time.time())
        self._lines += self.log.take()
        news, nodes = self.heard.news, self.heard.nodes.news
        last, last_line = run.seq + len(news.events), run.log_seq + len(self._lines)
        done = {"nodes_done": F("nodes_done") + nodes.done} if nodes.done else {}
        code = seen(run, self.step, news.started) if news.started else {}
        if news.started:
            self.step.run.begun_with = str(code.get("begun_with") or run.begun_with)
        Run.objects.filter(pk=run.pk).update(seq=last, log_seq=last_line, **done, **news.run, **code, **facts)
        self._write_nodes(nodes, is_other_code=news.is_other_code)
        self._write_events(news.events, run.seq + 1)
        self._write_lines(run.log_seq + 1)
        if self._is_awaited:
            whole = Run.objects.select_related("pipeline").get(pk=run.pk)
            on_end.nodes_ended(whole, self._ended, self.heard.results, clock.now())

    def append_late(self, warning: str = "") -> None:
        """Lines that came after the step had ended under this lease join its log; its run is given the warning."""
        if not self.log.lines:
            return
        self._lines += self.log.take()
        with transaction.atomic():
            run = Run.objects.select_for_update().only("seq", "log_seq").get(pk=self.step.run_id)
            known = {"warning": warning} if warning else {}
            Run.objects.filter(pk=run.pk).update(log_seq=run.log_seq + len(self._lines), **known)
            self._write_lines(run.log_seq + 1)

    def forget(self) -> None:
        """What was written is committed."""
        self._rows |= {row.name: row for row in self._new_rows}
        self._lines, self._new_rows = [], []
        self.heard.news, self.heard.nodes.news = News(), NodeNews()
        self.requests = requests.Taken()

    # ---- kinds of rows

    def _write_nodes(self, news: NodeNews, *, is_other_code: bool) -> None:
        of_run = NodeRun.objects.filter(run_id=self.step.run_id)
        if is_other_code:  # what the nodes, and those below them, follow from was looked up for the snapshot's
            of_run.exclude(content_key="").update(content_key="")
        if news.gone:
            NodeRun.objects.filter(pk__in=[self._rows[name].pk for name in news.gone]).delete()
        if news.new or news.gone:
            self._new_rows = NodeRun.objects.bulk_create(self._new_row(node) for node in news.new.values())
            Run.objects.filter(pk=self.step.run_id).update(nodes_total=of_run.count())
        changed = [self._as_heard(self._rows[name], node) for name, node in news.changed.items()]
        columns = ["step", *HEARD]
        if len(changed) <= FEW_NODES:  # one UPDATE each is cheaper than one with a CASE for every column
            for row in changed:
                row.save(update_fields=columns)
        else:
            NodeRun.objects.bulk_update(changed, columns, batch_size=50)
        for name, place in news.stopped_at.items():
            of_run.filter(name=name).update(reason=place)
        if news.skipped:
            of_run.filter(name__in=news.skipped).update(reason=SKIPPED)

    def _new_row(self, node: NodeFacts) -> NodeRun:
        return self._as_heard(NodeRun(run_id=self.step.run_id, name=node.name, position=node.position), node)

    def _as_heard(self, row: NodeRun, node: NodeFacts) -> NodeRun:
        for column in HEARD:
            setattr(row, column, vars(node)[column])
        if node.is_of_step:
            row.step = self.step
        return row

    def _write_events(self, events: list[wire.Reported], first: int) -> None:
        rows = (
            Event(
                run_id=self.step.run_id,
                step=self.step,
                seq=seq,
                at=moment(event.at),
                kind=event.kind,
                node=getattr(event, "node", ""),
                data=data_of(event),
            )
            for seq, event in enumerate(events, first)
        )
        Event.objects.bulk_create(rows, batch_size=200)

    def _write_lines(self, first: int) -> None:
        LogChunk.objects.bulk_create(
            LogChunk(
                run_id=self.step.run_id, step=self.step, first_seq=chunk[0][0], last_seq=chunk[-1][0], content=chunk
            )
            for chunk in _chunks(self._lines, first)
        )


def _chunks(lines: list[StoredLine], first: int) -> Iterator[list[list[Any]]]:
    """The lines with their numbers, so many together as one row holds."""
    chunk: list[list[Any]] = []
    size = 0
    for seq, line in enumerate(lines, first):
        size += len(line[4])
        if chunk and (len(chunk) == LINES_A_CHUNK or size > BYTES_A_CHUNK):
            yield chunk
            chunk, size = [], len(line[4])
        chunk.append([seq, *line])
    if chunk:
        yield chunk


def facts_of(row: NodeRun) -> NodeFacts:
    """What its row says of a node before its child says anything."""
    return NodeFacts(row.name, row.position, **{column: vars(row)[column] for column in HEARD})


def data_of(event: wire.Event) -> dict[str, wire.Json]:
    """What everybody may see of an event: the run's row has the parameters that Kedro resolved."""
    data = wire.plain(event)
    return {**data, "parameters": shown(wire.unpacked(data["parameters"]))} if "parameters" in data else data
