"""What belongs to a run: how much there is of it, or whether there is any, asked for together with the run."""

from __future__ import annotations

from dataclasses import dataclass, fields

from django.db.models import Count, Exists, IntegerField, QuerySet, Subquery
from django.db.models.functions import Coalesce

from jobs.models import Arrival, Artifact, Firing, Grant, RequestRecord, Run, Step, Taking, UnkeptFile


@dataclass(frozen=True)
class Belongings:
    """Of one run, as its rows were when it was asked for."""

    artifacts: int
    open_requests: int
    has_takings: bool
    has_unkept: bool
    has_unsent: bool
    """Files of it are not in the store yet."""
    has_firings: bool
    has_arrivals: bool
    has_retries: bool
    has_requests: bool
    has_grants: bool
    """It waits for the turn of a quota."""
    waiting_priority: int | None
    """Of the first of its steps that waits; None when none does."""

    @classmethod
    def of(cls, run: Run) -> Belongings:
        """Without a question where the run came from `with_belongings`."""
        known = vars(run)
        names = [field.name for field in fields(cls)]
        if not all(f"_{name}" in known for name in names):
            known = vars(with_belongings(Run.objects.only("pk"), run.pk).get())
        return cls(**{name: known[f"_{name}"] for name in names})


def with_belongings(runs: QuerySet[Run], number: int) -> QuerySet[Run]:
    """This run with what `Belongings.of` says of it; every part is found by an index."""
    return runs.filter(pk=number).annotate(
        _artifacts=_count(Artifact.objects.filter(run=number)),
        _open_requests=_count(RequestRecord.objects.open().filter(run=number)),
        _has_takings=Exists(Taking.objects.filter(run=number)),
        _has_unkept=Exists(UnkeptFile.objects.filter(run=number)),
        _has_unsent=Exists(Run(pk=number).unsent),
        _has_firings=Exists(Firing.objects.filter(ended=number)),
        _has_arrivals=Exists(Arrival.objects.filter(run=number, firing=None)),
        _has_retries=Exists(Run.objects.filter(retry_of=number)),
        _has_requests=Exists(RequestRecord.objects.filter(run=number)),
        _has_grants=Exists(Grant.objects.waiting().filter(run=number)),
        _waiting_priority=Subquery(Step.objects.filter(run=number).waiting_priorities()[:1]),
    )


def _count(rows: QuerySet[Artifact] | QuerySet[RequestRecord]) -> Coalesce:
    counted = rows.order_by().values("run").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
