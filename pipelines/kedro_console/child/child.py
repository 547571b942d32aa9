"""The process that runs a step: forked from a warm host, or started by itself (`python -m kedro_console.child`)."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import gc
import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from kedro_console import wire
from kedro_console.child import saved
from kedro_console.child.work import Place, Work
from kedro_console.line import processes
from kedro_console.line.report import Reporter
from kedro_console.project import bytecode, compat, ending, learned, record, warm
from kedro_console.project.freshness import Freshness
from kedro_console.words import failures, handlers, logs, masking

FEW = 3


@dataclass
class Birth:
    """All that a copy of a warm host has to know."""

    request: wire.StepStarted
    place: Place
    warmth: warm.Warmth
    packets: socket.socket
    pipe: int


class Forked(BaseException):
    """Climbs out of the host in its copy: the child's end is an interpreter's only with no other program below it."""

    def __init__(self, birth: Birth) -> None:
        super().__init__()
        self.birth = birth


def live(birth: Birth) -> int:
    """What the forked child does, from its first instruction to the last one of ours; its exit code."""
    end = End(Reporter(birth.packets))
    try:
        os.setsid()
        _take_pipe(birth.pipe)
        _become_ordinary()
        warm.reseed(birth.warmth)
        if birth.warmth.kept:
            birth.warmth.kept.serve()
        end.code = _work(birth, end)
    except BaseException as error:  # noqa: BLE001  (nobody is above who would tell it)
        end.tell(error, birth.place.project_path)
    end.close_up(is_copy=not birth.warmth.acts_at_its_end)
    return end.code


def _work(birth: Birth, end: End) -> int:
    work = Work(birth.place, birth.warmth, end.reporter)
    try:
        return work.run(birth.request)
    finally:
        end.ledger = work.ledger


class End:
    """How the process ends; what it keeps of its work is only what has to be told."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter, self.code = reporter, 70
        self.ledger: saved.Ledger | None = None

    def tell(self, error: BaseException, project_path: Path) -> None:
        """Writes what has ended this process, or the one that a node has forked, into the log."""
        if self.reporter.speaks:
            logs.write_line("CRITICAL", "logging", failures.describe(error, project_path).traceback)
        elif isinstance(error, SystemExit):
            self.code = error.code if isinstance(error.code, int) else int(error.code is not None)
        else:
            self.code = 1
            traceback.print_exception(type(error), error, error.__traceback__)

    def close_up(self, *, is_copy: bool) -> None:
        """Ends the process, or returns when the interpreter has to: of a copy only when something is left open."""
        ending.close_up()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if is_copy and not ending.unfinished():
            try:
                self._tell_changes()
            finally:
                ending.leave_now(self.code)
        with contextlib.suppress(OSError):  # the host is gone
            self.reporter.send_ending(self.ledger.tasks() if self.ledger else ())
        compat.let_go()
        ending.keep_streams()
        gc.unfreeze()

    def _tell_changes(self) -> None:
        for event in self.ledger.renewed() if self.ledger and self.reporter.speaks else ():
            self.reporter.send(event)


def refusal(request: wire.StepStarted, warmth: warm.Warmth) -> wire.StepRefused | None:
    """Why this project cannot run the step at all; None when it can."""
    if request.function:
        return None
    if request.pipeline not in warmth.pipelines:
        return _unknown_pipeline(request, sorted(warmth.pipelines))
    gone = [name for name in request.nodes if name not in warmth.pipelines[request.pipeline]]
    return _gone_nodes(gone, request, is_same_code=warmth.revision == request.expected_revision) if gone else None


def _unknown_pipeline(request: wire.StepStarted, known: list[str]) -> wire.StepRefused:
    near = difflib.get_close_matches(request.pipeline, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"It has {', '.join(known) or 'none at all'}."
    sentence = f"The project has no pipeline named {request.pipeline}. {hint}"
    return wire.StepRefused(time.time(), "unknown_pipeline", sentence)


def _gone_nodes(names: list[str], request: wire.StepStarted, *, is_same_code: bool) -> wire.StepRefused:
    shown = f"{', '.join(names[:FEW])} and {len(names) - FEW} more" if len(names) > FEW else ", ".join(names)
    what = f"The node {shown} is" if len(names) == 1 else f"The nodes {shown} are"
    if is_same_code and not request.begun_with:
        sentence = (
            f"{what} not in the pipeline, which has other nodes than when the project was read, in the same code: "
            "start the run again; if its nodes change whenever it is loaded, run it in one process."
        )
    else:
        when = "this run began" if request.begun_with else "the project was read; start the run again"
        verb = "it was" if len(names) == 1 else "they were"
        sentence = f"{what} not in the code any more: {verb} renamed or removed after {when}."
    return wire.StepRefused(time.time(), "unknown_node", sentence)


def broken(error: BaseException, project_path: Path) -> wire.StepRefused:
    """The answer to every request while the project cannot be imported."""
    failure = failures.describe(error, project_path)
    short = failure.message.splitlines()[0] if failure.message else failure.exception
    sentence = f"The project cannot be loaded: {failure.exception}: {short}"
    return wire.StepRefused(time.time(), "broken", sentence, failure)


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


# ---- a child that was not forked -------------------------------------------------------------------


def main() -> None:
    """Warms up, waits for the host's word, runs the step and those that follow it, ends."""
    arguments, environment, words = _arguments(), dict(os.environ), sys.argv[1:]
    warm.drop_working_folder()
    _become_ordinary()
    packets = socket.socket(fileno=arguments.packets)
    reporter = Reporter(packets)
    place = Place(Path(arguments.project), arguments.env)
    found, warmth, error = _warm_up(place, Path(arguments.learned))
    fresh = None if arguments.at_once else Freshness(found, place.project_path, place.project_path)
    reporter.send_ready()
    if fresh:
        packets.recv(1)  # the host's word; the kernel ends us if it dies before
        if fresh.changed(at_once=True):
            _start_over(words, environment)
        fresh.close()
    request = _request(arguments.request)
    end = End(reporter)
    end.code = 1
    refused = broken(error, place.project_path) if error else refusal(request, warmth) if warmth else None
    if refused is not None:
        reporter.send(refused)
        logs.echoes = True
        handlers.release(is_first=True)()
    elif warmth is not None:
        try:
            end.code = _work(Birth(request, place, warmth, packets, -1), end)
        except BaseException as caught:  # noqa: BLE001  (nobody is above who would tell it)
            end.tell(caught, place.project_path)
    end.close_up(is_copy=False)
    sys.exit(end.code)


def _warm_up(place: Place, folder: Path) -> tuple[record.Record, warm.Warmth | None, BaseException | None]:
    """What was read to load the project, and what came of it: it is warm, or what it raised."""
    bytecode.distrust_old_bytecode()
    masking.use_keys(folder)
    known = learned.Learned.read(folder, place.project_path, place.env)
    warmth, error = None, None
    found = record.begin()
    logs.echoes = False
    try:
        processes.hear_interrupts()
        warmth = warm.warm_up(place.project_path, place.env, known.modules)
    except BaseException as caught:  # noqa: BLE001  (project code: told to whoever asks for a step)
        error = caught
    record.end(found)
    return found, warmth, error


def _start_over(words: list[str], environment: dict[str, str]) -> None:
    """What was loaded while it stood by is not what is there now: the same process once more, from its beginning."""
    command = [sys.executable, "-m", "kedro_console.child", *words, "--at-once"]
    os.execve(sys.executable, command, environment)  # noqa: S606


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kedro_console.child")
    parser.add_argument("--packets", type=int, required=True)
    parser.add_argument("--request", type=int, required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--learned", required=True)
    parser.add_argument("--env", default="")
    parser.add_argument("--at-once", action="store_true", help="The word was given to the process before this one.")
    return parser.parse_args()


def _request(fd: int) -> wire.StepStarted:
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        message = wire.parse(file.read())
    if not isinstance(message, wire.StepStarted):
        raise wire.WireError(f"Not a request: {message.kind}")
    return message
