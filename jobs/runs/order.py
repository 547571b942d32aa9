"""What somebody asks for when a run is to be started."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from jobs.interpreters.stores import Loans
from jobs.models import Pipeline, Run
from jobs.states import Cause
from jobs.structure.parameters import as_given
from jobs.structure.selection import Selection, selection_of
from kedro_console.wire import Group

if TYPE_CHECKING:
    from django.contrib.auth.models import User

WHOLE: Final = Selection()


@dataclass(frozen=True)
class Reuse:
    """What a run that goes on where another ended finds done, and how it reads it."""

    nodes: frozenset[str] = frozenset()
    load_versions: Mapping[str, str] = field(default_factory=dict)
    loans: Loans = field(default_factory=dict)
    is_resumable: bool | None = None
    """Whether its own datasets are kept on disk; None: as its pipeline and its runner have it."""


@dataclass(frozen=True)
class Order:
    """One run that is to be: of which pipeline, why, on whose word, and with what."""

    pipeline: Pipeline
    cause: Cause
    by: User | None = None
    by_name: str = ""
    cause_detail: str = ""
    parameters: Group = field(default_factory=dict)
    selection: Selection = WHOLE
    runner: str = ""
    """Empty: the pipeline's own."""
    everything: bool = False
    """Also what would be reused, as nothing that it follows from has changed."""
    reuse: Reuse = field(default_factory=Reuse)
    tags: Sequence[str] = ()
    idempotency_key: str | None = None
    """Of two orders with the same key the second one gets the run of the first."""
    due_at: datetime | None = None
    priority: int | None = None
    """Of its steps; None: the pipeline's own."""
    retry_of: Run | None = None
    is_resumption: bool = False
    """It goes on where that run stopped."""
    caused_by: Run | None = None
    is_side_job: bool = False
    overlap: str = ""
    """What it does while another run of the pipeline is going; empty: as the pipeline has it."""
    with_run: Callable[[Run], None] | None = None
    """What is to be written together with the run; when it raises, nothing of either is."""
    uuid: UUID = field(default_factory=uuid4)
    """The run's, unless an order with the same key came before."""

    @property
    def requested_by_name(self) -> str:
        return self.by_name or (self.by.get_username() if self.by else "")


def again(run: Run, detail: str, *, by: User | None, by_name: str) -> Order:
    """To do what this run was asked to do once more, with the same parameters, choices, runner and tags."""
    return Order(
        run.pipeline,
        Cause.RETRY,
        by=by,
        by_name=by_name,
        cause_detail=detail,
        parameters=as_given(run.parameters),
        selection=selection_of(run),
        runner=run.runner,
        tags=run.tags,
        retry_of=run,
    )
