"""Run again what depends on a request that was replayed: its node with the answer at hand, and all below it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.db import transaction

from jobs import clock
from jobs.errors import IllegalMove, RequestError
from jobs.interpreters.artifacts import open_kept
from jobs.models import Resend, Run, Step
from jobs.runs.launch import launch, nodes_of, snapshot_of
from jobs.runs.order import again
from jobs.runs.reread import reread
from jobs.runs.spread import Part, spread
from jobs.states import ResendStatus
from jobs.structure.selection import children, reach, selection_of
from kedro_console import wire

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PART: Final = 20_000
"""Characters of an answer in one message: six bytes each at most."""
MOST: Final = 1_000


def unused(run: Run) -> list[Resend]:
    """The answers that replays of this run's requests got and no run has used yet, oldest first."""
    rows = Resend.objects.filter(record__run=run, status=ResendStatus.SUCCEEDED, followed_by=None)
    return list(rows.select_related("record").order_by("pk")[:MOST])


def preview(run: Run) -> list[Part]:
    """What would run; RequestError when there is no answer to go on with."""
    return _parts(run, _nodes_that_asked(unused(run)))


def follow_up(run: Run, *, at: datetime, by: User | None = None, by_name: str = "") -> Run:
    """A new run from the nodes whose requests were replayed; `kedro_console.replay.answers()` gives it the answers."""
    if not run.is_final:
        raise IllegalMove("run", run.status, "followed up before it has ended")
    reread(run.pipeline.project, at=at)
    answers = unused(run)
    parts = _parts(run, _nodes_that_asked(answers))
    many = f"{len(answers)} replayed request{'' if len(answers) == 1 else 's'}"
    order = again(run, f"goes on from run #{run.pk} with the answers of {many}", by=by, by_name=by_name)
    order = replace(order, selection=order.selection.of([part.node for part in parts]))
    with transaction.atomic():
        started = launch(order, at=at)
        Resend.objects.filter(pk__in=[row.pk for row in answers]).update(followed_by=started)
    return started


def _nodes_that_asked(answers: Iterable[Resend]) -> set[str]:
    return {row.record.node for row in answers if row.record.node}


def _parts(run: Run, asked: set[str]) -> list[Part]:
    selection = selection_of(run)
    snapshot = snapshot_of(run.pipeline, selection.env, at=clock.now())
    nodes = nodes_of(run.pipeline, snapshot, selection)
    start = asked & {node.name for node in nodes}
    if not start:
        raise RequestError("No request of this run was replayed successfully, or its answer has already been used.")
    reasons = dict.fromkeys(reach(start, children(nodes)), "Reads what the nodes before it make.")
    reasons |= dict.fromkeys(start, "Made the request that was replayed.")
    kept = snapshot.picture.persisted
    reasons = spread(
        nodes, reasons, lambda dataset: "" if dataset in kept else f"Makes {dataset}, which is kept nowhere."
    )
    return [Part(node.name, reasons[node.name]) for node in nodes if node.name in reasons]


def replay_answer(step: Step, question: wire.ReadAnswer) -> wire.AnswerPart | None:
    """For a node of a follow-up: a part of the answer at this place; None when there is none."""
    place, start = question.place, question.start
    row = (
        Resend.objects.filter(followed_by=step.run_id)
        .select_related("record")
        .order_by("pk")[place : place + 1]
        .first()
    )
    if row is None:
        return None
    text = _text(row)
    following = start + PART if start + PART < len(text) else None
    return wire.AnswerPart(row.record.method, row.record.url, row.status_code, text[start : start + PART], following)


def _text(row: Resend) -> str:
    if not row.sha256:
        return row.response
    with open_kept(row.sha256, row.file_name) as file:
        content: bytes = file.read()
    return content.decode("utf-8", "replace")
