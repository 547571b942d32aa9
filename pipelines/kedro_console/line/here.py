"""Where a node runs, and the line on which it asks: the console answers from its rows (`kedro_console.here`)."""

from __future__ import annotations

import itertools
import os
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any, TypeVar

from kedro_console import wire
from kedro_console.line.report import Reporter
from kedro_console.words import logs

R = TypeVar("R")


class AskError(Exception):
    """The console's answer is no; its text says why and what to do."""


class _Line:
    """The questions of one child, and who waits for which answer."""

    def __init__(self, run_id: str, reporter: Reporter) -> None:
        self.run_id, self.reporter, self.pid = run_id, reporter, os.getpid()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[wire.Answered]] = {}
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None
        self._is_read_by_caller = False
        self._steps: queue.SimpleQueue[wire.StepStarted | None] = queue.SimpleQueue()

    def ask(self, what: str, data: dict[str, Any]) -> Any:
        if os.getpid() != self.pid:
            raise AskError("Only the process of the node itself may ask the console: ask before starting another one.")
        number, answers = next(self._numbers), queue.SimpleQueue[wire.Answered]()
        with self._lock:
            self._waiting[number] = answers
            self._listen()
        self.reporter.send(wire.Asked(time.time(), number, what, logs.current.name(), data))
        answer = answers.get()
        if answer.error:
            raise AskError(answer.error)
        return answer.data

    def next_step(self) -> wire.StepStarted | None:
        """Waits for the next step; None when the host says that nothing follows, or is gone.

        The thread that reads answers hands it on. While there is none, the caller reads, and hands on late answers.
        """
        with self._lock:
            self._is_read_by_caller = self._reader is None
        if not self._is_read_by_caller:
            return self._steps.get()
        step = next(self._steps_heard(), None)
        with self._lock:
            self._is_read_by_caller = False
            if self._waiting:
                self._listen()
        return step

    def _listen(self) -> None:
        if self._reader is None and not self._is_read_by_caller:
            self._reader = threading.Thread(target=self._read, name="answers", daemon=True)
            self._reader.start()

    def _read(self) -> None:
        for step in self._steps_heard():
            self._steps.put(step)
        self._steps.put(None)

    def _steps_heard(self) -> Iterator[wire.StepStarted | None]:
        """Steps, and None for the word that none follows; answers are handed to who waits for them."""
        for message in self.reporter.heard():
            if isinstance(message, wire.Answered):
                with self._lock:
                    waiting = self._waiting.pop(message.number, None)
                if waiting is not None:
                    waiting.put(message)
            elif isinstance(message, wire.StepStarted):
                yield message
            elif isinstance(message, wire.LeaveAsked):
                yield None


_line: _Line | None = None


def enter(run_id: str, reporter: Reporter) -> None:
    """From now on this process runs a step of that run, and this is how it speaks."""
    global _line
    _line = _Line(run_id, reporter)


def next_step() -> wire.StepStarted | None:
    """The step that follows in this process, as soon as it is known; None when it may end."""
    return _line.next_step() if _line else None


def is_supervised() -> bool:
    """Whether the console runs this; False under plain `kedro run`."""
    return _line is not None


def run_id() -> str:
    """The run's id (a uuid, as the job API shows it); "" under plain `kedro run`."""
    return _line.run_id if _line else ""


def node() -> str:
    """The name of the node that this thread works for; "" when it is none."""
    return logs.current.name()


def ask(what: str, **data: Any) -> Any:
    """The console's answer, a JSON value; AskError with its sentence, or when nobody is there to answer."""
    if _line is None:
        raise AskError("Nobody answers: this runs without the console.")
    return _line.ask(what, data)


def reply_to(question: wire.Question[R]) -> R:
    """The console's reply to one of the questions that both sides know; AskError as for `ask`."""
    return question.reply(ask(question.what, **question.to_data()))


def report(event: wire.Event) -> None:
    """Send an event of this step to the console; nothing happens without one."""
    if _line is not None and os.getpid() == _line.pid:
        _line.reporter.send(event)
