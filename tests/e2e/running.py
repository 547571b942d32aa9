"""What end-to-end tests do with a run: start one, wait for its end, read what it left."""

from __future__ import annotations

from typing import Any

from jobs import clock
from jobs.models import LogChunk, Pipeline, Project, Run
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.runs.resume import resume
from jobs.states import Cause
from tests import live


def start(project: Project, name: str, *, settings: dict[str, Any] | None = None, **parameters: Any) -> Run:
    Pipeline.objects.filter(project=project, name=name).update(**(settings or {}))
    pipeline = Pipeline.objects.select_related("project").get(project=project, name=name)
    return launch(Order(pipeline, Cause.MANUAL, by_name="olga", parameters=parameters), at=clock.now())


def ended(run: Run, seconds: float = 90) -> Run:
    def look() -> bool:
        run.refresh_from_db()
        return run.is_final

    live.until(look, seconds=seconds, what=f"the end of {run}")
    return run


def lines(run: Run) -> list[str]:
    return [line.text for chunk in LogChunk.objects.filter(run=run).after(0) for line in chunk.lines]


def resumed(run: Run, **parameters: Any) -> Run:
    return resume(run, at=clock.now(), by_name="olga", parameters=parameters)


def executed(run: Run) -> list[str]:
    return list(run.events.filter(kind="node_started").values_list("node", flat=True))


def statuses(run: Run) -> dict[str, str]:
    return dict(run.node_runs.values_list("name", "status"))
