"""What a child does: one step, and after it the next ones of the same run, each as if the process were new.

The session, its context and the configuration that it has read are kept. The catalog is made again for each step; the
working folder, environment, random numbers and signals are put back. What a node has changed inside modules, logging
among them, stays, as between the nodes of one `kedro run`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro_console import artifacts, wire
from kedro_console.child import call, kept_values, missing, parameters, shelf
from kedro_console.child.saved import Ledger
from kedro_console.line import here, processes
from kedro_console.line.keep import Keeper
from kedro_console.line.report import Reporter
from kedro_console.project import command_line, compat, ending, learned, warm
from kedro_console.traffic import taps, traffic
from kedro_console.words import failures, handlers, logs, masking

INTERRUPTED = "interrupted"
BAD_PARAMETERS = "bad_parameters"
MISSING_DATASET = "missing_dataset"
UNSHAREABLE = "unshareable"
LENT_GONE = "lent_gone"


@dataclass(frozen=True)
class Place:
    """Where a step runs: the project's folder and its Kedro environment ("" = the project's default)."""

    project_path: Path
    env: str


class Work:
    """The steps of one run in this process; a step that does not succeed is the last one."""

    def __init__(self, place: Place, warmth: warm.Warmth, reporter: Reporter) -> None:
        self._place, self._warmth, self._reporter = place, warmth, reporter
        self._environment = dict(os.environ)
        self._session: Any = None
        self._hooks: Any = None
        self._copies: Any = None

    def run(self, request: wire.StepStarted) -> int:
        """The exit code, when nothing follows."""
        _limit(request.memory_limit_bytes)
        kept_values.kept.limit_bytes = request.memory_limit_bytes
        masking.learn(self._place.project_path)
        request = dataclasses.replace(request, parameters=wire.unpacked(request.parameters))
        masking.learn_parameters(wire.marked(request.parameters, request.secret_parameters))
        request = dataclasses.replace(request, parameters=wire.unmarked(request.parameters))
        here.enter(request.run_id, self._reporter)
        logs.install(self._reporter.send_progress)
        code = self._step(request)
        while code == 0 and request.may_go_on and self._reporter.speaks and _is_alone() and self._is_complete():
            self._tell_changes()
            logs.finish()
            kept_values.give_back()
            self._reporter.send_waiting(_cpu_seconds(), kept_values.kept.size_bytes)
            following = _next_step()
            if following is None or following.run_id != request.run_id:
                return code
            self._put_back()
            code = self._step(dataclasses.replace(following, parameters=request.parameters))
        return code

    @property
    def ledger(self) -> Ledger | None:
        """What the last step saved."""
        return self._hooks.ledger if self._hooks else None

    def _is_complete(self) -> bool:
        """Whether nothing is left to the end of this process, as it would be after a node in a process of its own."""
        self._hooks.forget_step()
        return not (self._warmth.acts_at_its_end or ending.unfinished())

    def _tell_changes(self) -> None:
        for event in self._hooks.ledger.renewed():
            self._reporter.send(event)

    def _step(self, request: wire.StepStarted) -> int:
        """Runs the step and reports its end; the exit code."""
        count_before = len(sys.modules)
        hooks = self._hooks_of(request)
        started = time.monotonic()
        try:
            processes.hear_interrupts()
            if request.function:
                handlers.release(is_first=True)()
                value = call.call(request.function, request.arguments)
                self._reporter.send(wire.FunctionReturned(time.time(), value))
            else:
                self._run_kedro(request)
        except BaseException as error:  # also SystemExit and KeyboardInterrupt: every end is reported
            if not self._reporter.speaks:  # a node has forked it: it ends as it would under `kedro run`
                raise
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            node = hooks.run_failed(error)
            hooks.flush()
            failure = failures.describe(error, self._place.project_path)
            seconds = time.monotonic() - started
            reason, dataset = of_the_store(error) or (reason_of(error), "")
            self._reporter.send(wire.RunFailed(time.time(), seconds, node, failure, reason, dataset))
            return 1
        if not self._reporter.speaks:
            return 0
        hooks.run_ended()
        if self._copies:
            self._copies.drop()
        self._reporter.send(wire.RunFinished(time.time(), time.monotonic() - started))
        if len(sys.modules) > count_before:
            self._reporter.send_learned(learned.newly_imported(count_before, self._warmth.package))
        return 0

    def _run_kedro(self, request: wire.StepStarted) -> None:
        command_line.pretend(self._place.env, request)
        session = self._session or self._first_session(request)
        if request.save_version:
            compat.force_version(session, request.save_version)
        compat.keep_pipelines(request.pipeline)
        with compat.saved_at_its_end(session, is_shared=bool(request.store_folder)):
            compat.run(
                session,
                request.pipeline,
                {"nodes": request.nodes} if request.nodes else request.choices,
                runner=self._runner(request),
                load_versions=request.load_versions,
                only_missing_outputs=request.only_missing_outputs,
            )
        if request.may_go_on:
            compat.allow_again(session)
            self._session = session

    def _runner(self, request: wire.StepStarted) -> Any:
        runner = compat.runner(request.runner, request.max_workers)
        if not request.only_missing_outputs:
            return runner
        whole = compat.registered(request.pipeline, request.chosen)
        return missing.only_missing(runner, whole, self._tell_skipped)

    def _tell_skipped(self, nodes: list[str]) -> None:
        if nodes:
            self._reporter.send(wire.NodesSkipped(time.time(), nodes))

    def _first_session(self, request: wire.StepStarted) -> Any:
        from kedro.framework.project import settings

        ours = (*_store(request), *self._copying(request), *_tracking(request), self._hooks)
        settings.set("HOOKS", (*settings.HOOKS, *ours))
        with warnings.catch_warnings():  # the run reads the same configuration, and warns itself
            warnings.simplefilter("ignore")
            parameters.check(request.parameters, self._place.project_path, self._place.env)
        compat.keep_pipelines(request.pipeline)
        take_pipelines = handlers.release(is_first=handlers.is_first_of_run(request.folder))
        compat.when_pipelines_are_taken(take_pipelines)
        session = compat.create_session(self._place.project_path, self._place.env, request.parameters)
        if request.may_go_on:
            compat.keep_context(session)
        return session

    def _hooks_of(self, request: wire.StepStarted) -> Any:
        """Our hooks, registered with the first step's session; each step has its own folder and outputs to keep."""
        from kedro_console.child.hooks import Hooks  # it needs Kedro

        given = request.folder
        folder = Path(given) if given else Path(tempfile.gettempdir()) / "kedro_console" / request.step_id
        free = frozenset(request.free_outputs)
        keeper = Keeper(self._place.project_path, folder, request.artifact_limit_bytes, free, compat.conf_source())
        keeper.is_whole = not (request.nodes or request.choices or request.only_missing_outputs)
        artifacts.keeper = keeper
        if self._hooks is None:
            self._hooks = Hooks(self._place.project_path, self._reporter, keeper, self._warmth.versions)
            self._hooks.secret_parameters = request.secret_parameters
            self._see_requests(request)
        else:
            self._hooks.begin_next(keeper)
        return self._hooks

    def _copying(self, request: wire.StepStarted) -> list[Any]:
        """The hook that copies what passes between the nodes, where a later run may go on with it."""
        if request.copies_folder and not request.store_folder:
            from kedro_console.child.copies import Copies  # it needs Kedro

            self._copies = Copies(Path(request.copies_folder), request.copies_bytes, request.memory_limit_bytes)
        return [self._copies] if self._copies else []

    def _see_requests(self, request: wire.StepStarted) -> None:
        """Those of a pipeline's nodes; a function that is called by itself is answered for by whoever calls it."""
        if not request.function:
            self._hooks.traffic = traffic.Traffic(self._reporter.send)
            taps.install(self._hooks.traffic)

    def _put_back(self) -> None:
        """What a node may have changed in the process, as it was before the first one."""
        os.chdir(self._place.project_path)
        if os.environ != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        random.seed()
        warm.restart(self._warmth)


def _next_step() -> wire.StepStarted | None:
    with contextlib.suppress(KeyboardInterrupt):  # asked to stop while it only waits: nothing is to be reported
        return here.next_step()
    return None


def _is_alone() -> bool:
    """Nothing that a node started is left: threads that an interpreter would wait for, or processes."""
    main = threading.main_thread()
    threads = [each for each in threading.enumerate() if each is not main and not each.daemon]
    return not threads and not processes.children_of(os.getpid())


def _cpu_seconds() -> float:
    """Processor time of this process and of those that it has waited for."""
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def _limit(memory_bytes: int) -> None:
    """No core dumps; a backstop for memory that grows faster than the host can look."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes:
        backstop = max(2 * memory_bytes, processes.data_bytes() + memory_bytes)
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        if hard in (resource.RLIM_INFINITY, -1) or backstop < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (backstop, hard))


def _store(request: wire.StepStarted) -> list[Any]:
    """The hooks that keep in-memory datasets for the run's other steps; [] when the run has only this one."""
    if not request.store_folder:
        return []
    from kedro_console.child.store import StoreHooks  # it needs Kedro

    lent = {file: shelf.shelf(place) for place, files in request.lent.items() for file in files}
    return [StoreHooks(shelf.shelf(request.store_folder), request.in_memory, lent)]


def _tracking(request: wire.StepStarted) -> list[Any]:
    """The hook that keeps the steps of a run in one tracking run, where the project uses kedro-mlflow."""
    if not request.tracking_file or "kedro_mlflow" not in sys.modules:
        return []
    from kedro_console.child.tracking import OneTrackingRun  # it needs Kedro

    return [OneTrackingRun(Path(request.tracking_file))]


def of_the_store(error: BaseException) -> tuple[str, str] | None:
    """What the run's store could not take or give, and whose value it is; None when that was not the error."""
    from kedro_console.child.store import LentGone, StoreError  # it needs Kedro

    reasons = {StoreError: UNSHAREABLE, LentGone: LENT_GONE}
    found = (each for each in failures.causes(error) if isinstance(each, (StoreError, LentGone)))
    return next(((reasons[type(each)], wire.bare(each.dataset)) for each in found), None)


def reason_of(error: BaseException) -> str:
    """`RunFailed.reason` for this exception; "" for an ordinary one."""
    names = {cls.__name__ for cls in type(error).__mro__}
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, parameters.ParameterError) or names & set(compat.BAD_PARAMETERS):
        return BAD_PARAMETERS
    if names & set(compat.MISSING_DATASET) or str(error).startswith("Pipeline input(s)"):
        return MISSING_DATASET
    return MISSING_DATASET if names & {"DatasetError", "DataSetError"} and _is_file_missing(error) else ""


def _is_file_missing(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, FileNotFoundError):
        error = error.__cause__
    return error is not None
