"""A step ends and the next one of its run is claimed in one transaction, when that is whose turn it is."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs.errors import LeaseLost
from jobs.models import Pipeline, Run, Snapshot, Step, Worker
from jobs.runs.cancel import cancel
from jobs.states import Status
from jobs.steps import dispatch
from jobs.steps.advance import Outcome
from jobs.steps.collect import Collector
from jobs.steps.hand_on import Claim, HandedOn, another, claim, go_on
from jobs.steps.leases import LEASES, Leases
from jobs.steps.request_for_child import pinned_versions, request_for
from kedro_console import wire
from tests.factories import AT, content, make_project, make_run, node

pytestmark = pytest.mark.django_db
LATER = AT + timedelta(seconds=5)
WIDTH = 3
DONE = Outcome(Status.SUCCEEDED, facts={"peak_memory_bytes": 7})


@pytest.fixture
def fan() -> Pipeline:
    """split → part_0, part_1, part_2 → join; `stored` is versioned."""
    parts = [f"part_{number}" for number in range(WIDTH)]
    nodes = [
        node("split", ["params:options"], ["words"]),
        *(node(part, ["words"], [f"of_{part}"]) for part in parts),
        node("join", [f"of_{part}" for part in parts], ["joined"]),
    ]
    fan = {"name": "fan", "nodes": nodes, "inputs": [], "outputs": ["joined"], "parameters": ["options"]}
    project = make_project()
    Snapshot.objects.create(project=project, revision="r", content=content(pipelines=[fan]), taken_at=AT)
    return Pipeline.objects.create(project=project, name="fan", runner="distributed", overlap="both")


def begun(run: Run, position: int = 0) -> Claim:
    step = run.steps.select_related("run__pipeline__project").get(position=position)
    return claim(step, at=AT, worker_name="w1")


def ending(mine: Claim, *, at: datetime = LATER, outcome: Outcome = DONE) -> HandedOn | None:
    collector = Collector(mine.step, mine.token, set())
    for name in mine.step.nodes:
        collector.take(wire.NodeStarted(AT.timestamp(), name))
        collector.take(wire.NodeFinished(AT.timestamp(), name, 0.1))
    return go_on(mine, outcome, collector.writer, at=at, worker_name="w1")


def going_on(mine: Claim, **facts: Any) -> Claim | None:
    ended = ending(mine, **facts)
    return ended and ended.following


def statuses(run: Run) -> list[str]:
    return list(run.steps.order_by("position", "attempt").values_list("status", flat=True))


def test_the_next_step_is_claimed_with_a_lease_of_its_own(fan: Pipeline) -> None:
    run = make_run(fan)
    first = begun(run)
    second = going_on(first)
    assert second is not None and second.token != first.token
    assert statuses(run) == ["succeeded", "running", "queued", "queued", "queued"]
    step = run.steps.get(position=1)
    assert (step.lease_token, step.worker_name, step.started_at) == (second.token, "w1", LATER)
    assert [t.to_status for t in step.transitions.all()] == ["running"]
    assert set(second.others) == set(run.steps.filter(position__in=[2, 3]).values_list("pk", flat=True))
    run.refresh_from_db()
    assert (run.nodes_done, run.peak_memory_bytes, run.status) == (1, 7, Status.RUNNING)
    assert run.events.count() == 2


def test_the_last_part_goes_on_with_what_joins_them(fan: Pipeline) -> None:
    run = make_run(fan)
    mine: Claim | None = begun(run)
    for position in range(1, 5):
        assert mine
        mine = going_on(mine)
        assert mine and mine.step.position == position
    assert ending(mine) is None, "nothing is left to go on with"
    assert statuses(run) == ["succeeded"] * 4 + ["running"], "and then nothing was written: its process ends first"


def test_a_step_that_nothing_follows_yet_ends_before_its_process_so_that_the_last_part_finds_the_join(
    fan: Pipeline,
) -> None:
    run = make_run(fan)
    first = going_on(begun(run))
    assert first
    second, third = begun(run, 2), begun(run, 3)
    for mine in (first, second):
        assert ending(mine) == HandedOn(following=None, ready=[])
    assert statuses(run) == ["succeeded"] * 3 + ["running", "queued"]
    last = going_on(third)
    assert last and last.step.position == 4


def test_what_becomes_ready_and_is_the_turn_of_others_is_told_to_them(fan: Pipeline) -> None:
    run = make_run(fan)
    run.steps.filter(position__gt=0).update(queue="gpu")
    parts = list(run.steps.filter(position__in=[1, 2, 3]).values_list("pk", flat=True))
    assert ending(begun(run)) == HandedOn(following=None, ready=parts)


def test_no_step_follows_when_somebody_asked_to_stop(fan: Pipeline) -> None:
    run = make_run(fan)
    mine = begun(run)
    cancel(run, at=AT, by="olga")
    assert ending(mine) is None
    assert statuses(run) == ["running"] + ["cancelled"] * 4


def test_what_another_has_by_now_is_refused_whole(fan: Pipeline) -> None:
    run = make_run(fan)
    mine = begun(run)
    Step.objects.filter(pk=mine.step.pk).update(lease_token=uuid.uuid4())
    with pytest.raises(LeaseLost):
        going_on(mine)
    assert statuses(run) == ["running"] + ["queued"] * 4
    assert not run.steps.filter(position__gt=0, ready_at__isnull=False).exists()
    assert not run.events.exists()


def test_a_run_that_has_waited_longer_comes_first(fan: Pipeline) -> None:
    run = make_run(fan)
    mine = begun(run)
    make_run(fan, at=AT + timedelta(seconds=1))
    ended = ending(mine)
    assert ended and ended.following is None and len(ended.ready) == WIDTH


def test_a_run_that_came_later_waits(fan: Pipeline) -> None:
    run = make_run(fan)
    second = going_on(begun(run))
    make_run(fan, at=LATER + timedelta(seconds=1))
    assert second and going_on(second, at=LATER + timedelta(seconds=2))


@pytest.mark.parametrize(
    ("facts", "may"),
    [
        ({"priority": 1}, False),
        ({"priority": 9}, True),
        ({"queue": "other"}, True),
        ({"eligible_at": AT + timedelta(hours=1)}, True),
    ],
)
def test_the_turn_is_that_of_the_queue(fan: Pipeline, facts: dict[str, Any], may: bool) -> None:
    run, other = make_run(fan), make_run(fan)
    other.steps.filter(position=0).update(ready_at=AT - timedelta(minutes=1), **facts)
    assert (going_on(begun(run)) is not None) is may


def test_a_step_of_another_queue_and_another_attempt_are_left_to_others(fan: Pipeline) -> None:
    run = make_run(fan)
    run.steps.filter(position=1).update(queue="gpu")
    run.steps.filter(position=2).update(attempt=2)
    assert going_on(begun(run)) is None, "the next in turn is another attempt: it gets a process of its own"
    run.steps.filter(position=2).update(attempt=1)
    following = going_on(begun(run, 2))
    assert following and following.step.position == 3


def test_a_late_message_takes_the_next_step_of_the_run(fan: Pipeline) -> None:
    run = make_run(fan)
    mine = going_on(begun(run))
    assert mine
    found = another(mine.step.pk, LATER)
    assert found and found.position == 2
    cancel(run, at=LATER, by="olga")
    assert another(mine.step.pk, LATER) is None


def test_a_worker_that_takes_nothing_goes_on_with_nothing() -> None:
    leases = Leases()
    assert leases.may_go_on
    leases.is_taking = False
    assert not leases.may_go_on


def test_a_lease_taken_while_the_worker_ends_is_handed_back(fan: Pipeline) -> None:
    leases, mine = Leases(), begun(make_run(fan))
    leases.hand_back()
    with leases.hold(mine.step, mine.token, since=mine.since) as hold:
        assert hold.is_handed_back


def test_more_steps_than_slots_are_too_many_to_go_on(fan: Pipeline) -> None:
    leases, mine = Leases(), begun(make_run(fan))
    leases.slots = 1
    with leases.hold(mine.step, mine.token, since=0.0):
        assert leases.may_go_on
        with leases.hold(mine.step, uuid.uuid4(), since=0.0):
            assert not leases.may_go_on
    assert LEASES.may_go_on


def test_celery_hears_of_as_many_steps_as_there_are_slots(
    fan: Pipeline, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    told: list[int] = []
    monkeypatch.setattr(dispatch.current_app, "send_task", lambda name, arguments, **_: told.extend(arguments))
    monkeypatch.setattr(dispatch.clock, "now", lambda: LATER)
    facts = {"queues": ["default"], "started_at": AT, "heartbeat_at": LATER, "pid": 1, "host": "h"}
    Worker.objects.create(name="two", slots=2, **facts)
    Worker.objects.create(name="paused", slots=8, is_taking=False, **facts)
    steps = list(make_run(fan).steps.values_list("pk", flat=True))
    dispatch.send_all(steps[:4])
    assert told == steps[:2]
    told.clear()
    Step.objects.filter(pk__in=steps[1:]).update(ready_at=AT)
    dispatch.call_for_work(["default"], 3, LATER)
    assert told == steps[:3], "a worker that begins hears of what waits"


def test_only_a_distributed_step_may_be_followed(fan: Pipeline) -> None:
    one, many = make_run(fan, runner="sequential"), make_run(fan)
    assert not request_for(begun(one).step, 0.0).may_go_on
    assert request_for(begun(many).step, 0.0).may_go_on


def test_versions_are_looked_for_only_where_something_is_versioned(
    fan: Pipeline, django_assert_num_queries: Any
) -> None:
    run = make_run(fan)
    mine = begun(run)
    run.events.create(
        step=mine.step, seq=1, at=AT, kind="dataset_saved", node="part_0", data={"dataset": "raw_data", "version": "v1"}
    )
    run.node_runs.filter(name="part_0").update(status="succeeded")
    assert pinned_versions(mine.step) == {"raw_data": "v1"}
    plain = content(datasets=[], pipelines=run.snapshot.content["pipelines"])
    run.snapshot = Snapshot.objects.create(project=fan.project, revision="s", content=plain, taken_at=AT)
    step = mine.step
    step.run.snapshot = run.snapshot
    pinned_versions(step)  # reads the snapshot, once
    with django_assert_num_queries(0):
        assert pinned_versions(step) == {}


def test_the_results_of_a_step_that_is_followed_are_kept(fan: Pipeline) -> None:
    run = make_run(fan)
    mine = begun(run)
    assert going_on(mine, outcome=replace(DONE, results={"words": {"rows": 2}}))
    run.refresh_from_db()
    assert run.results == {"words": {"rows": 2}}
