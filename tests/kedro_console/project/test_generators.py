"""Random generators that a project makes while it is imported draw as they do in a process of their own."""

from __future__ import annotations

from typing import Any

from host_client import HostProcess
from kedro_projects import make_project

from kedro_console import wire

NODES = """
import copy
import random
import numpy as np

class Holder:
    generator = np.random.default_rng()

def made():
    inner = random.Random()
    return lambda: inner.random()

def with_default(generator=np.random.default_rng()):
    return generator.random()

UNSEEDED = {
    "default_rng": np.random.default_rng().random,
    "RandomState": np.random.RandomState().random_sample,
    "Random": random.Random().random,
    "class": Holder.generator.random,
    "closure": made(),
    "default": with_default,
    "spawned": np.random.default_rng(np.random.SeedSequence().spawn(1)[0]).random,
    "system": random.SystemRandom().random,
}
STATED = np.random.default_rng()
STATED.bit_generator.state = np.random.default_rng(5).bit_generator.state
LATE = random.Random()
LATE.seed(7)
SET = random.Random()
SET.setstate(random.Random(8).getstate())
SEEDED = {
    "default_rng": np.random.default_rng(1).random,
    "RandomState": np.random.RandomState(2).random_sample,
    "Random": random.Random(3).random,
    "copied": copy.deepcopy(np.random.default_rng(4)).random,
    "stated": STATED.random,
    "late": LATE.random,
    "set": SET.random,
}

def draw(these):
    return {name: float(call()) for name, call in these.items()}

def work():
    return {"unseeded": draw(UNSEEDED), "seeded": draw(SEEDED)}
"""
PIPELINES = """
from kedro.pipeline import Pipeline, node
from . import nodes

def register_pipelines():
    return {"__default__": Pipeline([node(nodes.work, None, name, name=f"make_{name}") for name in ("one", "two")])}
"""


def drawn(host: HostProcess) -> dict[str, Any]:
    value: dict[str, Any] = host.run(nodes=["make_one"], free_outputs=["one"]).one(wire.DatasetSaved).value
    return value


def expected() -> dict[str, float]:
    scope: dict[str, Any] = {}
    exec(NODES, scope)
    found: dict[str, float] = scope["work"]()["seeded"]
    return found


def test_those_without_a_seed_draw_anew_and_those_with_one_the_same(tmp_path: Any, start_host: Any) -> None:
    host = start_host(make_project(tmp_path / "project", nodes=NODES, pipelines=PIPELINES))
    first, second, third = (drawn(host) for _ in range(3))
    assert first["seeded"] == second["seeded"] == third["seeded"] == expected()
    for name in first["unseeded"]:
        assert len({each["unseeded"][name] for each in (first, second, third)}) == 3, name


def test_the_next_step_of_a_process_draws_as_in_a_new_one(tmp_path: Any, start_host: Any) -> None:
    host = start_host(make_project(tmp_path / "project", nodes=NODES, pipelines=PIPELINES))
    request: dict[str, Any] = {"free_outputs": ["one", "two"], "may_go_on": True}
    said = host.begin(nodes=["make_one"], store_folder=str(tmp_path / "store"), **request)
    said.wait_for(wire.ChildWaited)
    one = said.one(wire.DatasetSaved).value
    said.messages.clear()
    more = {"run_id": "run", "step_id": "two", "pipeline": "__default__", "folder": str(tmp_path / "step")}
    wire.send(
        said.connection,
        wire.StepStarted(nodes=["make_two"], store_folder=str(tmp_path / "store"), **more, **request),
    )
    said.wait_for(wire.ChildWaited)
    two = said.one(wire.DatasetSaved).value
    assert one["seeded"] == two["seeded"] == expected()
    assert all(one["unseeded"][name] != two["unseeded"][name] for name in one["unseeded"])
