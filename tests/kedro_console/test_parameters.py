"""Runtime parameters are data: checked by field, never code, never secrets."""

from __future__ import annotations

import pytest
from kedro_projects import one_node

from kedro_console import wire

TYPED = """
from pydantic import BaseModel, Field

class Model(BaseModel):
    test_size: float = Field(gt=0, lt=1)

def work(model: Model):
    return model.test_size
"""
TYPED_PROJECT = one_node(TYPED, inputs="params:model", parameters={"model": {"test_size": 0.2}})


def test_a_parameter_of_the_wrong_type_is_told_by_field(host_of):
    said = host_of(**TYPED_PROJECT).run(parameters={"model": {"test_size": 7}})
    failed = said.one(wire.RunFailed)
    assert failed.reason == "bad_parameters" and "test_size" in failed.failure.message
    assert not said.all(wire.NodeStarted)


def test_typed_parameters_are_reported_as_plain_values(host_of):
    said = host_of(**TYPED_PROJECT).run(parameters={"model": {"test_size": 0.5}}, free_outputs=["result"])
    assert said.one(wire.RunStarted).parameters == {"model": {"test_size": 0.5}}
    assert said.one(wire.DatasetSaved).value == 0.5


@pytest.mark.parametrize("catalog", [
    "result:\n  type: ${runtime_params:kind, MemoryDataset}\n",
    "_kind: ${runtime_params:kind, MemoryDataset}\nresult:\n  type: ${_kind}\n",
])  # fmt: skip
def test_parameters_may_not_choose_the_type_of_a_dataset(host_of, catalog):
    host = host_of(**one_node("def work():\n    return 1", catalog=catalog))
    said = host.run(parameters={"kind": "pickle.PickleDataset"})
    failed = said.one(wire.RunFailed)
    assert failed.reason == "bad_parameters" and "type" in failed.failure.message
    assert not said.all(wire.NodeStarted)
    assert host.run().one(wire.RunFinished)


def test_parameters_may_choose_a_path(host_of):
    catalog = "result:\n  type: json.JSONDataset\n  filepath: data/${runtime_params:day, none}.json\n"
    host = host_of(**one_node("def work():\n    return 1", catalog=catalog))
    assert host.run(parameters={"day": "monday"}).one(wire.RunFinished)
    assert (host.project / "data/monday.json").read_text() == "1"


def test_parameters_may_not_read_the_environment(host_of):
    host = host_of(**one_node("def work(x):\n    return x", inputs="params:x", parameters={"x": 1}))
    failed = host.run(parameters={"x": {"deep": ["${oc.env:PATH}"]}}).one(wire.RunFailed)
    assert failed.reason == "bad_parameters" and "x.deep.0" in failed.failure.message
