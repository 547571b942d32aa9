"""One child as the host sees it: its pipe and packets are read, its memory is watched, its whole tree is ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import selectors
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from kedro_console import wire
from kedro_console.host import renewals
from kedro_console.line import processes, report
from kedro_console.line.talk import Talk

BLOCK = 64 * 1024
PIPE_BYTES = 256 * 1024
F_SETPIPE_SZ = 1031
MEASURE_SECONDS = 0.1
MEASURE_OFTEN_SECONDS = 0.02
UNHELD_SECONDS = 1.0
PATIENT = 10
IDLE_SHARE = 4
"""Of the time for the first event: a child that uses no processor time for a quarter of it more is hung."""
KEPT_BYTES = 256 * 1024 * 1024
"""A child that holds so much more than it began with does not go on."""
SIGNALS = {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM, "kill": signal.SIGKILL}


class Channels:
    """The pipe and the packet socket between a host and one child; the child's ends are closed after the start."""

    def __init__(self) -> None:
        self.log, self.child_log = os.pipe()
        os.set_blocking(self.log, False)
        with contextlib.suppress(OSError):  # a smaller pipe is only slower
            fcntl.fcntl(self.log, F_SETPIPE_SZ, PIPE_BYTES)
        self.packets, self.child_packets = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.packets.setblocking(False)
        for each in (self.packets, self.child_packets):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * wire.MAX_EVENT_BYTES)

    def close_child_ends(self) -> None:
        os.close(self.child_log)
        self.child_packets.close()


class Child:
    """A running child. The host calls `measure` when it is due, `died` with its status, `sweep` until it is gone."""

    def __init__(
        self,
        pid: int,
        mode: str,
        channels: Channels,
        request: wire.StepStarted,
        talk: Talk,
        selector: selectors.BaseSelector,
        learn: Callable[[list[str]], None],
    ) -> None:
        self.pid, self.mode, self.channels = pid, mode, channels
        self.request, self.talk = request, talk
        self._selector, self._learn = selector, learn
        self._started = time.monotonic()
        self._warm_since = self._started if mode == "fork" else None
        self._is_silent = True  # no event yet
        self.is_stopped = False  # somebody asked for its end
        self.is_given_up = False  # the watchdog ended it
        self.is_unheld = False  # its lease ran out
        # A request may have waited for the warm-up of the host, with the renewals behind it.
        self.held_until = request.held_until and max(request.held_until, self._started + UNHELD_SECONDS)
        self.next_measure = self._started + MEASURE_SECONDS
        self.status: int | None = None
        self._peak = 0
        self._told = (0, 0.0)  # bytes, when
        self._over_limit = 0
        self._cpu_seconds = 0.0  # so far
        self._cpu_before = 0.0  # of the steps before this one
        self._kept_bytes = 0
        self._has_own_peak = True  # the kernel's highest figure is of this step alone
        self.is_waiting = False  # its step is done, and another may follow
        self._first_bytes = processes.memory_bytes([pid])
        self.is_stuck = False  # the watchdog ended it when it ended
        self._worked = (-1, self._started)  # processor time when it was last seen to use some, once it is overdue
        self._tasks: list[dict[str, Any]] = []  # saves that its end may complete
        self._moved: tuple[int, float] | None = None  # since it ends: processor time, and when that grew last
        self.renewal: renewals.Renewal | None = None
        self._is_reading = self._is_closed = False
        talk.low = self.resume
        self.resume()

    # ---- reading ----

    def resume(self) -> None:
        if not self._is_reading and not self._is_closed:
            self._is_reading = True
            self._selector.register(self.channels.log, selectors.EVENT_READ, self._log_ready)
            self._selector.register(self.channels.packets, selectors.EVENT_READ, self._packet_ready)

    def _pause(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._unwatch(self.channels.log)
            self._unwatch(self.channels.packets)

    def _unwatch(self, end: socket.socket | int) -> None:
        with contextlib.suppress(KeyError):  # not watched: at its end already
            self._selector.unregister(end)

    def _log_ready(self, _: int) -> None:
        if not self._read_log():
            self._unwatch(self.channels.log)

    def _packet_ready(self, _: int) -> None:
        if not self._read_packet():
            self._unwatch(self.channels.packets)

    def _read_log(self) -> bool:
        """Forwards a block of log; False at the end of the pipe."""
        data = os.read(self.channels.log, BLOCK)
        if data:
            self.talk.forward(wire.LOG_FRAME, data)
            self._check_room()
        return bool(data)

    def _read_packet(self) -> bool:
        try:
            packet = self.channels.packets.recv(2 * wire.MAX_EVENT_BYTES)
        except ConnectionResetError:
            return False
        inner = report.internal(packet)
        if inner is not None:
            self._hear(inner)
        elif packet:
            self._is_silent = False
            self.talk.forward(wire.JSON_FRAME, packet)
            self._check_room()
        return bool(packet)

    def _hear(self, inner: dict[str, Any]) -> None:
        if inner["kind"] == report.LEARNED:
            self._learn(inner["modules"])
        elif inner["kind"] == report.READY:
            self._warm_since = time.monotonic()
        elif inner["kind"] == report.WAITING:
            self._cpu_seconds = float(inner["cpu_seconds"])
            self._kept_bytes = int(inner["kept_bytes"])
            self._wait_for_next()
        elif inner["kind"] == report.UNFINISHED:
            self._tasks.append(inner["task"])
        elif inner["kind"] == report.ENDING:
            self._moved = (0, time.monotonic())

    def _check_room(self) -> None:
        if self.talk.is_full and self.status is None:
            self._pause()

    # ---- memory ----

    def measure(self, now: float) -> None:
        """Looks at the memory of the child's tree; ends it when it uses more than it may."""
        limit = self.request.memory_limit_bytes
        used = processes.memory_bytes(processes.tree(self.pid))
        self._peak = max(self._peak, used)
        self.next_measure = now + (MEASURE_OFTEN_SECONDS if limit and used > 0.6 * limit else MEASURE_SECONDS)
        if limit and used > limit and not self._over_limit:
            self._over_limit = limit
            self.kill()
        told, at = self._told
        if used and now - at >= 1 and abs(used - told) > 0.05 * told:
            self._told = (used, now)
            self.talk.send(wire.MemoryMeasured(time.time(), used))

    # ---- the next step of the run ----

    def _wait_for_next(self) -> None:
        """The step is done; a child that has grown heavy ends instead of waiting, and so gives its memory back."""
        self._read_lines_before_now()
        self.measure(time.monotonic())
        if self._has_own_peak:
            self._peak = max(self._peak, processes.peak_bytes(self.pid))
        if self._is_heavy():
            self.leave()
            return
        self.is_waiting = True
        self.talk.send(wire.ChildWaited(time.time(), self._peak, self._step_cpu_seconds))

    def _read_lines_before_now(self) -> None:
        """What the step has written is in the pipe already, and belongs before the word that it is done."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(PIPE_BYTES // BLOCK + 1):
                if not self._read_log():
                    return

    def _is_heavy(self) -> bool:
        used, limit = processes.memory_bytes([self.pid]), self.request.memory_limit_bytes
        own = used - self._kept_bytes  # what it keeps for the next step it keeps on purpose
        return own > self._first_bytes + KEPT_BYTES or bool(limit and used > limit / 2)

    def follow(self, request: wire.StepStarted) -> bool:
        """Hands the next step to the child that waits; False when it is gone, or the request is too large for it."""
        self._has_own_peak = processes.forget_peak(self.pid)
        try:
            self.channels.packets.send(request.to_json())
        except OSError:
            return False
        self.is_waiting = False
        self.request = request
        self.hold(request.held_until)
        self._peak, self._told, self._cpu_before = 0, (0, 0.0), self._cpu_seconds
        return True

    def leave(self) -> None:
        """Nothing follows: the child ends by itself, as a program does."""
        self.is_waiting = False
        with contextlib.suppress(OSError):
            self.channels.packets.send(wire.LeaveAsked().to_json())

    @property
    def _step_cpu_seconds(self) -> float:
        return round(max(0.0, self._cpu_seconds - self._cpu_before), 3)

    # ---- the end ----

    def is_late(self, now: float, seconds: float) -> bool:
        """Whether its first event is more than `seconds` overdue and it does nothing for it.

        Who still works, on a machine that is busy with other things, has ten times that; so has a warm-up of its own.
        """
        if not self._is_silent or self.is_stopped:
            return False
        overdue = now - (self._started + 9 * seconds if self._warm_since is None else self._warm_since)
        if overdue <= seconds:
            return False
        ticks = processes.cpu_ticks(processes.tree(self.pid))
        if ticks != self._worked[0]:
            self._worked = (ticks, now)
        return overdue > PATIENT * seconds or now - self._worked[1] > seconds / IDLE_SHARE

    def end_if_stuck(self, now: float, seconds: float) -> None:
        """Kills it when it ends and has used no processor time for so long."""
        if self._moved is None or self.is_stopped:
            return
        ticks = processes.cpu_ticks(processes.tree(self.pid))
        if ticks != self._moved[0]:
            self._moved = (ticks, now)
        elif now - self._moved[1] > seconds:
            self.is_stuck = True
            self.kill()

    def hold(self, until: float) -> None:
        """The supervisor holds the step until then."""
        self.held_until = until

    def end_if_unheld(self, now: float) -> None:
        """Kills it when its supervisor has not renewed the lease: another may have the step by now."""
        if self.held_until and now >= self.held_until:
            self.is_unheld = True
            self.kill()

    def stop(self, stage: str) -> None:
        """Sends the stage's signal to the process group; `kill` also reaches what left the group."""
        self.is_stopped = True
        if stage == "kill":
            self.kill()
        elif processes.is_group_alive(self.pid):
            processes.kill_group(self.pid, SIGNALS[stage])
        else:  # it was born this moment, and has no group yet
            processes.kill(self.pid, SIGNALS[stage])

    def answer(self, message: wire.Answered) -> None:
        """Hands an answer on; a child that has ended, or does not read, has no use for it."""
        with contextlib.suppress(OSError):
            self.channels.packets.send(message.to_json())

    def kill(self) -> None:
        """SIGKILL to the group and to every descendant, whatever group it is in."""
        self.is_stopped = True
        if self.status is None:
            for pid in reversed(processes.tree(self.pid)):
                processes.kill(pid)
        processes.kill_group(self.pid)
        if self.renewal:
            self.renewal.close()

    def died(self, status: int, usage: resource.struct_rusage) -> None:
        self.status = status
        self._cpu_seconds = usage.ru_utime + usage.ru_stime
        if self._has_own_peak:
            self._peak = max(self._peak, usage.ru_maxrss * 1024)

    def is_gone(self) -> bool:
        """Ends what the dead child left behind; True when no process of its group is alive."""
        processes.kill_group(self.pid)
        return not processes.is_group_alive(self.pid)

    def is_renewing(self) -> bool:
        """Of a dead child that is drained: begins to tell its saves again; True until that is done."""
        if self._tasks:
            self.renewal = renewals.begin(self._tasks, self.talk, self._selector)
            self._tasks = []
        return self.renewal is not None and not self.renewal.is_over

    def drain(self) -> None:
        """Forwards all that the dead child had written, then closes its channels."""
        if self._is_closed:
            return
        self._pause()
        for read in (self._read_packet, self._read_log):
            with contextlib.suppress(BlockingIOError):
                while read():
                    continue
        self._is_closed = True
        os.close(self.channels.log)
        self.channels.packets.close()

    def report_exit(self, *, is_hung: bool = False) -> None:
        """The last message of the step."""
        status = self.status or 0
        self.talk.send(
            wire.ChildExited(
                at=time.time(),
                exit_code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
                signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
                peak_memory_bytes=self._peak,
                cpu_seconds=self._step_cpu_seconds,
                memory_limit_bytes=self._over_limit,
                is_hung=is_hung,
                is_unheld=self.is_unheld,
                is_stuck=self.is_stuck,
            )
        )
        self.talk.end()

    @property
    def died_at_birth(self) -> bool:
        """Whether it crashed before its first event, unasked: a sign that the project cannot be forked."""
        crashes = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL)
        is_crash = self.status is not None and os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) in crashes
        return is_crash and self._is_silent and not self.is_stopped
