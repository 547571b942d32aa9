"""The leases that this process holds: what keeps a supervisor the only one that may write about its step.

The host hears of each renewal. This process may sleep (stopped, or with a database that does not answer) past the end
of a lease, and another worker starts the step then: the host has ended the child by that moment.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from jobs.models import Run, Step
from jobs.states import Status
from kedro_console import wire

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=settings.CONSOLE_LEASE_SECONDS)
"""A worker that is silent for longer has lost its steps."""


@dataclass
class Hold:
    """One lease; the supervisor waits on `wake` and looks at the flags."""

    step_id: int
    run_id: int
    token: uuid.UUID
    is_lost: bool = False
    is_stop_asked: bool = False
    is_force_asked: bool = False
    is_handed_back: bool = False
    renewed: float = field(default_factory=time.monotonic)
    _pair: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)
    _host: socket.socket | None = None
    _speaking: threading.Lock = field(default_factory=threading.Lock)

    @property
    def wake(self) -> socket.socket:
        return self._pair[0]

    @property
    def until(self) -> float:
        """When the lease ends, in seconds of the monotonic clock."""
        return self.renewed + LEASE.total_seconds()

    @contextmanager
    def shared_with(self, host: socket.socket) -> Iterator[None]:
        """Meanwhile this host hears of every renewal; it was told of the lease in the request."""
        with self._speaking:
            self._host = host
        self.tell_host()
        try:
            yield
        finally:
            with self._speaking:
                self._host = None

    def tell_host(self) -> None:
        """Without waiting: a host that does not read its messages will end the child."""
        message = wire.frame(wire.JSON_FRAME, wire.LeaseRenewed(self.until).to_json())
        with self._speaking, suppress(OSError):
            if self._host:
                self._host.send(message, socket.MSG_DONTWAIT)

    def poke(self) -> None:
        self._pair[1].send(b"!")

    def close(self) -> None:
        for end in self._pair:
            end.close()


class Leases:
    """All holds of this process; renewed by its heartbeat."""

    def __init__(self) -> None:
        self._holds: dict[uuid.UUID, Hold] = {}
        self._lock = threading.Lock()
        self.is_taking = True
        """Whether this worker takes steps; a child goes on with no other one when it does not."""
        self.slots = 0
        """How many steps it may run at once; 0 before its consumer has said so."""
        self._is_ending = False

    @contextmanager
    def hold(self, step: Step, token: uuid.UUID, *, since: float) -> Iterator[Hold]:
        """Keep this lease until the end of the block; `since` (monotonic) is when it was asked for."""
        hold = Hold(step.pk, step.run_id, token, renewed=since)
        with self._lock:
            self._holds[token] = hold
            hold.is_handed_back = self._is_ending
        try:
            yield hold
        finally:
            with self._lock:
                del self._holds[token]
                hold.close()

    def __len__(self) -> int:
        return len(self._holds)

    @property
    def may_go_on(self) -> bool:
        """Whether a step that ends here may be followed by another one in its place."""
        return self.is_taking and not (self.slots and len(self) > self.slots)

    def _each(self) -> list[Hold]:
        with self._lock:
            return list(self._holds.values())

    def _tell(self, hold: Hold, *facts: str) -> None:
        """Set these flags, and wake its supervisor if one of them is news."""
        with self._lock:
            news = [fact for fact in facts if not getattr(hold, fact)]
            if hold.token in self._holds and news:
                vars(hold).update(dict.fromkeys(news, True))
                hold.poke()

    def renew(self, at: datetime) -> None:
        """Renew every lease; a hold whose row now belongs to another is marked as lost."""
        holds = self._each()
        if not holds:
            return
        tokens = [hold.token for hold in holds]
        asked = time.monotonic()
        Step.objects.renew(tokens, at + LEASE)
        ours = set(
            Step.objects.filter(status=Status.RUNNING, lease_token__in=tokens).values_list("lease_token", flat=True)
        )
        for hold in holds:
            if hold.token in ours:
                hold.renewed = asked
                hold.tell_host()
            else:
                self._tell(hold, "is_lost")

    def fence(self) -> None:
        """Without the database for longer than a lease nobody can know whose the steps are: give all up."""
        for hold in self._each():
            if time.monotonic() > hold.until:
                logger.error("Step %s could not be renewed for %s: its process is ended.", hold.step_id, LEASE)
                self._tell(hold, "is_lost")

    def look_for_stops(self) -> None:
        """Tell the supervisors of runs that somebody asked to stop."""
        holds = self._each()
        if holds:
            runs = Run.objects.wanting_to_stop().filter(pk__in={hold.run_id for hold in holds})
            wanted = dict(runs.values_list("pk", "force_requested_at"))
            for hold in holds:
                if hold.run_id in wanted:
                    self._tell(hold, "is_stop_asked", *(["is_force_asked"] if wanted[hold.run_id] else []))

    def hand_back(self) -> None:
        """The worker ends: every supervisor ends its child and queues its step again."""
        with self._lock:
            self._is_ending = True
        for hold in self._each():
            self._tell(hold, "is_handed_back")


LEASES: Final = Leases()
