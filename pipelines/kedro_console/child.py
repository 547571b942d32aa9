"""The process that runs one step: forked from a warm host, or started by itself (`python -m kedro_console.child`)."""

from __future__ import annotations

import argparse
import atexit
import difflib
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro_console import (
    artifacts,
    call,
    compat,
    failures,
    here,
    learned,
    logs,
    masking,
    parameters,
    processes,
    taps,
    traffic,
    warm,
    wire,
)
from kedro_console.keep import Keeper
from kedro_console.progress import Bar
from kedro_console.report import Reporter

INTERRUPTED = "interrupted"
BAD_PARAMETERS = "bad_parameters"
MISSING_DATASET = "missing_dataset"


@dataclass(frozen=True)
class Place:
    """Where a step runs: the project's folder and its Kedro environment ("" = the project's default)."""

    project_path: Path
    env: str


def run_forked(request: wire.StepStarted, place: Place, warmth: warm.Warmth, packets: socket.socket, pipe: int) -> None:
    """What the forked child does, from its first instruction to its last; does not return."""
    code = 70
    try:
        os.setsid()
        _take_pipe(pipe)
        _become_ordinary()
        warm.reseed(warmth)
        code = _work_aloud(request, place, warmth, Reporter(packets))
    except BaseException as error:  # noqa: BLE001  (nothing may climb into the host's code that is below us)
        logs.write_line("CRITICAL", "logging", failures.describe(error, place.project_path).traceback)
    finally:
        _leave(code)


def refusal(request: wire.StepStarted, warmth: warm.Warmth) -> wire.StepRefused | None:
    """Why this project cannot run the step at all; None when it can."""
    if request.function or request.pipeline in warmth.pipelines:
        return None
    near = difflib.get_close_matches(request.pipeline, warmth.pipelines, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"It has {', '.join(warmth.pipelines) or 'none at all'}."
    sentence = f"The project has no pipeline named {request.pipeline}. {hint}"
    return wire.StepRefused(time.time(), "unknown_pipeline", sentence)


def broken(error: BaseException, project_path: Path) -> wire.StepRefused:
    """The answer to every request while the project cannot be imported."""
    failure = failures.describe(error, project_path)
    short = failure.message.splitlines()[0] if failure.message else failure.exception
    sentence = f"The project cannot be loaded: {failure.exception}: {short}"
    return wire.StepRefused(time.time(), "broken", sentence, failure)


# ---- the work --------------------------------------------------------------------------------------


def _work_aloud(request: wire.StepStarted, place: Place, warmth: warm.Warmth, reporter: Reporter) -> int:
    """Runs the step and reports its end; the exit code."""
    count_before = len(sys.modules)
    _limit(request.memory_limit_bytes)
    masking.learn(place.project_path)
    logs.install(warmth.package, lambda node, bar: reporter.send(_progress(node, bar)))
    hooks = _hooks(request, place, warmth, reporter)
    here.enter(request.run_id, reporter)
    started = time.monotonic()
    try:
        if request.function:
            reporter.send(wire.FunctionReturned(time.time(), call.call(request.function, request.arguments)))
        else:
            hooks.traffic = seen = traffic.Traffic(reporter.send)
            taps.install(seen)
            _run(request, place, hooks)
    except BaseException as error:  # noqa: BLE001  (also SystemExit and KeyboardInterrupt: every end is reported)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        node = hooks.run_failed(error)
        hooks.flush()
        failure = failures.describe(error, place.project_path)
        reporter.send(wire.RunFailed(time.time(), time.monotonic() - started, node, failure, reason_of(error)))
        return 1
    hooks.run_ended()
    reporter.send(wire.RunFinished(time.time(), time.monotonic() - started))
    reporter.send_learned(learned.newly_imported(count_before, warmth.package))
    return 0


def _run(request: wire.StepStarted, place: Place, hooks: Any) -> None:
    from kedro.framework.project import settings

    settings.set("HOOKS", (*settings.HOOKS, *_store(request), hooks))
    parameters.check(request.parameters, place.project_path, place.env)
    compat.keep_pipelines(request.pipeline)
    session = compat.create_session(place.project_path, place.env, request.parameters)
    if request.save_version:
        compat.force_version(session, request.save_version)
    compat.run(
        session,
        request.pipeline,
        node_names=request.nodes or None,
        runner=compat.runner(request.runner, request.max_workers),
        load_versions=request.load_versions or None,
    )


def _hooks(request: wire.StepStarted, place: Place, warmth: warm.Warmth, reporter: Reporter) -> Any:
    from kedro_console.hooks import Hooks  # it needs Kedro

    folder = Path(request.folder) if request.folder else Path(tempfile.gettempdir()) / "kedro_console" / request.step_id
    artifacts.keeper = keeper = Keeper(
        place.project_path, folder, request.artifact_limit_bytes, frozenset(request.free_outputs)
    )
    return Hooks(place.project_path, reporter, keeper, warmth.versions)


def _store(request: wire.StepStarted) -> list[Any]:
    """The hooks that keep in-memory datasets for the run's other steps; [] when the run has only this one."""
    if not request.store_folder:
        return []
    from kedro_console.store import StoreHooks  # it needs Kedro

    return [StoreHooks(Path(request.store_folder))]


def _progress(node: str, bar: Bar) -> wire.ProgressMade:
    return wire.ProgressMade(time.time(), node, bar.label, bar.done, bar.total, bar.unit)


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


# ---- the process -----------------------------------------------------------------------------------


def _take_pipe(pipe: int) -> None:
    """fd 0 reads nothing, fd 1 and 2 are the log pipe."""
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (pipe, 1), (pipe, 2)):
        os.dup2(source, target)
    for fd in {null, pipe} - {0, 1, 2}:
        os.close(fd)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115


def _become_ordinary() -> None:
    """Signals as a program of its own has them, and a kernel that ends it and its orphans with the host."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGIO):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parent = os.getppid()
    processes.signal_at_parents_death(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    processes.adopt_orphans()


def _limit(memory_bytes: int) -> None:
    """No core dumps; a backstop for memory that grows faster than the host can look."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes:
        backstop = max(2 * memory_bytes, processes.data_bytes() + memory_bytes)
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        if hard in (resource.RLIM_INFINITY, -1) or backstop < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (backstop, hard))


def _leave(code: int) -> None:
    """Ends like an interpreter does (threads joined, atexit run), but never runs the host's own ends."""
    try:
        getattr(threading, "_shutdown", lambda: None)()
        getattr(atexit, "_run_exitfuncs", lambda: None)()
        logs.finish()
    finally:
        os._exit(code)


# ---- a child that was not forked -------------------------------------------------------------------


def main() -> None:
    """Warms up, waits for the host's word, runs the one step, ends."""
    arguments = _arguments()
    warm.drop_working_folder()
    _become_ordinary()
    packets = socket.socket(fileno=arguments.packets)
    reporter = Reporter(packets)
    place = Place(Path(arguments.project), arguments.env)
    masking.use_key(Path(arguments.learned))
    known = learned.Learned.read(Path(arguments.learned), place.project_path, place.env)
    warmth, error = None, None
    try:
        warmth = warm.warm_up(place.project_path, place.env, known.modules)
    except BaseException as caught:  # noqa: BLE001  (project code: told to whoever asks for a step)
        error = caught
    reporter.send_ready()
    packets.recv(1)  # the host's word; the kernel ends us if it dies before
    request = _request(arguments.request)
    code = 1
    try:
        refused = broken(error, place.project_path) if error else refusal(request, warmth) if warmth else None
        if refused is None and warmth is not None:
            code = _work_aloud(request, place, warmth, reporter)
        elif refused is not None:
            reporter.send(refused)
    finally:
        _leave(code)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kedro_console.child")
    parser.add_argument("--packets", type=int, required=True)
    parser.add_argument("--request", type=int, required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--learned", required=True)
    parser.add_argument("--env", default="")
    return parser.parse_args()


def _request(fd: int) -> wire.StepStarted:
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        message = wire.parse(file.read())
    if not isinstance(message, wire.StepStarted):
        raise wire.WireError(f"Not a request: {message.kind}")
    return message


if __name__ == "__main__":
    main()
