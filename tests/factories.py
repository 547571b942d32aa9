"""Rows for tests, three lines each."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User

from jobs.models import Pipeline, Project, Quota, Run, Schedule, Snapshot, Tick
from jobs.quotas.windows import parse
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.schedules.edit import Wanted, create
from jobs.schedules.rules import read_rule
from jobs.states import Cause

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def node(name: str, inputs: list[str], outputs: list[str], **facts: Any) -> dict[str, Any]:
    return {
        "name": name,
        "function": f"demo.{name}",
        "namespace": "",
        "tags": [],
        "inputs": inputs,
        "outputs": outputs,
    } | facts


def content(**changes: Any) -> dict[str, Any]:
    """A snapshot's JSON: the pipeline `report` has three nodes (fetch → process → write) and typed parameters."""
    nodes = [
        node("fetch", ["params:api_url"], ["raw_data"], tags=["io"]),
        node("process", ["raw_data", "params:options"], ["processed_data"]),
        node("write", ["processed_data"], ["zip_file"], tags=["io"]),
    ]
    report = {
        "name": "report",
        "nodes": nodes,
        "inputs": [],
        "outputs": ["zip_file"],
        "parameters": ["api_url", "options"],
    }
    options = {
        "type": "object",
        "title": "Options",
        "properties": {
            "top": {"type": "integer", "minimum": 1, "maximum": 30, "default": 10, "description": "How many groups."},
            "kind": {"type": "string", "enum": ["bar", "line"], "default": "bar"},
            "ratio": {"type": "number", "default": 0.5},
            "title": {"type": "string", "default": "Report"},
        },
    }
    return {
        "package_name": "demo",
        "kedro_version": "1.7.0",
        "python_version": "3.11.7",
        "revision": "files-00000001",
        "pipelines": [report, {**report, "name": "__default__"}],
        "datasets": [
            {
                "name": "raw_data",
                "type": "pandas.CSVDataset",
                "path": "data/raw.csv",
                "is_persisted": True,
                "is_versioned": True,
            }
        ],
        "parameters": {
            "api_url": "http://127.0.0.1:1/x",
            "options": {"top": 10, "kind": "bar", "ratio": 0.5, "title": "Report"},
            "dry": False,
        },
        "schemas": {"options": options},
        "problems": [],
    } | changes


def make_project(name: str = "shop", folder: Path | str = "/srv/shop", **facts: Any) -> Project:
    return Project.objects.create(name=name, path=str(folder), interpreter="/usr/bin/python3", **facts)


def make_pipeline(name: str = "report", project: Project | None = None, **facts: Any) -> Pipeline:
    project = project or Project.objects.filter(name="shop").first() or make_project()
    if project.snapshot is None:
        Snapshot.objects.create(project=project, revision="files-00000001", content=content(), taken_at=AT)
    return Pipeline.objects.create(project=project, name=name, **facts)


def make_run(pipeline: Pipeline | None = None, *, at: datetime = AT, **facts: Any) -> Run:
    """A queued run with its step and nodes, as `launch` makes it."""
    pipeline = pipeline or Pipeline.objects.filter(name="report").first() or make_pipeline()
    asked = {each.name for each in fields(Order)}
    order = Order(pipeline, facts.pop("cause", Cause.MANUAL), **{name: facts[name] for name in facts if name in asked})
    run = launch(order, at=at)
    if others := {name: facts[name] for name in facts if name not in asked}:
        Run.objects.filter(pk=run.pk).update(**others)
        run.refresh_from_db()
    return run


def make_schedule(
    pipeline: Pipeline | None = None, rule: dict[str, Any] | str = "0 6 * * mon-fri", *, at: datetime = AT, **facts: Any
) -> Schedule:
    """A schedule as its form makes it; `rule` as data, or as cron."""
    pipeline = pipeline or Pipeline.objects.filter(name="report").first() or make_pipeline()
    data = {"kind": "cron", "text": rule} if isinstance(rule, str) else rule
    asked = {"name": "Mornings", "zone": "Europe/Berlin", **facts}
    return create(Wanted(pipeline=pipeline, rule=read_rule(data, at=at), **asked), at=at)


def make_tick(schedule: Schedule, due_at: datetime, decision: str, **facts: Any) -> Tick:
    return Tick.objects.create(schedule=schedule, due_at=due_at, decision=decision, **{"decided_at": due_at, **facts})


def make_user(name: str = "olga", role: str = "operator", **facts: Any) -> User:
    user = User.objects.create_user(name, password="correct horse battery", is_staff=role == "admin", **facts)
    user.groups.add(Group.objects.get(name=role))
    return user


def make_quota(name: str = "chat", windows: str = "1 request per 2 seconds", **facts: Any) -> Quota:
    quota = Quota.objects.create(name=name, **facts)
    for window in parse(windows):
        window.quota = quota
        window.save()
    return quota
