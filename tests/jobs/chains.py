"""Rules and runs of a small world: pipelines a, b, c, d of one project."""

from __future__ import annotations

from typing import Any

from jobs.models import Firing, Pipeline, Rule, Run, Snapshot
from jobs.rules.edit import save_rule
from jobs.states import Cause, Status
from jobs.steps.advance import Outcome, finish
from tests.factories import AT, content, make_project, make_run
from tests.jobs.at_work import running

ROWS = {"zip_file": {"type": "pandas.CSVDataset", "rows": 40}}


def pipelines(names: str = "abcd", **facts: Any) -> list[Pipeline]:
    project = make_project()
    picture = content()
    report = picture["pipelines"][0]
    picture["pipelines"] = [{**report, "name": name} for name in names]
    Snapshot.objects.create(project=project, revision="files-1", content=picture, taken_at=AT)
    return [Pipeline.objects.create(project=project, name=name, **facts) for name in names]


def make_rule(sources: list[Pipeline], target: Pipeline, *, name: str = "", **facts: Any) -> Rule:
    rule = Rule(name=name or f"to {target.name}", target=target, **facts)
    save_rule(rule, sources, at=AT)
    return rule


def end(run: Run, status: Status = Status.SUCCEEDED, at: Any = AT, **facts: Any) -> Run:
    """The run as its worker ends it."""
    step = running(run)
    finish(step, Outcome(status, **facts), token=step.lease_token, at=at, by="w1")
    return Run.objects.get(pk=run.pk)


def ended(pipeline: Pipeline, status: Status = Status.SUCCEEDED, *, results: Any = None, **facts: Any) -> Run:
    error = "" if status == Status.SUCCEEDED else "It did not work."
    return end(make_run(pipeline, **facts), status, results=results or {}, error=error)


def followers(pipeline: Pipeline) -> list[Run]:
    return list(Run.objects.filter(pipeline=pipeline, cause=Cause.RULE).order_by("pk"))


def decisions(rule: Rule | None = None) -> list[tuple[str, str]]:
    rows = Firing.objects.filter(rule=rule) if rule else Firing.objects.all()
    return list(rows.order_by("pk").values_list("decision", "sentence"))
