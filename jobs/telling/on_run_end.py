"""What the end of a run is news of: written in the transaction that ends it, and never in its way."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

from django.db import transaction
from django.urls import reverse

from jobs.insight.durations import usual
from jobs.models import Artifact, Pipeline, Run, Subscription
from jobs.models.subscription import wanting
from jobs.reconnect import AWAY
from jobs.states import NewsKind, Status
from jobs.steps.on_end import Follower
from jobs.structure.spoken import brief
from jobs.telling.far_less import far_less
from jobs.telling.tell import Tidings, begin, count_on, hand_out, is_over

logger = logging.getLogger(__name__)

BAD: Final = frozenset({Status.FAILED, Status.CRASHED})
FEWEST: Final = 5
"""How many successes make a duration usual."""
MARGIN: Final = 1.25
"""A run is slow that takes longer than the 95th percentile, and so much longer than the median."""
MOST_FILES: Final = 1_000
NAMED: Final = 3


def run_ended(run: Run, at: datetime) -> None:
    """Write the news of this end for whoever listens; what goes wrong with that is told in the log alone."""
    if run.status == Status.CANCELLED:
        return
    listeners = list(Subscription.objects.about(run.pipeline))
    if not listeners:
        return
    try:
        with transaction.atomic():
            _tell(run, listeners, at)
    except AWAY:
        raise  # the database is away: the end itself is not written either, and all of it is tried again
    except Exception:
        logger.exception("The news of %s could not be written.", run)


FOLLOWER: Final = Follower(
    lock=lambda pipeline_id: None,
    run_ended=run_ended,
    is_awaited=lambda pipeline_id, nodes: False,
    nodes_ended=lambda run, nodes, results, at: None,
)


def _tell(run: Run, listeners: list[Subscription], at: datetime) -> None:
    wanted = {kind for each in listeners for kind in each.kinds}
    if wanted & {NewsKind.FAILING, NewsKind.STILL_FAILING, NewsKind.RECOVERED}:
        (_failed if run.status in BAD else _recovered)(run, listeners, at)
    if run.status != Status.SUCCEEDED:
        return
    if NewsKind.SLOW in wanted:
        _slow(run, wanting(NewsKind.SLOW, listeners), at)
    if NewsKind.LITTLE in wanted:
        _little(run, wanting(NewsKind.LITTLE, listeners), at)
    if NewsKind.FILE in wanted:
        _files(run, wanting(NewsKind.FILE, listeners), at)


def failing_key(pipeline_id: int) -> str:
    return f"failing:{pipeline_id}"


def _failed(run: Run, listeners: list[Subscription], at: datetime) -> None:
    """The first of a row of failures is news; each further one is counted, and every nth is news to who wants it."""
    title = f"{run.pipeline} {'crashed' if run.status == Status.CRASHED else 'failed'}: run #{run.pk}"
    facts = {"error": run.error[:2_000]}
    tidings = Tidings(NewsKind.FAILING, failing_key(run.pipeline_id), title, run.pipeline, run, facts=facts)
    news, is_new = begin(tidings, at)
    if not is_new:
        count_on(news, run, at)
    hand_out(news, wanting(NewsKind.FAILING, listeners), at)
    nth = [each for each in wanting(NewsKind.STILL_FAILING, listeners) if news.times % each.every == 0]
    if nth:
        again = Tidings(
            NewsKind.STILL_FAILING,
            f"still-failing:{news.pk}:{news.times}",
            f"{run.pipeline} has failed {news.times:,} times in a row, lastly in run #{run.pk}",
            run.pipeline,
            run,
            facts={**facts, "times": news.times},
        )
        hand_out(begin(again, at)[0], nth, at)


def _recovered(run: Run, listeners: list[Subscription], at: datetime) -> None:
    over = is_over(failing_key(run.pipeline_id), at)
    if over is None:
        return
    times = f"{over.times:,} failures" if over.times > 1 else "a failure"
    title = f"{run.pipeline} succeeds again, after {times}: run #{run.pk}"
    facts = {"times": over.times}
    news, _ = begin(Tidings(NewsKind.RECOVERED, f"recovered:{over.pk}", title, run.pipeline, run, facts=facts), at)
    hand_out(news, wanting(NewsKind.RECOVERED, listeners), at)


def slow_key(pipeline_id: int) -> str:
    return f"slow:{pipeline_id}"


def too_slow(run: Run, seconds: float) -> str:
    """How long it takes beside what is usual, as a clause; "" while that is usual."""
    known = usual(run.pipeline_id, before=run.pk)
    if known is None or known.count < FEWEST or seconds <= max(known.p95, MARGIN * known.median):
        return ""
    return f"{brief(seconds)} instead of about {brief(known.median)}"


def _slow(run: Run, listeners: list[Subscription], at: datetime) -> None:
    clause = too_slow(run, run.duration.total_seconds() if run.duration else 0)
    if clause:
        tell_slow(run, clause, listeners, at)
    else:
        is_over(slow_key(run.pipeline_id), at)


def tell_slow(run: Run, clause: str, listeners: list[Subscription], at: datetime) -> bool:
    """Whether that is new: one slow run after another is the same news."""
    verb = "took" if run.is_final else "has been running for"
    title = f"{run.pipeline} is slower than usual: run #{run.pk} {verb} {clause}"
    news, is_new = begin(Tidings(NewsKind.SLOW, slow_key(run.pipeline_id), title, run.pipeline, run), at)
    hand_out(news, listeners, at)
    return is_new


def _little(run: Run, listeners: list[Subscription], at: datetime) -> None:
    key = f"little:{run.pipeline_id}"
    found = far_less(run)
    if not found:
        is_over(key, at)
        return
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    title = f"{run.pipeline} left far less than usual in run #{run.pk}: {', '.join(found[:NAMED])}{more}"
    news, _ = begin(Tidings(NewsKind.LITTLE, key, title, run.pipeline, run, facts={"less": found[:50]}), at)
    hand_out(news, listeners, at)


def _files(run: Run, listeners: list[Subscription], at: datetime) -> None:
    """One piece of news for each name that is asked for, however many files bear it."""
    there = list(run.artifacts.order_by("pk")[:MOST_FILES])
    for pattern in sorted({each.file_name for each in listeners if each.file_name}):
        found = [artifact for artifact in there if fnmatchcase(artifact.name, pattern)]
        if found:
            news, _ = begin(_new_file(run, pattern, found), at)
            hand_out(news, [each for each in listeners if each.file_name == pattern], at)


def _new_file(run: Run, pattern: str, found: list[Artifact]) -> Tidings:
    names = ", ".join(artifact.name for artifact in found[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return Tidings(
        NewsKind.FILE,
        f"file:{run.pk}:{pattern}"[:300],
        f"{names}{more} from {run.pipeline}: run #{run.pk}",
        run.pipeline,
        run,
        path=reverse("artifact", args=[found[0].uuid]),
        facts={"files": [artifact.name for artifact in found[:50]]},
    )


def in_scope(pipeline: Pipeline, subscriptions: Iterable[Subscription]) -> list[Subscription]:
    return [each for each in subscriptions if each.concerns(pipeline)]
