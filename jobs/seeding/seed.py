"""A believable history in bulk, to try the console with, to measure it and to draw it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Final

from django.db import transaction

from jobs.errors import ProjectError, RequestError
from jobs.library.shelve import shelve_missed
from jobs.models import Act, Run, Worker
from jobs.models.act import record
from jobs.seeding.bulk import first_free, go_on_after, in_a_hurry
from jobs.seeding.habits import habits
from jobs.seeding.history import History
from jobs.seeding.imagine import WORKERS, Imagination, moments

MOST_RUNS: Final = 10_000_000
MOST_DAYS: Final = 3_650
AT_ONCE: Final = 4_000
FRESH: Final = 2_000
"""How many of the newest runs have logs, events and files; retention has taken those of the others."""
SEEDED: Final = "seeded"
BEFORE_NOW: Final = timedelta(minutes=10)
"""The newest run has ended by now, however long it took."""

Say = Callable[[str], None]


def seed(runs: int, *, days: float, at: datetime, number: int, say: Say) -> datetime:
    """Write so many ended runs that began within these days; when the first one did.

    They follow what is there, as runs are numbered in the order of their making. Nothing is started, and nobody told.
    """
    _check(runs, days)
    first = first_free(Run)
    random = Random(f"{number} from {first}")  # noqa: S311 - the same history for the same number
    known = habits(random)
    if not known:
        raise ProjectError("No pipeline is known yet: start the console once, or add a project, then seed.")
    end = at - BEFORE_NOW
    begin = max(end - timedelta(days=days), _newest() or end - timedelta(days=days))
    history, imagined = History(random), Imagination(known, random)
    with in_a_hurry():
        for made, moment in enumerate(moments(runs, begin, end, random), start=1):
            history.add(imagined.run(first + made - 1, moment), is_fresh=made > runs - FRESH)
            if made % AT_ONCE == 0 or made == runs:
                with transaction.atomic():
                    history.write()
                say(f"{made:,} of {runs:,} runs")
        with transaction.atomic():
            go_on_after(history.tables)
            shelve_missed()
            _add_workers(begin, end)
            record(SEEDED, f"{runs:,} runs", kind="run", after={"runs": runs, "days": days, "seed": number})
    return begin


def why_not(at: datetime, *, is_more: bool, is_beside: bool) -> str:
    """What speaks against it, as a sentence with the option that allows it; "" when nothing does."""
    if not is_beside and (alive := Worker.objects.alive(at).count()):
        who = "a worker is" if alive == 1 else f"{alive} workers are"
        return f"Of this console {who} alive: stop it first, or write --beside-workers."
    if not is_more and Run.objects.exists() and not Act.objects.filter(verb=SEEDED).exists():
        return "This console has runs of its own, and made-up ones would lie among them: write --more if you want that."
    return ""


def _check(runs: int, days: float) -> None:
    if not 1 <= runs <= MOST_RUNS:
        raise RequestError(f"Write a number of runs from 1 to {MOST_RUNS:,}.")
    if not 0 < days <= MOST_DAYS:
        raise RequestError(f"Write a number of days above 0, at most {MOST_DAYS:,}.")


def _newest() -> datetime | None:
    return Run.objects.order_by("-id").values_list("created_at", flat=True).first()


def _add_workers(begin: datetime, end: datetime) -> None:
    """Those that the steps name; they have said goodbye."""
    for place, name in enumerate(WORKERS):
        facts = {"host": f"seeded-{place + 1}", "pid": 100 + place, "slots": 4, "started_at": begin}
        facts |= {"queues": ["default"], "heartbeat_at": end, "stopped_at": end}
        Worker.objects.update_or_create(name=name, defaults=facts)
