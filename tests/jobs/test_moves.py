"""One door moves a row, and of several that push at once one gets through."""

import re
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction

from jobs.errors import IllegalMove, LeaseLost
from jobs.models import Run, Step, Transition
from jobs.states import Status
from tests import live
from tests.factories import AT, make_run

LEASE = timedelta(seconds=20)

CLAIM = """
import sys, time, pathlib, django
sys.path.insert(0, "pipelines")
django.setup()
from datetime import timedelta
from jobs import clock
from jobs.errors import IllegalMove
from jobs.models import Step
step = Step.objects.get(pk=int(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
try:
    step.claim(at=clock.now(), worker_name=sys.argv[2], lease=timedelta(seconds=20))
    print("won")
except IllegalMove:
    print("lost")
"""


@pytest.mark.django_db(transaction=True)
def test_of_four_processes_that_claim_a_step_one_gets_it() -> None:
    step = make_run().steps.get()
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(step.pk), f"w{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=live.ROOT,
            env=live.environment(DJANGO_SETTINGS_MODULE="console.settings"),
        )
        for number in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = sorted(racer.communicate(timeout=60)[0].strip() for racer in racers)
    assert answers == ["lost", "lost", "lost", "won"]
    assert Transition.objects.filter(step=step, to_status=Status.RUNNING).count() == 1


@pytest.mark.django_db
def test_a_second_claim_is_refused() -> None:
    step = make_run().steps.get()
    step.claim(at=AT, worker_name="w1", lease=LEASE)
    with pytest.raises(IllegalMove, match="A running step cannot become running"):
        Step.objects.get(pk=step.pk).claim(at=AT, worker_name="w2", lease=LEASE)


@pytest.mark.django_db
def test_a_step_that_waits_for_others_cannot_be_claimed() -> None:
    step = make_run().steps.get()
    Step.objects.filter(pk=step.pk).update(ready_at=None)
    with pytest.raises(IllegalMove):
        step.claim(at=AT, worker_name="w1", lease=LEASE)


@pytest.mark.django_db
def test_a_step_of_a_run_that_was_asked_to_stop_cannot_be_claimed() -> None:
    run = make_run()
    run.ask_to_stop(at=AT, by="olga")
    with pytest.raises(IllegalMove):
        run.steps.get().claim(at=AT, worker_name="w1", lease=LEASE)


@pytest.mark.django_db
def test_a_supervisor_with_a_stale_token_writes_nothing() -> None:
    step = make_run().steps.get()
    step.claim(at=AT, worker_name="w1", lease=LEASE)
    with pytest.raises(LeaseLost):
        step.record(uuid.uuid4(), peak_memory_bytes=1)
    with pytest.raises(LeaseLost):
        step.end(Status.SUCCEEDED, uuid.uuid4(), at=AT, by="w2")
    step.refresh_from_db()
    assert (step.status, step.peak_memory_bytes) == (Status.RUNNING, 0)


@pytest.mark.django_db
def test_the_database_refuses_an_end_without_a_time() -> None:
    run = make_run()
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.filter(pk=run.pk).update(status=Status.FAILED)
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.filter(pk=run.pk).update(finished_at=AT)


@pytest.mark.django_db
def test_the_database_refuses_a_running_step_without_a_lease() -> None:
    step = make_run().steps.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Step.objects.filter(pk=step.pk).update(status=Status.RUNNING)


@pytest.mark.django_db
def test_a_move_that_is_rolled_back_leaves_no_transition() -> None:
    run = make_run()
    before = run.transitions.count()
    try:
        with transaction.atomic():
            run.start(at=AT, by="w1")
            raise RuntimeError
    except RuntimeError:
        pass
    run.refresh_from_db()
    assert (run.status, run.transitions.count()) == (Status.QUEUED, before)


def test_the_status_is_written_in_one_place() -> None:
    """`_move` is the one door: nothing else in the domain assigns a run's or step's status."""
    for file in (live.ROOT / "jobs").rglob("*.py"):
        if file.parent.name == "migrations":
            continue
        text = file.read_text()
        assert not re.search(r"(run|step)\.status = ", text), file
        if Path(file).name != "transition.py":
            assert ".update(status=Status" not in text, file
