"""Runs that may not be under way together: by their pipeline's wish, or because they write one file."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from celery import current_app
from django.db import connection

from jobs.errors import NotNow
from jobs.insight.explain import why_waiting
from jobs.models import Pipeline, Run, Snapshot, Step
from jobs.runs import launch as story
from jobs.runs.cancel import cancel
from jobs.states import Cause, NodeStatus, Status
from jobs.steps.advance import Outcome, finish
from jobs.upkeep.reconcile import reconcile
from tests.factories import AT, content, make_pipeline, make_project, make_run
from tests.jobs.at_work import running, succeed

pytestmark = pytest.mark.django_db
REPORT = {"name": "summary", "type": "pandas.CSVDataset", "path": "data/summary.csv", "is_persisted": True}


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    messages: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: messages.extend(args))
    return messages


def pipeline(overlap: str, **facts: Any) -> Pipeline:
    return make_pipeline(overlap=overlap, **facts)


def fresh(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


def is_ready(run: Run) -> bool:
    return run.steps.filter(ready_at__isnull=False).exists()


def end(run: Run) -> None:
    succeed(running(run))


def writing(overlap: str = "both", *, versioned: bool = False, **facts: Any) -> tuple[Pipeline, Pipeline]:
    """Two pipelines of one project that write the dataset `summary`."""
    project = make_project()
    pictures = content(datasets=[{**REPORT, "is_versioned": versioned}])
    for picture in pictures["pipelines"]:
        picture["nodes"] = [{**picture["nodes"][0], "outputs": ["summary"]}]
    Snapshot.objects.create(project=project, revision="files-2", content=pictures, taken_at=AT)
    names = ("report", "__default__")
    first, second = (Pipeline.objects.create(project=project, name=name, overlap=overlap, **facts) for name in names)
    return first, second


def test_runs_of_one_pipeline_go_together_unless_it_wishes_otherwise() -> None:
    line = make_pipeline()
    assert all(is_ready(make_run(line)) for _ in range(3))


def test_a_run_that_waits_in_line_is_not_ready_and_says_for_whom(sent: list[int]) -> None:
    line = pipeline("wait")
    first = make_run(line)
    running(first)
    second = make_run(line)
    assert (second.status, is_ready(second), second.waits_for) == (Status.QUEUED, False, first)
    assert second.wait_reason == f"run #{first.pk} of the same pipeline is running, policy: wait"
    reason = why_waiting(fresh(second), AT)[0]
    assert (reason.run, reason.sentence) == (first, f"R{second.wait_reason[1:]}.")


def test_the_end_of_a_run_lets_the_next_in_line_go_and_only_that(
    sent: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    line = pipeline("wait")
    first, second, third = make_run(line), make_run(line), make_run(line)
    with django_capture_on_commit_callbacks(execute=True):
        end(first)
    assert [is_ready(run) for run in (second, third)] == [True, False]
    assert sent == [second.steps.get().pk]
    assert (fresh(second).waits_for, fresh(second).wait_reason) == (None, "")
    assert fresh(third).waits_for == second


def test_a_run_that_leaves_the_line_makes_no_hole() -> None:
    line = pipeline("wait")
    first, second, third = make_run(line), make_run(line), make_run(line)
    cancel(second, at=AT, by="olga")
    assert (fresh(third).waits_for, is_ready(third)) == (first, False)
    end(first)
    assert is_ready(third)


def test_a_waiting_step_cannot_be_claimed() -> None:
    line = pipeline("wait")
    make_run(line)
    waiting = make_run(line)
    with pytest.raises(Exception, match="queued step cannot become running"):
        running(waiting)


def test_a_second_run_is_skipped_with_a_sentence() -> None:
    line = pipeline("skip")
    first = make_run(line)
    with pytest.raises(NotNow, match=f"Not started: run #{first.pk} of the same pipeline is queued, policy: skip."):
        make_run(line)
    end(first)
    assert is_ready(make_run(line))


@pytest.mark.parametrize("cause", sorted(story.UNWATCHED))
def test_what_nobody_watches_is_skipped_as_a_row_that_says_why(cause: Cause) -> None:
    line = pipeline("skip")
    first = make_run(line)
    skipped = fresh(make_run(line, cause=cause))
    assert (skipped.status, skipped.started_at) == (Status.CANCELLED, None)
    assert skipped.error == f"Not started: run #{first.pk} of the same pipeline is queued, policy: skip."
    assert [move.to_status for move in skipped.transitions.all()] == [Status.QUEUED, Status.CANCELLED]
    assert set(skipped.node_runs.values_list("status", flat=True)) == {NodeStatus.CANCELLED}


def test_the_same_run_asked_for_again_is_itself_and_not_skipped() -> None:
    line = pipeline("skip")
    first = make_run(line, idempotency_key="once")
    assert make_run(line, idempotency_key="once") == first


def test_the_older_is_asked_to_stop_and_the_newer_waits_for_its_end() -> None:
    line = pipeline("cancel")
    first = make_run(line)
    step = running(first)
    second = make_run(line)
    assert (fresh(first).cancel_requested_by, is_ready(second)) == (f"run #{second.pk}", False)
    finish(step, Outcome(Status.CANCELLED), token=step.lease_token, at=AT, by="w1")
    assert is_ready(second)
    assert fresh(first).error == f"Cancelled by run #{second.pk}."


def test_an_older_run_that_has_not_begun_ends_at_once() -> None:
    line = pipeline("cancel")
    first, second = make_run(line), make_run(line)
    assert fresh(first).status == Status.CANCELLED
    assert (second.waits_for, second.wait_reason, is_ready(second)) == (None, "", True)


def test_two_that_write_one_file_take_turns_whatever_their_pipelines() -> None:
    one, other = writing()
    first, second = make_run(one), make_run(other)
    assert second.wait_reason == f"run #{first.pk} is queued and writes summary, as this one will"
    end(first)
    assert is_ready(second)


def test_a_versioned_file_holds_nobody_back(django_assert_num_queries: Any) -> None:
    one, other = writing(versioned=True)
    make_run(one)
    assert is_ready(make_run(other))


def test_a_pipeline_may_do_without_the_lock() -> None:
    one, other = writing(locks_outputs=False)
    make_run(one)
    assert is_ready(make_run(other))


def test_only_the_chosen_nodes_write() -> None:
    one, _ = writing()
    assert make_run(one).writes == {"data/summary.csv": "summary"}
    Snapshot.objects.create(project=one.project, revision="files-3", content=content(datasets=[REPORT]), taken_at=AT)
    assert make_run(one).writes == {}


def test_the_file_is_waited_for_after_the_line() -> None:
    one, other = writing("wait")
    file_first = make_run(other)
    first = make_run(one)
    second = make_run(one)
    assert (first.waits_for, second.waits_for) == (file_first, first)
    end(file_first)
    assert [is_ready(run) for run in (first, second)] == [True, False]


def test_a_missed_release_is_mended(sent: list[int]) -> None:
    line = pipeline("wait")
    first, second = make_run(line), make_run(line)
    end(first)
    Run.objects.filter(pk=second.pk).update(waits_for=first, wait_reason="run #1 is running")
    Step.objects.filter(run=second).update(ready_at=None)
    assert reconcile(AT)
    assert is_ready(second) and fresh(second).wait_reason == ""


def test_a_deleted_blocker_holds_nobody_back() -> None:
    line = pipeline("wait")
    first, second = make_run(line), make_run(line)
    first.delete()
    assert (fresh(second).waits_for, is_ready(second)) == (None, False)
    reconcile(AT)
    assert is_ready(second)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("overlap", ["wait", "skip"])
def test_of_many_launched_at_once_one_goes(overlap: str) -> None:
    line = pipeline(overlap)
    made: list[Run] = []
    start = threading.Barrier(6)

    def one() -> None:
        start.wait(20)
        try:
            made.append(make_run(line))
        except NotNow:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(is_ready(run) for run in made) == 1
    assert len(made) == (6 if overlap == "wait" else 1)
    blockers = [run.waits_for_id for run in made if run.waits_for_id]
    assert len(blockers) == len(set(blockers)), "each waits for the one before it"


@pytest.mark.django_db(transaction=True)
def test_a_run_launched_while_its_blocker_ends_is_not_forgotten() -> None:
    line = pipeline("wait")
    for _ in range(5):
        first = make_run(line)
        step = running(first)
        start = threading.Barrier(2)
        made: list[Run] = []

        def launch_now(start: threading.Barrier = start, made: list[Run] = made) -> None:
            start.wait(20)
            made.append(make_run(line))
            connection.close()

        thread = threading.Thread(target=launch_now)
        thread.start()
        start.wait(20)
        succeed(step)
        thread.join(60)
        assert is_ready(made[0]), "without the reconciler's help"
        succeed(running(made[0]))
