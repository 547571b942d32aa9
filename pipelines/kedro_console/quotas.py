"""Keep the limits of an outside API from inside a node: ask for a grant before each request.

    from kedro_console import quotas

    with quotas.grant("chat") as held:
        response = session.get(url)
        held.settle(response.status_code, retry_after_seconds=response.headers.get("Retry-After"))

`grant` waits until the quota lets this request through; the console counts for all workers together. As a plain call
it does the same, and the grant counts as settled when this thread asks for its next one of that quota. Any number of
threads may ask. Under plain `kedro run` nothing limits, unless `local` names a limit for this process.
"""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType

from kedro_console import wire
from kedro_console.line import here
from kedro_console.traffic import limits
from kedro_console.wire import seconds_asked

logger = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 10.0
"""Somebody may open a quota before the time that was told."""


class Grant:
    """Leave to make a request now; settled when its answer has come, or at the end of the `with` block."""

    def __init__(self, quota: str) -> None:
        self.quota = quota
        self._is_settled = False

    def settle(self, status: int | None = None, retry_after_seconds: float | str | None = None) -> None:
        """The answer has come, with this HTTP status; after a 429 the quota closes for everybody until Retry-After.

        `retry_after_seconds` may be the header as it is: seconds, or a date. Settling twice changes nothing.
        """
        if not self._is_settled:
            self._is_settled = True
            self._settle(status, seconds_of(retry_after_seconds))

    def _settle(self, status: int | None, retry_after_seconds: float | None) -> None:
        """Nothing counts a grant without a limit."""

    def __enter__(self) -> Grant:
        if _mine.grants.get(self.quota) is self:
            del _mine.grants[self.quota]  # the block settles it, whatever is asked for inside
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle()


class _AskedGrant(Grant):
    def __init__(self, quota: str, number: int) -> None:
        super().__init__(quota)
        self.number = number

    def _settle(self, status: int | None, retry_after_seconds: float | None) -> None:
        try:
            here.reply_to(wire.SettleGrant(self.number, status, retry_after_seconds, time.monotonic()))
        except here.AskError as error:
            logger.warning("A grant of the quota %s is settled at the end of the step: %s", self.quota, error)


class _Mine(threading.local):
    """The newest grant of each quota in this thread."""

    def __init__(self) -> None:
        self.grants: dict[str, Grant] = {}


_mine = _Mine()


def grant(quota: str, requests: int = 1, rows: int = 0) -> Grant:
    """Wait until the quota has room for so many requests and rows, and take it.

    Raises `here.AskError` with a sentence for an unknown quota, or for more at once than it ever allows.
    """
    if before := _mine.grants.pop(quota, None):
        before.settle()
    taken = _ask(quota, requests, rows) if here.is_supervised() else _take_alone(quota, requests, rows)
    _mine.grants[quota] = taken
    return taken


def _ask(quota: str, requests: int, rows: int) -> Grant:
    place: int | None = None
    told = ""
    while True:
        reply = here.reply_to(wire.TakeGrant(quota, requests, rows, place, here.node()))
        if isinstance(reply, wire.Granted):
            return _AskedGrant(quota, reply.grant)
        place = reply.place
        if reply.reason != told:
            told = reply.reason
            logger.info("%s", _sentence(reply))
        time.sleep(min(max(reply.seconds, 0.001), LOOK_AGAIN_SECONDS))


def _sentence(reply: wire.InLine) -> str:
    if not reply.is_known:
        return f"{reply.reason} This waits until it is opened."
    due = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(reply.at))
    return f"{reply.reason} This waits until {due} UTC."


def seconds_of(retry_after: float | str | None) -> float | None:
    """A Retry-After header in seconds; None when there is none that can be read."""
    return seconds_asked(retry_after, time.time()) if isinstance(retry_after, str) else retry_after


def local(quota: str, *, requests: int = 0, rows: int = 0, seconds: float) -> None:
    """Limit this process under plain `kedro run`: so many requests (rows) in any so many seconds, 0 means no limit.

    Several windows are several calls; the console knows its own limits and ignores these.
    """
    limits.of(quota).add(requests, rows, seconds)


class _LocalGrant(Grant):
    def __init__(self, quota: str, use: limits.Use) -> None:
        super().__init__(quota)
        self._use = use

    def _settle(self, status: int | None, retry_after_seconds: float | None) -> None:
        limits.of(self.quota).settle(self._use, retry_after_seconds if status == 429 else None)


def _take_alone(quota: str, requests: int, rows: int) -> Grant:
    if not limits.is_known(quota):
        return Grant(quota)
    use, is_told = limits.Use(requests, rows), False
    if reason := limits.of(quota).never(use):
        raise here.AskError(f"The quota {quota} never allows {reason}: ask for less.")
    while wait := limits.of(quota).take(use):
        if not is_told:
            is_told = True
            logger.info("The local quota %s is used up. This waits for %.1f s.", quota, wait)
        time.sleep(min(wait, LOOK_AGAIN_SECONDS))
    return _LocalGrant(quota, use)
