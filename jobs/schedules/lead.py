"""Who decides due times, of any number of beats: one of them, until it is silent for as long as a lease lasts.

Another on the same machine does not wait for that: it sees the process that leads die.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from jobs.errors import ConsoleError
from jobs.models import Lead
from jobs.steps import pulse

LEASE_SECONDS: Final = 3.0
RENEW_SECONDS: Final = 0.8


class LeadLost(ConsoleError):
    """Another beat leads by now; whatever this one still wanted to decide is refused."""


class Leader:
    """One beat's part in it. It measures by a clock that nobody sets: what the hour is does not matter."""

    def __init__(self, holder: str, now: Callable[[], float] = time.monotonic) -> None:
        self.holder, self._now = holder, now
        self._mark = pulse.mark()
        self.lead: Lead | None = None
        """Its row as it was taken; None while another leads."""
        self.last_turn_at: datetime | None = None
        """When somebody last decided, before this beat took over, or this one itself."""
        self._renewed = 0.0
        self._seen: tuple[int, int] | None = None
        self._seen_since = 0.0

    def turn(self, at: datetime) -> bool:
        """Go on leading, or take over from one that is silent; whether it leads now."""
        if self.lead is None:
            self._look(at)
        elif self._now() - self._renewed >= RENEW_SECONDS:
            self.renew(at)
        return self.lead is not None

    def insist(self, at: datetime) -> int:
        """The token under which this beat decides, within the transaction that writes what it decides.

        LeadLost when another leads: nothing of that transaction may stay.
        """
        if self.lead is None or not self.renew(at):
            raise LeadLost("Another beat decides by now.")
        return self.lead.token

    def renew(self, at: datetime) -> bool:
        """Whether it still leads; as long as its row is locked nobody takes over."""
        if self.lead is None or not self.lead.renew(at):
            self.lead = None
            return False
        self._renewed, self.last_turn_at = self._now(), at
        return True

    def give_back(self) -> None:
        if self.lead:
            self.lead.give_back()
        self.lead = None

    def _look(self, at: datetime) -> None:
        row = Lead.objects.ticks()
        turns = row.token, row.turns
        if turns != self._seen:
            self._seen, self._seen_since = turns, self._now()
        is_silent = self._now() - self._seen_since >= LEASE_SECONDS
        if row.holder and not is_silent and not pulse.is_dead(row.process):
            return
        last = row.renewed_at
        if row.take(self.holder, at, process=self._mark):
            self.lead, self._renewed, self.last_turn_at = row, self._now(), last
