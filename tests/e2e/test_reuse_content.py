"""A pipeline that re-runs only what changed: the rest is taken from earlier runs, and every change is noticed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.models import Project, Run
from jobs.states import NodeStatus, Status
from tests.e2e.running import ended, executed, resumed, start, statuses

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

ALL = ["opens", "says", "second", "third", "both"]
REUSES = {"reuses_content": True}


def run_it(project: Project, settings: dict[str, Any] = REUSES, name: str = "changing", **parameters: Any) -> Run:
    run = ended(start(project, name, settings=settings, **parameters))
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    return run


def write(file: Path, text: str) -> None:
    """As somebody would a moment later: with another time than before."""
    file.write_text(text)
    os.utime(file, (time.time() + 5, time.time() + 5))


def reasons(run: Run) -> dict[str, str]:
    return dict(run.node_runs.values_list("name", "reason"))


@pytest.mark.parametrize("runner", ["sequential", "distributed"])
def test_the_same_once_more_runs_nothing_and_has_the_same_results(worker: object, toy: Project, runner: str) -> None:
    first = run_it(toy, {**REUSES, "runner": runner}, word="moon")
    assert sorted(executed(first)) == sorted(ALL)
    again = run_it(toy, word="moon")
    assert (executed(again), again.steps.count(), again.nodes_done) == ([], 0, 5)
    assert set(statuses(again).values()) == {NodeStatus.REUSED}
    assert set(again.node_runs.values_list("taken_from", flat=True)) == {first.pk}
    assert set(reasons(again).values()) == {f"Its code, parameters and inputs are those of run #{first.pk}."}
    assert again.results["out"]["value"] == {"says": "moon", "from": "here", "second": True}


def test_a_changed_parameter_runs_what_reads_it_and_what_was_written_over(worker: object, toy: Project) -> None:
    moon = run_it(toy, word="moon")
    sun = run_it(toy, word="sun")
    assert executed(sun) == ["says", "third", "both"]
    assert reasons(sun)["says"] == f"Its parameter word is not the same as in run #{moon.pk}."
    assert reasons(sun)["third"] == f"The result of says, which it needs, is not the same as in run #{moon.pk}."
    assert sun.results["out"]["value"]["says"] == "sun"
    again = run_it(toy, word="moon")  # in memory and by version all is still there, the file is that of the sun
    assert executed(again) == ["third", "both"]
    assert reasons(again)["third"] == f"Run #{sun.pk} has saved stored since."
    assert again.results["out"]["value"]["says"] == "moon"
    folders = [path.name for path in (toy.folder / "data" / "versioned.json").iterdir()]
    assert folders == [again.load_versions["versioned"]]


def test_changed_inputs_code_and_configuration_are_noticed_at_once(worker: object, toy: Project) -> None:
    first = run_it(toy)
    write(toy.folder / "data" / "source.json", '{"from": "there"}')
    second = run_it(toy)
    assert (executed(second), second.results["out"]["value"]["from"]) == (ALL, "there")
    assert reasons(second)["opens"] == f"Its input source is not the same as in run #{first.pk}."
    opening = toy.folder / "src" / "toy" / "opening.py"
    write(opening, opening.read_text().replace('source["from"]', 'source["from"].upper()'))
    third = run_it(toy)
    assert (executed(third), third.results["out"]["value"]["from"]) == (ALL, "THERE")
    assert reasons(third)["opens"] == f"Its code is not the same as in run #{second.pk}."
    parameters = toy.folder / "conf" / "base" / "parameters.yml"
    write(parameters, parameters.read_text().replace("word: hello", "word: goodbye"))
    fourth = run_it(toy)
    assert executed(fourth) == ["says", "third", "both"]
    assert fourth.results["out"]["value"]["says"] == "goodbye"
    write(toy.folder / "data" / "source.json", '{"from": "there"}')  # only its time
    assert executed(run_it(toy)) == []


def test_what_is_gone_or_was_edited_is_made_again(worker: object, toy: Project) -> None:
    first = run_it(toy)
    (toy.folder / "data" / "stored.json").unlink()
    second = run_it(toy)
    assert executed(second) == ["third", "both"]
    assert reasons(second)["third"] == "The file of its stored is gone."
    write(toy.folder / "data" / "stored.json", "{}")
    third = run_it(toy)
    assert reasons(third)["third"] == "The file of its stored was changed since."
    assert third.results["out"]["value"]["says"] == "hello"
    for path in [path for run in (first, second, third) for path in run.store_folder.iterdir()]:
        path.unlink()
    fourth = run_it(toy)
    assert (executed(fourth), reasons(fourth)["both"]) == (["both"], "Its out is no longer in the run's store.")


def test_a_failed_run_gives_nothing_and_is_resumed_as_ever(worker: object, toy: Project) -> None:
    failed = ended(start(toy, "divides", settings=REUSES, divisor=0))
    assert failed.status == Status.FAILED
    good = ended(resumed(failed, divisor=3))
    assert (good.status, executed(good)) == (Status.SUCCEEDED, ["divides"])
    again = run_it(toy, name="divides", divisor=3)
    assert executed(again) == []
    assert set(again.node_runs.values_list("taken_from", flat=True)) == {good.pk}
    assert again.results["out"]["value"]["quotient"] == 4


def test_code_that_changed_after_the_launch_is_not_taken_for_that_of_the_launch(worker: object, toy: Project) -> None:
    opening = toy.folder / "src" / "toy" / "opening.py"
    old = opening.read_text()
    first = start(toy, "changing", settings={**REUSES, "queue": "nobody"})
    write(opening, old.replace('source["from"]', '"elsewhere"'))
    first.steps.update(queue="default", sent_at=None)
    assert ended(first).results["out"]["value"]["from"] == "elsewhere"
    write(opening, old)
    assert executed(run_it(toy, {**REUSES, "queue": "default"})) == ALL
