"""What a node asks, and a function that is called instead of a pipeline."""

from __future__ import annotations

import subprocess
import sys

from host_client import PIPELINES, HostProcess

from kedro_console import wire

PACKAGE = "demo"
ASKS = """
from kedro_console import here
return {"answer": here.ask("weather", place=here.node()), "run": here.run_id()}
"""


def test_a_node_gets_the_answer_to_its_question(playground):
    said = playground.begin(parameters={"code": ASKS.strip()}, free_outputs=["result"])
    question = said.wait_for(wire.Asked)
    assert (question.what, question.node, question.data) == ("weather", "work", {"place": "work"})
    wire.send(said.connection, wire.Answered(question.number, {"sky": "blue"}))
    assert said.finish().one(wire.DatasetSaved).value == {"answer": {"sky": "blue"}, "run": "run"}


def test_threads_of_a_node_each_get_their_own_answer(playground):
    code = (
        "from concurrent.futures import ThreadPoolExecutor\nfrom kedro_console import here\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    return list(pool.map(lambda n: here.ask('double', n=n), range(4)))"
    )
    said = playground.begin(parameters={"code": code}, free_outputs=["result"])
    while len(said.all(wire.Asked)) < 4:
        assert said.read()
    for question in reversed(said.all(wire.Asked)):
        wire.send(said.connection, wire.Answered(question.number, 2 * question.data["n"]))
    assert said.finish().one(wire.DatasetSaved).value == [0, 2, 4, 6]


def test_a_refusal_is_an_exception_with_its_sentence(playground):
    said = playground.begin(parameters={"code": "from kedro_console import here\nhere.ask('x')"})
    wire.send(said.connection, wire.Answered(said.wait_for(wire.Asked).number, error="There is no queue x."))
    failure = said.finish().one(wire.RunFailed).failure
    assert failure.exception.endswith("AskError") and failure.message == "There is no queue x."


def test_a_node_that_waits_for_an_answer_can_be_stopped(playground):
    said = playground.begin(parameters={"code": "from kedro_console import here\nhere.ask('x')"})
    said.wait_for(wire.Asked)
    said.stop("interrupt")
    assert said.finish().one(wire.RunFailed).reason == "interrupted"


def test_a_function_of_the_project_is_called_and_its_value_reported(playground: HostProcess):
    said = playground.run("", function=f"{PACKAGE}.nodes:second", arguments={"a": 41})
    assert said.one(wire.FunctionReturned).value == 42
    assert said.one(wire.ChildExited).exit_code == 0


def test_a_function_that_does_not_exist_is_named(playground: HostProcess):
    said = playground.run("", function=f"{PACKAGE}.nodes:nothing", arguments={})
    assert f"There is no function {PACKAGE}.nodes:nothing" in said.one(wire.RunFailed).failure.message


def test_without_the_console_a_question_has_no_answer():
    code = "from kedro_console import here\nassert not here.is_supervised()\nhere.ask('x')"
    ended = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": PIPELINES}, capture_output=True, text=True)
    assert "Nobody answers: this runs without the console." in ended.stderr
