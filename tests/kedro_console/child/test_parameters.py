"""Runtime parameters are data: checked by field, never code, never secrets."""

from __future__ import annotations

import pytest
from kedro_projects import one_node

from kedro_console import wire


def test_a_parameter_of_the_wrong_type_is_told_by_field(playground):
    said = playground.run("typed", parameters={"model": {"test_size": 7}})
    failed = said.one(wire.RunFailed)
    assert failed.reason == "bad_parameters" and "test_size" in failed.failure.message
    assert not said.all(wire.NodeStarted)


def test_typed_parameters_are_reported_as_plain_values(playground):
    said = playground.run("typed", parameters={"model": {"test_size": 0.5}}, free_outputs=["result"])
    assert said.one(wire.RunStarted).parameters["model"] == {"test_size": 0.5}
    assert said.one(wire.DatasetSaved).value == 0.5


@pytest.mark.parametrize(("pipeline", "parameter"), [("by_type", "kind"), ("by_template", "other_kind")])
def test_parameters_may_not_choose_the_type_of_a_dataset(playground, pipeline, parameter):
    said = playground.run(pipeline, parameters={parameter: "pickle.PickleDataset"})
    failed = said.one(wire.RunFailed)
    assert failed.reason == "bad_parameters" and "type" in failed.failure.message
    assert not said.all(wire.NodeStarted)
    assert playground.run(pipeline).one(wire.RunFinished)


def test_parameters_may_choose_a_path(playground):
    assert playground.run("by_path", parameters={"day": "monday"}).one(wire.RunFinished)
    assert (playground.project / "data/monday.json").read_text() == "1"


def test_parameters_may_not_read_the_environment(playground):
    failed = playground.run(parameters={"code": {"deep": ["${oc.env:PATH}"]}}).one(wire.RunFailed)
    assert failed.reason == "bad_parameters" and "code.deep.0" in failed.failure.message


SAYS = """
def work(club):
    print('the word is', club['word'])
    return [type(club['word']).__name__, len(club['word'])]
"""


@pytest.mark.parametrize("given", [{}, {"club": {"word": wire.unpacked({"$kind": "secret", "text": '"open sesame"'})}}])
def test_what_a_type_marks_reaches_the_node_and_nobody_else(host_of, given):
    """Also when it stands in the project's own parameters."""
    project = one_node(SAYS, "params:club", parameters={"club": {"word": "conf sesame"}})
    host = host_of(**project)
    places = {"club": [["word"]]}
    said = host.run(parameters=wire.packed(given), secret_parameters=places, free_outputs=["result"])
    assert said.one(wire.DatasetSaved).value == ["str", 11]
    assert b"the word is ***" in said.raw and b"sesame" not in said.raw
    assert not any("sesame" in message.to_json().decode() for message in said.messages)
