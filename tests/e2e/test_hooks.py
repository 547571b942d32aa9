"""Hooks that count on one process have one, whatever runner was asked for: the files are those of `kedro run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import clock
from jobs.interpreters.snapshots import add_project
from jobs.models import Pipeline, Project, Run
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.states import Cause, Runner, Status
from tests.choices_project import copied, kedro_run
from tests.e2e.running import ended
from tests.kedro_console.kedro_projects import make_project

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

NODES = """
def split(): return 1
def left(a): return a + 1
def right(a): return a + 2
def join(b, c): return b + c
"""
PIPELINES = """
from kedro.pipeline import Pipeline, node
from .nodes import *

def register_pipelines():
    fan = Pipeline([
        node(split, None, "a", name="split"),
        node(left, "a", "b", name="left"),
        node(right, "a", "c", name="right"),
        node(join, ["b", "c"], "d", name="join"),
    ])
    return {"__default__": fan, "fan": fan}
"""
AGGREGATING = """
import json
from pathlib import Path
from kedro.framework.hooks import hook_impl

class Diary:
    def __init__(self):
        self.nodes, self.values = [], {}

    @hook_impl
    def before_dataset_saved(self, dataset_name, data):
        self.values[dataset_name] = data

    @hook_impl
    def after_node_run(self, node):
        self.nodes.append(node.name)

    @hook_impl
    def after_pipeline_run(self):
        Path("data/diary.json").write_text(json.dumps([self.nodes, self.values]))

HOOKS = (Diary(),)
"""
SPEAKING = """
import logging
from kedro.framework.hooks import hook_impl

class Speaker:
    @hook_impl
    def before_pipeline_run(self, run_params):
        logging.getLogger("speaker").info("begins %s", run_params["tags"])

HOOKS = (Speaker(),)
"""


def begin(project: Project, **facts: bool) -> Run:
    Pipeline.objects.filter(project=project, name="fan").update(runner=Runner.DISTRIBUTED, **facts)
    pipeline = Pipeline.objects.select_related("project").get(project=project, name="fan")
    return launch(Order(pipeline, Cause.MANUAL, by_name="olga"), at=clock.now())


def test_a_hook_that_collects_over_nodes_writes_what_kedro_run_writes(worker: object, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "shop", "shop", NODES, PIPELINES, settings=AGGREGATING)
    plain = copied(folder, tmp_path / "plain")
    assert kedro_run(plain) == 0
    project = add_project(folder, at=clock.now())
    run = ended(begin(project))
    assert (run.status, run.steps.count()) == (Status.SUCCEEDED, 1)
    assert (folder / "data/diary.json").read_text() == (plain / "data/diary.json").read_text()
    assert run.plan_reason.startswith("1 step instead of 4. Hooks rely on one process for the whole run: ")
    assert "Diary.after_node_run keeps something from node to node" in run.plan_reason
    divided = ended(begin(project, hooks_are_safe=True))
    assert (divided.status, divided.steps.count(), divided.plan_reason) == (Status.SUCCEEDED, 4, "")


def test_a_hook_that_only_speaks_costs_no_step(worker: object, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "shop", "shop", NODES, PIPELINES, settings=SPEAKING)
    run = ended(begin(add_project(folder, at=clock.now())))
    assert (run.status, run.steps.count(), run.plan_reason) == (Status.SUCCEEDED, 4, "")
