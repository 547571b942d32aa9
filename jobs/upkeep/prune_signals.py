"""Forget old rows of what goes on between runs: requests, grants, done items, firings that started nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from jobs.batches.parked import prune_items
from jobs.models import Firing
from jobs.quotas.quotas import prune_grants
from jobs.requests import prune_requests
from jobs.states import Decision

KEPT_FOR: Final = timedelta(days=90)
MOST: Final = 5_000
"""How many at once: pruning is no long transaction."""


def prune_signals(at: datetime) -> int:
    """A part of what is due, the rest the next time; how many rows went."""
    return prune_requests(at) + prune_grants(at) + prune_items(at) + prune_firings(at)


def prune_firings(at: datetime) -> int:
    """Those that started a run stay as long as it; the runs of the others ended long ago and arrive no more."""
    old = Firing.objects.filter(at__lt=at - KEPT_FOR).exclude(decision__in=[Decision.STARTED, Decision.DECIDING])
    keys = list(old.order_by("pk").values_list("pk", flat=True)[:MOST])
    Firing.objects.filter(pk__in=keys).delete()
    return len(keys)
