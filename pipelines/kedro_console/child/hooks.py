"""Kedro's hooks, turned into events. Nothing here can fail a run: what cannot be reported is said in the log."""

from __future__ import annotations

import inspect
import multiprocessing
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from kedro.framework.hooks import hook_impl

from kedro_console import wire
from kedro_console.child import facts, saved
from kedro_console.child.saved import Ledger
from kedro_console.line.keep import Keeper
from kedro_console.line.report import Reporter
from kedro_console.project import compat
from kedro_console.reading.registry import is_parameter
from kedro_console.traffic.traffic import Traffic
from kedro_console.words import failures, logs, masking

RUNNER_FILES = ("kedro/runner/task.py", "kedro/runner/runner.py")


@dataclass
class _Running:
    """A node that has started; one that yields saves its outputs in pieces and has no last one."""

    started: float
    left: set[str]
    is_streamed: bool
    has_run: bool = False
    streams: dict[str, _Stream] = field(default_factory=dict)


@dataclass
class _Stream:
    data: Any = None
    rows: int | None = None
    seconds: float = 0.0


class _Harmless:
    """An error inside is written to the log, not raised: reporting never harms the run."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, cls: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        logs.write_line("WARNING", "logging", f"Kedro Console could not report this: {failures.message_of(error)}")
        return True


_harmless = _Harmless()


class Hooks:
    """Reports one run; safe for the threads of a ThreadRunner."""

    def __init__(self, project_path: Path, reporter: Reporter, keeper: Keeper, versions: dict[str, str]) -> None:
        self._project_path = project_path
        self._reporter = reporter
        self._keeper = keeper
        self.ledger = Ledger(keeper)
        self._versions = versions
        self._catalog: Any = None
        self._running: dict[str, _Running] = {}
        self._on_thread: dict[int, str] = {}
        self._begun: dict[tuple[int, str], float] = {}
        self._failed: set[str] = set()
        self._has_gone_on = False
        self.traffic: Traffic | None = None
        self.secret_parameters: dict[str, list[list[str]]] = {}

    def begin_next(self, keeper: Keeper) -> None:
        """The next step of the run follows in this process; parameters and versions are known by now."""
        self._keeper, self.ledger, self._has_gone_on = keeper, Ledger(keeper), True
        self._running.clear()
        self._on_thread.clear()
        self._begun.clear()

    def forget_step(self) -> None:
        """Lets go of what the step has used: its datasets may have files to close."""
        self._catalog = None
        self._running.clear()

    # ---- the run ----

    @hook_impl
    def before_pipeline_run(self, pipeline: Any, catalog: Any) -> None:
        if not self._reporter.speaks:
            return
        with _harmless:
            self._catalog = catalog
            nodes = [node.name for node in pipeline.nodes]
            resolved = ({}, {}) if self._has_gone_on else (self._parameters(catalog), self._versions)
            is_whole = self._keeper.is_whole
            outputs = sorted(pipeline.outputs()) if is_whole else []
            self._keeper.free_outputs |= frozenset(outputs)
            self._reporter.send(wire.RunStarted(time.time(), nodes, *resolved, is_whole, outputs))

    def _parameters(self, catalog: Any) -> dict[str, Any]:
        dataset = compat.dataset_of(catalog, "parameters") if compat.is_registered(catalog, "parameters") else None
        if dataset is None:
            return {}
        found = wire.marked(facts.parameters(dataset.load()), self.secret_parameters)
        masking.learn_parameters(found)
        return dict(wire.packed(found))

    def run_ended(self) -> None:
        """Closes the nodes that stream their outputs: nothing else tells their end."""
        with _harmless:
            for name in list(self._running):
                self._finish(name)
        self.flush()

    def flush(self) -> None:
        """Reports the requests that were counted since the last time."""
        if self.traffic is not None:
            self.traffic.flush()

    def run_failed(self, error: BaseException) -> str:
        """Reports the node that failed, unless it is reported already; its name, "" when it was none."""
        node = node_of(error)
        with _harmless:
            if node and node not in self._failed:
                self._fail(node, error)
        return node

    # ---- nodes ----

    @hook_impl(tryfirst=True)
    def before_node_run(self, node: Any) -> None:
        if not self._may_begin():
            return
        with _harmless:
            self._start(node)

    @hook_impl(trylast=True)
    def after_node_run(self, node: Any) -> None:
        if not self._reporter.speaks:
            return
        with _harmless:
            running = self._running.get(node.name)
            if running is None:
                return
            running.has_run = True
            if not running.left and not running.is_streamed:
                self._finish(node.name)

    @hook_impl(tryfirst=True)
    def on_node_error(self, error: Exception, node: Any) -> None:
        if not self._reporter.speaks:
            return
        with _harmless:
            self._fail(node.name, error)

    def _may_begin(self) -> bool:
        """Whether this process speaks: a pool of Kedro's runner forks between nodes; what a node forks is in one."""
        if not self._reporter.speaks and not self._running and multiprocessing.parent_process() is not None:
            self._reporter.speak()
        return self._reporter.speaks

    def _start(self, node: Any) -> None:
        if node.name in self._running:
            return
        thread = threading.get_ident()
        previous = self._on_thread.get(thread, "")
        if previous in self._running and self._running[previous].has_run:
            self._finish(previous)
        is_streamed = inspect.isgeneratorfunction(node.func)
        self._running[node.name] = _Running(time.perf_counter(), set(node.outputs), is_streamed)
        self._on_thread[thread] = node.name
        logs.current.enter(node.name)
        self._reporter.send(wire.NodeStarted(time.time(), node.name))

    def _finish(self, name: str) -> None:
        running = self._running.pop(name)
        for dataset, stream in running.streams.items():
            self._report_saved(dataset, name, stream.data, stream.seconds, stream.rows)
        logs.current.leave(name)
        self.flush()
        self._reporter.send(wire.NodeFinished(time.time(), name, time.perf_counter() - running.started))

    def _fail(self, name: str, error: BaseException) -> None:
        self._failed.add(name)
        running = self._running.pop(name, None)
        logs.current.leave(name)
        seconds = time.perf_counter() - running.started if running else 0.0
        failure = failures.describe(error, self._project_path)
        self._reporter.send(wire.NodeFailed(time.time(), name, seconds, failure))

    # ---- datasets ----

    @hook_impl(tryfirst=True)
    def before_dataset_loaded(self, dataset_name: str, node: Any) -> None:
        if not self._may_begin():
            return
        with _harmless:
            self._start(node)
            self._begun[threading.get_ident(), dataset_name] = time.perf_counter()

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any, node: Any) -> None:
        seconds = self._seconds(dataset_name)
        if is_parameter(dataset_name) or not self._reporter.speaks:
            return
        with _harmless:
            dataset = compat.dataset_of(self._catalog, dataset_name)
            rows, columns = facts.shape(data)
            path, version = facts.location(dataset, is_save=False)
            event = wire.DatasetLoaded(
                at=time.time(),
                dataset=dataset_name,
                node=node.name,
                type=facts.type_name(dataset),
                seconds=seconds,
                rows=rows,
                columns=columns,
                size_bytes=facts.local_size(path),
                path=path,
                version=version,
            )
            self._reporter.send(event)

    @hook_impl(trylast=True)
    def before_dataset_saved(self, dataset_name: str) -> None:
        self._begun[threading.get_ident(), dataset_name] = time.perf_counter()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Any) -> None:
        seconds = self._seconds(dataset_name)
        if not self._reporter.speaks:
            return
        with _harmless:
            running = self._running.get(node.name)
            if running is not None and running.is_streamed:
                self._add_piece(running.streams.setdefault(dataset_name, _Stream()), data, seconds)
                return
            self._report_saved(dataset_name, node.name, data, seconds)
            if running is None:
                return
            running.left.discard(dataset_name)
            if running.has_run and not running.left:
                self._finish(node.name)

    def _seconds(self, dataset_name: str) -> float:
        begun = self._begun.pop((threading.get_ident(), dataset_name), None)
        return time.perf_counter() - begun if begun is not None else 0.0

    @staticmethod
    def _add_piece(stream: _Stream, data: Any, seconds: float) -> None:
        rows, _ = facts.shape(data)
        stream.data, stream.seconds = data, stream.seconds + seconds
        stream.rows = rows if stream.rows is None else stream.rows + (rows or 0)

    def _report_saved(self, name: str, node: str, data: Any, seconds: float, rows: int | None = None) -> None:
        dataset = compat.dataset_of(self._catalog, name)
        path, version = facts.location(dataset, is_save=True)
        found_rows, columns = facts.shape(data)
        sample = facts.sample(data) if rows is None else []  # of a stream the last piece is what is here
        is_free = name in self._keeper.free_outputs
        value, has_value = facts.small_value(data) if is_free else (None, False)
        place = facts.place(dataset) if dataset is not None else ""
        event = wire.DatasetSaved(
            at=time.time(),
            dataset=name,
            node=node,
            type=facts.type_name(dataset),
            seconds=seconds,
            rows=found_rows if rows is None else rows,
            columns=columns,
            parts=facts.parts(data),
            size_bytes=facts.local_size(path),
            path=path,
            version=version,
            value=value,
            has_value=has_value,
            sample=sample,
            names=list(dict.fromkeys(name for row in sample for name in row)),
        )
        for told in saved.told(self._keeper, event, place, data):
            if isinstance(told, wire.FileUnkept):
                logs.write_line("WARNING", "logging", told.reason)
            self._reporter.send(told)
        self.ledger.add(event, place, data)


def node_of(error: BaseException) -> str:
    """The node in whose load, function or save this error arose; "" when it was in none."""
    name = ""
    current = error.__traceback__
    while current is not None:
        frame = current.tb_frame
        if frame.f_code.co_filename.endswith(RUNNER_FILES):
            node = frame.f_locals.get("node") or getattr(frame.f_locals.get("self"), "node", None)
            name = _name_inside(frame.f_code.co_name, node) or name
        current = current.tb_next
    return name


def _name_inside(function: str, node: Any) -> str:
    """Only where one node is worked on: the runner's loop has a `node` too."""
    is_work = function.startswith(("run_node", "_run_node", "_call_node", "_synchronous", "execute"))
    return str(getattr(node, "name", "")) if is_work else ""
