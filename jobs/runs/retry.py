"""Run again: a new run that names the one it repeats."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from jobs.errors import IllegalMove
from jobs.models import Run
from jobs.runs.launch import launch
from jobs.runs.order import again

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def retry(run: Run, *, at: datetime, by: User | None = None, by_name: str = "") -> Run:
    """A new run with the same pipeline, parameters, nodes and runner; IllegalMove while the old one is under way."""
    if not run.is_final:
        raise IllegalMove("run", run.status, "another attempt before it has ended")
    return launch(again(run, f"again after run #{run.pk}", by=by, by_name=by_name), at=at)
