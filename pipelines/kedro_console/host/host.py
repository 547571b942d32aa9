"""The warm process of one project: forks a child for each step, and is the only one that talks to its supervisor.

    python -m kedro_console.host --socket PATH --project PATH [--env KEDRO_ENV]

It lives as long as its stdin is open: when whoever started it is gone, it ends all its children and itself.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import platform
import selectors
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from kedro_console import wire
from kedro_console.child import child
from kedro_console.child.work import Place
from kedro_console.host import start
from kedro_console.host.children import Channels, Child
from kedro_console.line import door, processes
from kedro_console.line.talk import Talk
from kedro_console.project import bytecode, compat, ending, forkable, freshness, record, revision, warm
from kedro_console.project.freshness import Freshness, await_installation
from kedro_console.project.kept_code import Kept
from kedro_console.project.learned import MODES, Learned, state_of
from kedro_console.words import masking

SWEEP_SECONDS = 0.003
BROKEN_SECONDS = 5.0
"""How long what made the project fail to load is taken to be still so, although no file has changed."""
END_SECONDS = 2.0
BUSY_MARGIN_SECONDS = 1.0


@dataclass(frozen=True)
class Options:
    socket: Path
    given: Path  # the project's folder as it is known, with the links on its way
    place: Place
    idle_seconds: float
    first_event_seconds: float
    end_seconds: float
    mode: str


class Host:
    """One thread, one loop: nothing in it waits for a supervisor or a child."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._place = options.place
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, Child] = {}
        self._talks: set[Talk] = set()
        self._waiting: list[start.Waiting] = []
        self._learned = Learned.read(options.socket.parent, self._place.project_path, self._place.env)
        self._mode = self._learned.mode if options.mode == "auto" else options.mode
        if self._mode == "fork" and options.mode == "auto" and self._learned.is_read_anew:
            self._mode = "standby"
        self._pid = os.getpid()
        self._warmth: warm.Warmth | None = None
        self._broken: BaseException | None = None
        self._is_leaving = False
        self._last_busy = time.monotonic()
        self._busy_between = (0.0, 0.0)  # when its children ran, in seconds of the wall clock
        self._has_parts = False  # a run that began here has further steps
        self._changed = ""  # what is no longer as this process read it

    def run(self) -> None:
        processes.adopt_orphans()
        masking.use_keys(self._options.socket.parent)
        self._door = door.Door(self._options.socket)
        try:
            door.die_at_lifelines_end()
            self._warm_up_recorded()
            door.leave_at_lifelines_end()
            self._watch_children()
            self._selector.register(self._door.listener, selectors.EVENT_READ, self._accept)
            self._selector.register(door.LIFELINE, selectors.EVENT_READ, door.read_lifeline)
            self._last_busy = time.monotonic()
            while not self._is_over():
                self._turn()
        finally:
            if os.getpid() == self._pid:  # a copy of this process has nothing to do with the host's end
                self._end()

    def _warm_up_recorded(self) -> None:
        """Everything that is read meanwhile has to stay as it is for as long as this host serves."""
        await_installation()
        found = record.begin()
        self._warm_up()
        record.end(found)
        given, restless = self._options.given, self._learned.restless
        self._freshness = Freshness(found, given, self._place.project_path, restless=restless)
        self._revision = revision.of(self._place.project_path, found.own(), record.own_packages())
        self._packages = revision.installed()
        self._warm_at = time.monotonic()
        if self._warmth is not None and self._mode == "fork":
            self._warmth.revision = self._revision
            self._warmth.kept = Kept(
                self._freshness.sources, revision.configuration_folder(str(self._place.project_path))
            )

    def _warm_up(self) -> None:
        if self._mode == "fork":
            try:
                self._warmth = warm.warm_up(self._place.project_path, self._place.env, self._learned.modules)
            except BaseException as error:  # noqa: BLE001  (project code: told to whoever asks for a step)
                self._broken = error
            if self._options.mode == "auto" and self._warmth is not None and self._warmth.why_not_fork:
                self._mode = "cold" if self._warmth.is_of_a_moment else "standby"
                reason, code = _no_copy(self._warmth.why_not_fork), state_of(self._place.project_path)
                self._learned.remember_mode(self._mode, reason, code)
        self._refill()

    def _refill(self) -> None:
        if self._mode == "standby" and not self._waiting and self._broken is None:
            self._waiting.append(start.stand_by(self._place, self._learned.path.parent))

    # ---- the loop ----

    def _turn(self) -> None:
        for key, mask in self._selector.select(self._pause()):
            key.data(mask)
        self._reap()
        now = time.monotonic()
        for each in list(self._children.values()):
            if each.status is None:
                self._look_at(each, now)
            elif self._is_gone(each):
                self._bury(each)

    def _look_at(self, each: Child, now: float) -> None:
        if now >= each.next_measure:
            each.measure(now)
        each.end_if_unheld(now)
        each.end_if_stuck(now, self._options.end_seconds)
        if each.is_late(now, self._options.first_event_seconds):
            each.is_given_up = True
            each.kill()

    def _pause(self) -> float:
        """Seconds until there is something to do even if nothing happens."""
        now = time.monotonic()
        if any(each.status is not None for each in self._children.values()):
            return SWEEP_SECONDS
        if self._children:
            return max(0.0, min(each.next_measure for each in self._children.values()) - now)
        return max(0.0, self._last_busy + self._options.idle_seconds - now)

    def _is_over(self) -> bool:
        if self._children or self._talks:
            self._last_busy = time.monotonic()
            return False
        return self._is_leaving or time.monotonic() - self._last_busy >= self._options.idle_seconds

    def _accept(self, _: int) -> None:
        for connection in self._door.accept():
            self._talks.add(Talk(connection, self._selector, self._heard, self._closed))

    def _heard(self, talk: Talk, message: wire.Message) -> None:
        mine = next((each for each in self._children.values() if each.talk is talk), None)
        if isinstance(message, wire.StopAsked) and message.stage in ("interrupt", "terminate", "kill"):
            if mine is not None:
                mine.stop(message.stage)
        elif isinstance(message, wire.LeaseRenewed):
            if mine is not None:
                mine.hold(message.held_until)
        elif isinstance(message, wire.Answered):
            if mine is not None:
                mine.answer(message)
        elif isinstance(message, wire.LeaveAsked):
            if mine is not None:
                mine.leave()
            elif message.is_for_host:
                self._leave()
                talk.end()
        elif isinstance(message, wire.StepStarted) and mine is None:
            self._start(talk, message)
        elif isinstance(message, wire.StepStarted) and mine is not None and mine.is_waiting:
            self._go_on(talk, mine, message)
        else:
            self._refuse(talk, "bad_request", f"The host does not expect {message.kind} here.")

    def _closed(self, talk: Talk) -> None:
        self._talks.discard(talk)
        for each in self._children.values():
            if each.talk is talk:
                each.kill()

    # ---- starting ----

    def _start(self, talk: Talk, request: wire.StepStarted) -> None:
        if self._is_outdated(request) and not self._has_kept(request):
            self._refuse(talk, "stale", self._why_stale)
        elif self._broken is not None:
            talk.send(child.broken(self._broken, self._place.project_path))
            talk.end()
        else:
            refused = self._refusal(request)
            if refused is None:
                self._launch(talk, request, self._mode)
            else:
                talk.send(refused)
                talk.end()

    def _refusal(self, request: wire.StepStarted) -> wire.StepRefused | None:
        return child.refusal(request, self._warmth) if self._warmth else None

    def _go_on(self, talk: Talk, mine: Child, request: wire.StepStarted) -> None:
        """The next step for the child of the one before, in the code that its run began with; of no other run."""
        if request.run_id != mine.request.run_id:
            self._refuse(talk, "bad_request", "A child serves one run only.")
        elif refused := self._refusal(request):
            talk.send(refused)
            talk.end()
        elif mine.follow(request):
            self._tell_started(talk, mine, has_gone_on=True)
        else:
            self._refuse(talk, "gone", "The process of the step before is gone.")

    def _refuse(self, talk: Talk, reason: str, sentence: str) -> None:
        talk.send(wire.StepRefused(time.time(), reason, sentence))
        talk.end()

    def _is_outdated(self, request: wire.StepStarted) -> bool:
        """Whether a new process would be another one than this; once it would, the host leaves."""
        if not self._changed:
            is_expected = request.expected_revision in ("", self._revision)
            self._changed = self._freshness.changed(at_once=not is_expected) or self._spent
            if self._changed:
                self._learn_from_end(self._changed)
                self._retire()
        return bool(self._changed)

    def _has_kept(self, request: wire.StepStarted) -> bool:
        """A host that is old serves the runs that began with its code until it is told that the last has ended."""
        is_its = request.begun_with == wire.code_of(self._revision, self._packages)
        return is_its and self._warmth is not None and self._warmth.kept is not None

    def _retire(self) -> None:
        """New runs need a new host; this one stays for the further steps of those that began here."""
        if self._has_parts and self._warmth is not None and self._warmth.kept is not None:
            self._warmth.kept.retire(self._options.socket.parent)
        else:
            self._leave()

    def _leave(self) -> None:
        self._is_leaving = True
        self._door.unlink()

    def _learn_from_end(self, path: str) -> None:
        """A run that rewrites what the project is loaded from ends each host: the third in a row is the last one."""
        written_at = record.signature(path)
        first, last = self._busy_between
        is_by_run = written_at is not None and first <= written_at[0] / 1e9 <= last
        if is_by_run and not path.endswith(freshness.MODULES):
            self._learned.ended_by(path, is_read=self._freshness.has_read(path))
        else:
            self._learned.ended_by("")

    @property
    def _spent(self) -> str:
        """A project may fail to load for reasons that no file tells: it is tried again after a while."""
        is_over = self._broken is not None and time.monotonic() - self._warm_at > BROKEN_SECONDS
        return "what the project needs to be loaded" if is_over else ""

    @property
    def _why_stale(self) -> str:
        return f"The project is not as this host loaded it: {self._changed} may have changed."

    def _launch(self, talk: Talk, request: wire.StepStarted, mode: str) -> None:
        if mode == "fork" and self._warmth is not None:
            pid, channels = start.fork(request, self._place, self._warmth, self._own_files())
        else:
            pid, channels = self._hand_over(request, mode)
        each = self._children[pid] = Child(pid, mode, channels, request, talk, self._selector, self._learned.add)
        self._has_parts = self._has_parts or request.may_go_on
        self._note_busy()
        self._tell_started(talk, each)

    def _note_busy(self) -> None:
        """Since when, and until when, something of this host ran last."""
        first, last = self._busy_between
        began = time.time() if last < math.inf else first
        self._busy_between = (began, math.inf) if self._children else (first, time.time() + BUSY_MARGIN_SECONDS)

    def _tell_started(self, talk: Talk, each: Child, *, has_gone_on: bool = False) -> None:
        talk.send(
            wire.ChildStarted(
                at=time.time(),
                pid=each.pid,
                mode=each.mode,
                revision=self._revision,
                packages=self._packages,
                note="" if has_gone_on else self._note,
                kedro_version=compat.kedro_version(),
                python_version=platform.python_version(),
                has_gone_on=has_gone_on,
            )
        )

    @property
    def _note(self) -> str:
        path = self._learned.restless
        if not path or not self._learned.is_read_anew:
            return self._learned.reason if self._mode == self._learned.mode else ""
        shown = os.path.relpath(path, self._place.project_path)
        return f"The project reads {shown} while it is loaded, and its runs rewrite that: each step starts anew."

    def _hand_over(self, request: wire.StepStarted, mode: str) -> tuple[int, Channels]:
        self._waiting = [each for each in self._waiting if each.is_alive]
        from_pool = mode == "standby" and self._waiting
        waiting = self._waiting.pop(0) if from_pool else start.stand_by(self._place, self._learned.path.parent)
        waiting.give(request)
        self._refill()
        return waiting.pid, waiting.channels

    def _own_files(self) -> list[Any]:
        """Everything that a forked child must not hold open."""
        channels = [each.channels for each in self._children.values()] + [each.channels for each in self._waiting]
        ends = [end for each in channels for end in (each.packets, each.log)]
        requests = [each.request for each in self._waiting]
        requests += [
            each.renewal.output for each in self._children.values() if each.renewal and not each.renewal.is_over
        ]
        talks = [talk.connection for talk in self._talks]
        return [
            self._selector,
            self._door.listener,
            self._wake,
            self._waker,
            *ends,
            *requests,
            *talks,
            *self._freshness.fds,
        ]

    # ---- ending ----

    def _watch_children(self) -> None:
        """A child's death wakes the loop."""
        self._wake, self._waker = socket.socketpair()
        for each in (self._wake, self._waker):
            each.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._wake, selectors.EVENT_READ, lambda _: self._wake.recv(4_096))

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid in self._children:
                    self._children[pid].died(status, usage)

    def _is_gone(self, each: Child) -> bool:
        """Ends what the dead child left; True when nothing of it is alive."""
        orphans = self._kill_orphans()
        return each.is_gone() and not orphans

    def _kill_orphans(self) -> list[int]:
        """Only the dead can have left processes to the host: each child adopts its own while it lives."""
        known = {*self._children, *(waiting.pid for waiting in self._waiting)}
        known |= {each.renewal.pid for each in self._children.values() if each.renewal}
        orphans = [pid for pid in processes.children_of(os.getpid()) if pid not in known]
        for pid in orphans:
            for below in reversed(processes.tree(pid)):
                processes.kill(below)
        return orphans

    def _bury(self, each: Child) -> None:
        each.drain()
        if each.is_renewing():
            return
        del self._children[each.pid]
        self._note_busy()
        self._last_busy = time.monotonic()
        if not (each.is_given_up or each.died_at_birth):
            each.report_exit()
            return
        slower = MODES[MODES.index(each.mode) + 1 :]
        if self._options.mode != "auto" or not slower or not each.talk.is_open:
            each.report_exit(is_hung=each.is_given_up)
            return
        self._mode = slower[0]
        self._learned.remember_mode(self._mode, _no_copy("a copy of it does not start"))
        self._launch(each.talk, replace(each.request, held_until=each.held_until), self._mode)

    def _end(self) -> None:
        self._door.unlink()
        if self._warmth is not None and self._warmth.kept is not None:
            self._warmth.kept.clean()
        for each in self._children.values():
            each.kill()
        for waiting in self._waiting:
            processes.kill_group(waiting.pid)
        self._children.clear()
        self._waiting.clear()
        deadline = time.monotonic() + END_SECONDS
        while self._kill_orphans() and time.monotonic() < deadline:
            self._reap()
            time.sleep(SWEEP_SECONDS)
        answer = wire.StepRefused(time.time(), "stale", "The host is leaving; start another one.")
        self._door.refuse_late(answer, END_SECONDS)


def _no_copy(reason: str) -> str:
    return f"The project is not run in copies of a warm process, but in new ones: {reason}."


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="kedro_console.host", description="Runs the steps of one Kedro project.")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--env", default="")
    parser.add_argument("--idle-seconds", type=float, default=900)
    parser.add_argument("--first-event-seconds", type=float, default=20)
    parser.add_argument("--end-seconds", type=float, default=120)
    parser.add_argument("--mode", choices=("auto", *MODES), default="auto")
    given = parser.parse_args()
    known = Path(os.path.abspath(given.project))  # noqa: PTH100  (`resolve` follows links)
    place = Place(known.resolve(), given.env)
    seconds = (given.idle_seconds, given.first_event_seconds, given.end_seconds)
    return Options(given.socket.absolute(), known, place, *seconds, given.mode)


def _serve(options: Options) -> child.Birth:
    """Returns only in a copy of the host. What the project has asked for at its end is not for the host to do."""
    code = 0
    try:
        Host(options).run()
    except child.Forked as forked:
        return forked.birth
    except SystemExit:
        code = 0
    except BaseException:  # noqa: BLE001  (as the interpreter would tell it)
        traceback.print_exc()
        code = 1
    return _leave(code)


def _leave(code: int) -> NoReturn:
    for finalizer in forkable.temporary_folders():
        with contextlib.suppress(Exception):
            finalizer()
    sys.stdout.flush()
    sys.stderr.flush()
    ending.leave_now(code)


def main() -> None:
    options = _options()
    warm.drop_working_folder()
    bytecode.distrust_old_bytecode()
    sys.exit(child.live(_serve(options)))
