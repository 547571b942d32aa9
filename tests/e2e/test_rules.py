"""Rules with real workers: handlers in the project's interpreter, and no death that loses or doubles a start.

`KILL_ROUNDS=50 python -m pytest tests/e2e/test_rules.py -k killed -s` kills fifty workers and prints when each died.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jobs import clock
from jobs.interpreters.hosts import HOSTS
from jobs.models import Firing, Pipeline, Project, Rule, Run
from jobs.rules.decide import decide
from jobs.rules.edit import save_rule
from jobs.states import Decision, Status
from jobs.upkeep.reconcile import PATIENCE
from tests import live
from tests.e2e.running import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
ROUNDS = int(os.environ.get("KILL_ROUNDS", "3"))


@pytest.fixture
def alone(redis_server: subprocess.Popen[bytes], transactional_db: None) -> None:
    """This test starts its own workers, on the queue `rules` that the shared one does not serve."""


def rule_of(project: Project, source: str, target: str, **facts: Any) -> Rule:
    pipelines = Pipeline.objects.select_related("project").filter(project=project)
    rule = Rule(name=f"{source} starts {target}", target=pipelines.get(name=target), **facts)
    save_rule(rule, [pipelines.get(name=source)], at=clock.now())
    return rule


def decided(count: int = 1) -> list[Firing]:
    def look() -> list[Firing]:
        rows = list(Firing.objects.exclude(decision=Decision.DECIDING).order_by("pk"))
        return rows if len(rows) >= count else []

    return live.until(look, seconds=60, what="the decision")


def test_a_handler_of_the_project_decides_and_computes(worker: object, toy: Project) -> None:
    rule_of(toy, "progress", "progress", handler="toy.nodes:decides", mapping={"n": "`1`"})
    ended(start(toy, "progress", n=1))
    firings = decided(3)
    assert [firing.decision for firing in firings] == [Decision.STARTED, Decision.STARTED, Decision.UNMET]
    assert firings[-1].sentence == "3 of 3 done."
    chain = Run.objects.order_by("pk")
    assert [(run.parameters["n"], run.iteration, run.status) for run in chain] == [
        (1, 0, Status.SUCCEEDED),
        (2, 1, Status.SUCCEEDED),
        (3, 2, Status.SUCCEEDED),
    ]
    assert firings[0].sentence == f"Started run #{chain[1].pk} of progress. 1 of 3 done."


@pytest.mark.parametrize(
    ("handler", "sentence"),
    [
        ("toy.nodes:decides_nothing", "toy.nodes:decides_nothing gave no answer: return"),
        ("toy.nodes:nothing", "There is no function toy.nodes:nothing in the project"),
        ("toy.nodes:raises", "TypeError: raises() got an unexpected keyword argument 'state'"),
    ],
)
def test_a_handler_that_gives_no_answer_is_a_sentence(
    worker: object, toy: Project, handler: str, sentence: str
) -> None:
    rule_of(toy, "chain", "chain", handler=handler)
    assert ended(start(toy, "chain")).status == Status.SUCCEEDED
    (firing,) = decided()
    assert (firing.decision, Run.objects.count()) == (Decision.FAILED, 1)
    assert sentence in firing.sentence


def test_a_handler_that_takes_too_long_is_ended(toy: Project, monkeypatch: pytest.MonkeyPatch, worker: object) -> None:
    from jobs.rules import decide as story

    monkeypatch.setattr(story, "SECONDS", 1.0)
    rule = rule_of(toy, "chain", "chain", handler="toy.nodes:decides_late")
    Pipeline.objects.filter(project=toy, name="chain").update(queue="default")
    run = start(toy, "chain")
    Rule.objects.filter(pk=rule.pk).update(is_enabled=False)
    ended(run)
    firing = Firing.objects.get()
    Firing.objects.filter(pk=firing.pk).update(decision=Decision.DECIDING, decided_at=None)
    try:
        assert decide(firing.pk, clock.now())
    finally:
        HOSTS.stop_all()
    firing.refresh_from_db()
    assert (firing.decision, firing.sentence) == (
        Decision.FAILED,
        "toy.nodes:decides_late exceeded its time limit and was stopped.",
    )


def test_a_worker_that_dies_while_a_handler_is_asked(alone: None, toy: Project, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    rule_of(toy, "chain", "raises", handler="toy.nodes:decides_after_a_death")
    Pipeline.objects.filter(project=toy).update(queue="rules")
    with live.worker("mortal", CONSOLE_WORKER_QUEUES="rules") as first:
        ended(start(toy, "chain", mark=str(mark)))
        live.until(mark.exists, what="the handler")
        first.kill()
    Firing.objects.update(lease_expires_at=clock.now())  # nobody waits that long in a test
    Firing.objects.update(sent_at=clock.now() - 2 * PATIENCE)
    with live.worker("mortal", CONSOLE_WORKER_QUEUES="rules"):
        (firing,) = decided()
        assert (firing.decision, firing.tries) == (Decision.STARTED, 2)
        ended(Run.objects.get(pipeline__name="raises"))


@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_a_worker_killed_about_the_end_loses_and_doubles_no_start(alone: None, toy: Project, tmp_path: Path) -> None:
    """The successors write a line into a file: what really ran is compared with the rows."""
    diary = tmp_path / "diary"
    for target in ("writes_down", "chain"):
        facts = {"word": "join('-', ['after', to_string(run.number)])", "diary": "parameters.diary"}
        rule_of(toy, "progress", target, mapping=facts if target == "writes_down" else {"word": "'x'"})
    Pipeline.objects.filter(project=toy).update(queue="rules", crash_retries=5, poison_after=9)
    moments: Counter[str] = Counter()
    for number in range(ROUNDS):
        with live.worker("mortal", CONSOLE_WORKER_QUEUES="rules", CONSOLE_LEASE_SECONDS="4") as mortal:
            _all_ended()
            run = start(toy, "progress", n=1, diary=str(diary))
            _await_moment(run, number)
            mortal.kill()
            mortal.wait()
            moments[_moment(run)] += 1
    with live.worker("mortal", CONSOLE_WORKER_QUEUES="rules", CONSOLE_LEASE_SECONDS="4"):
        _all_ended()
    print(f"\n{ROUNDS} workers killed: {dict(moments)}")
    sources = Run.objects.filter(pipeline__name="progress", status=Status.SUCCEEDED)
    assert sources.count() == ROUNDS
    for source in sources:
        assert sorted(source.followers.values_list("pipeline__name", flat=True)) == ["chain", "writes_down"]
    assert set(Run.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}
    assert set(diary.read_text().split()) == {f"after-{source.pk}" for source in sources}
    assert Firing.objects.filter(decision=Decision.STARTED).count() == Firing.objects.count() == 2 * ROUNDS


def _all_ended() -> None:
    live.until(lambda: not Run.objects.live().exists(), seconds=60, what="the end of all runs")


def _await_moment(run: Run, number: int) -> None:
    """A third dies in the instant in which the end is seen, the others at random from the first claim on."""
    wanted = {Status.SUCCEEDED} if number % 3 == 0 else {Status.RUNNING, Status.SUCCEEDED}
    live.until(lambda: Run.objects.filter(pk=run.pk, status__in=wanted).exists(), what=str(wanted))
    if number % 3:
        time.sleep(random.uniform(0, 0.4))


def _moment(run: Run) -> str:
    run.refresh_from_db()
    if not run.is_final:
        return "before the end"
    return "between end and start" if run.followers.filter(started_at=None).exists() else "after the starts"
