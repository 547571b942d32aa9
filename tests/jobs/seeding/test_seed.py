"""A seeded history is one that the engine could have left."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Count, F, Q
from django_celery_results.models import TaskResult

from jobs import clock
from jobs.errors import ProjectError, RequestError
from jobs.interpreters.artifacts import open_file
from jobs.models import Act, Artifact, Event, LogChunk, NodeRun, Run, Step, Transition, Worker
from jobs.seeding.seed import seed
from jobs.states import FINAL, NodeStatus, Runner, Status
from tests.factories import AT, make_pipeline, make_run

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def seeded(runs: int = 400, *, number: int = 1, days: float = 21) -> None:
    seed(runs, days=days, at=AT, number=number, say=lambda sentence: None)


def told() -> list[tuple[Any, ...]]:
    facts = "created_at", "finished_at", "status", "cause", "error", "requested_by_name", "retry_of_id", "nodes_done"
    return list(Run.objects.order_by("pk").values_list(*facts))


def forget() -> None:
    TaskResult.objects.all().delete()
    Run.objects.all().delete()


def test_runs_have_the_steps_nodes_moves_and_results_of_their_end() -> None:
    make_pipeline(), make_pipeline("__default__", runner=Runner.DISTRIBUTED)
    seeded()
    connection.check_constraints()
    runs = Run.objects.annotate(known=Count("node_runs", distinct=True), moves=Count("transitions", distinct=True))
    assert runs.count() == 400
    assert not runs.exclude(known=F("nodes_total")).exists()
    assert not runs.filter(Q(moves__lt=3) | ~Q(status__in=FINAL) | Q(finished_at__lt=F("started_at"))).exists()
    good = Q(node_runs__status__in=[NodeStatus.SUCCEEDED, NodeStatus.REUSED])
    done = Run.objects.annotate(done=Count("node_runs", filter=good))
    assert not done.exclude(done=F("nodes_done")).exists()
    assert not done.filter(status=Status.SUCCEEDED).exclude(done=F("nodes_total")).exists()
    assert Step.objects.count() == TaskResult.objects.count() == Transition.objects.exclude(step=None).count() / 3
    assert not NodeRun.objects.filter(status=NodeStatus.SUCCEEDED, step=None).exists()


def test_every_sort_of_run_is_among_them() -> None:
    make_pipeline(), make_pipeline("__default__", runner=Runner.DISTRIBUTED)
    seeded(800)
    assert set(Run.objects.values_list("status", flat=True)) == set(FINAL)
    assert {"manual", "api", "schedule", "rule", "retry"} == set(Run.objects.values_list("cause", flat=True))
    assert Run.objects.filter(is_resumption=True, retry_of__status__in=[Status.FAILED, Status.CRASHED]).exists()
    assert NodeRun.objects.filter(status=NodeStatus.REUSED, taken_from=F("run__retry_of")).exists()
    assert Step.objects.filter(attempt=2, status=Status.SUCCEEDED).exists()
    failures = Run.objects.filter(status=Status.FAILED).values("error").annotate(count=Count("pk"))
    assert max(row["count"] for row in failures) > 3  # a few groups, not a sentence for each run
    assert Event.objects.exists()
    assert LogChunk.objects.exists()


def test_the_same_number_tells_the_same_history() -> None:
    make_pipeline()
    seeded(60)
    first = told()
    forget()
    seeded(60, number=2)
    other = told()
    forget()
    seeded(60)
    assert told() == first != other


def test_files_of_the_newest_runs_can_be_opened() -> None:
    make_pipeline()
    seeded(30)
    newest = Artifact.objects.order_by("-pk")[0]
    with open_file(newest) as file:
        assert len(file.read()) == newest.size_bytes


def test_what_comes_later_has_later_numbers() -> None:
    make_pipeline()
    seeded(50)
    seeded(50, number=2, days=30)
    rows = list(Run.objects.order_by("pk").values_list("created_at", flat=True))
    assert rows == sorted(rows)
    again = make_run(at=AT)
    assert again.pk > Run.objects.order_by("-pk")[1].pk


def test_nothing_is_made_up_without_a_pipeline_or_beyond_reason() -> None:
    with pytest.raises(ProjectError, match="No pipeline is known yet"):
        seeded(1)
    with pytest.raises(RequestError, match="number of runs from 1"):
        seeded(0)
    with pytest.raises(RequestError, match="number of days above 0"):
        seeded(1, days=0)


def test_a_console_with_runs_of_its_own_is_left_alone() -> None:
    make_run()
    with pytest.raises(CommandError, match="--more"):
        call_command("seed", runs=5)
    call_command("seed", runs=5, more=True, quiet=True)
    call_command("seed", runs=5, quiet=True)  # it is marked now
    assert Run.objects.count() == 11
    assert Act.objects.filter(verb="seeded").count() == 2


def test_a_console_at_work_is_left_alone() -> None:
    make_pipeline()
    at = clock.now()
    Worker.objects.create(name="w1", host="h", pid=1, slots=1, started_at=at, heartbeat_at=at)
    with pytest.raises(CommandError, match="a worker is alive: stop it first, or write --beside-workers"):
        call_command("seed", runs=5)
    said = StringIO()
    call_command("seed", runs=5, beside_workers=True, stdout=said)
    assert "5 made-up runs since" in said.getvalue()
