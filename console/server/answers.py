"""How an answer leaves: what its reader has not taken yet waits without a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.task import WSGITask

MOST_WAITING: Final = 256 * 1024
"""How many bytes may wait for a slow reader before making the rest is put off."""

TASK: Final = "console.task"
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Way(Protocol):
    """The connection that an answer takes."""

    total_outbufs_len: int


class Paused(BaseException):
    """No error: the reader of this answer is behind, so its thread has something better to do."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


class Rest:
    """The parts that are still to be made; each round of iteration ends early when the reader is behind."""

    def __init__(self, parts: Iterable[bytes], way: Way) -> None:
        self._parts = parts
        self._left = iter(parts)
        self._way = way
        self.is_paused = False

    def __iter__(self) -> Iterator[bytes]:
        self.is_paused = False
        for part in self._left:
            yield part
            if self._way.total_outbufs_len > MOST_WAITING:
                self.is_paused = True
                return

    def close(self) -> None:
        if not self.is_paused and hasattr(self._parts, "close"):
            self._parts.close()

    def give_up(self) -> None:
        self.is_paused = False
        self.close()


class Answer(WSGITask):
    """One answer, made in as many rounds as its reader needs."""

    rest: Rest | None = None

    def get_environment(self) -> dict[str, Any]:
        environment: dict[str, Any] = super().get_environment()
        environment[TASK] = self
        return environment

    def service(self) -> None:
        """As much of it as its reader can take; Paused when there is more."""
        try:
            if self.rest is None:
                self.start()
                self.execute()
            else:
                self._go_on(self.rest)
            if self._is_paused:
                raise Paused(self)
            self.finish()
        except OSError:
            self.close_on_finish = True

    def set_close_on_finish(self) -> None:
        """Fewer bytes than announced are no reason to hang up while the rest is only put off."""
        if not self._is_paused:
            super().set_close_on_finish()

    @property
    def _is_paused(self) -> bool:
        return self.rest is not None and self.rest.is_paused

    def _go_on(self, rest: Rest) -> None:
        try:
            for part in rest:
                if part:
                    self.write(part)
        except BaseException:
            rest.give_up()
            raise
        rest.close()
        if not rest.is_paused and self.content_length not in (None, self.content_bytes_written):
            self.set_close_on_finish()


def in_rounds(application: Application) -> Application:
    """The application, whose answers can be paused; HEAD gets no body, whatever the application made."""

    def answer(environment: dict[str, Any], start: Any) -> Iterable[bytes]:
        parts = application(environment, start)
        if environment["REQUEST_METHOD"] == "HEAD":
            if hasattr(parts, "close"):
                parts.close()
            return []
        if not (isinstance(parts, ReadOnlyFileBasedBuffer) and _lies_here(parts.file)):
            task: Answer = environment[TASK]
            parts = task.rest = Rest(parts, task.channel)
        return parts

    return answer


def _lies_here(file: Any) -> bool:
    """Whether reading it never waits: the one thread that sends all answers reads it."""
    try:
        return isinstance(file.fileno(), int)
    except (AttributeError, OSError, ValueError):
        return False
