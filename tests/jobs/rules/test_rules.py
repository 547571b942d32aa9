"""Rules fire in the transaction that ends a run: once, as they say, and never to the harm of that run."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from celery import current_app
from django.db import OperationalError, connection
from redis import Redis

from jobs.errors import LeaseLost
from jobs.models import Arrival, Firing, Pipeline, Rule, Run, Step
from jobs.runs.cancel import cancel
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.runs.retry import retry
from jobs.states import Cause, Correlate, Decision, Occasion, Overlap, Status, Wants
from jobs.steps.advance import Outcome, finish
from jobs.upkeep.reconcile import reconcile
from tests.factories import AT, make_run
from tests.jobs.at_work import running
from tests.jobs.chains import ROWS, decisions, end, ended, followers, make_rule, pipelines
from tests.jobs.upkeep.times import LATER

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sent(broker: Redis, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    messages: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: messages.extend(args))
    return messages


def test_the_end_of_a_run_starts_the_next(sent: list[int], django_capture_on_commit_callbacks: Any) -> None:
    a, b, *_ = pipelines()
    rule = make_rule([a], b)
    first = make_run(a)
    with django_capture_on_commit_callbacks(execute=True):
        end(first)
    (run,) = followers(b)
    assert (run.caused_by, run.root_number, run.iteration) == (first, first.pk, 1)
    assert run.cause_detail == f"rule to b after the end of run #{first.pk}"
    assert sent == [run.steps.get().pk]
    firing = Firing.objects.get()
    assert (firing.rule, firing.ended, firing.started) == (rule, first, run)
    assert decisions() == [(Decision.STARTED, f"Started run #{run.pk} of b.")]


def test_one_starts_three() -> None:
    a, b, c, d = pipelines()
    for target in (b, c, d):
        make_rule([a], target)
    ended(a)
    assert [len(followers(target)) for target in (b, c, d)] == [1, 1, 1]


def test_any_of_three_starts_one_each_time() -> None:
    a, b, c, d = pipelines()
    make_rule([a, b, c], d)
    for source in (a, b, c):
        ended(source)
    assert len(followers(d)) == 3


@pytest.mark.parametrize(
    ("outcome", "starting"),
    [
        (Occasion.SUCCEEDED, {Status.SUCCEEDED}),
        (Occasion.FAILED, {Status.FAILED, Status.CRASHED}),
        (Occasion.FINISHED, {Status.SUCCEEDED, Status.FAILED, Status.CRASHED, Status.CANCELLED}),
    ],
)
def test_the_kind_of_end_decides(outcome: Occasion, starting: set[Status]) -> None:
    a, b, *_ = pipelines()
    make_rule([a], b, outcome=outcome)
    for status in (Status.SUCCEEDED, Status.FAILED, Status.CRASHED):
        ended(a, status)
    stopped = make_run(a)
    step = running(stopped)
    cancel(stopped, at=AT, by="olga")
    finish(step, Outcome(Status.CANCELLED), token=step.lease_token, at=AT, by="w1")
    assert {run.caused_by.status for run in followers(b) if run.caused_by} == starting


@pytest.mark.parametrize(
    ("results", "is_something"),
    [
        (ROWS, True),
        ({"x": {"type": "json", "value": [1]}}, True),
        ({"x": {"type": "pickle"}}, True),
        ({"x": {"rows": 0}}, False),
        ({"x": {"value": []}}, False),
        ({}, False),
    ],
)
def test_to_produce_something_is_more_than_to_succeed(results: dict[str, Any], is_something: bool) -> None:
    a, b, *_ = pipelines()
    make_rule([a], b, outcome=Occasion.PRODUCED)
    ended(a, results=results)
    assert len(followers(b)) == is_something


def test_parameters_are_computed_from_results_and_parameters() -> None:
    a, b, *_ = pipelines()
    mapping = {"options.top": "least(results.zip_file.rows, `30`)", "api_url": "parameters.api_url", "dry": "no.thing"}
    make_rule([a], b, mapping=mapping, condition="results.zip_file.rows > `10`")
    ended(a, results=ROWS, parameters={"api_url": "http://there/"})
    (run,) = followers(b)
    assert run.parameters == {"options": {"top": 30}, "api_url": "http://there/"}


def test_a_false_condition_is_a_row() -> None:
    a, b, *_ = pipelines()
    make_rule([a], b, condition="results.zip_file.rows > `100`")
    ended(a, results=ROWS)
    assert followers(b) == []
    assert decisions() == [(Decision.UNMET, "The condition was false: results.zip_file.rows > `100`")]


@pytest.mark.parametrize(
    ("facts", "decision", "words"),
    [
        ({"mapping": {"options.top": "results.zip_file.rows"}}, Decision.REFUSED, "options.top: 40 is greater than"),
        ({"mapping": {"dry": "add(results.nothing, `1`)"}}, Decision.FAILED, "dry: add() cannot take null"),
        ({"condition": "results.zip_file.rows"}, Decision.FAILED, "condition: A condition is true or false"),
    ],
)
def test_what_goes_wrong_is_the_firings_and_not_the_runs(facts: Any, decision: Decision, words: str) -> None:
    a, b, c, _ = pipelines()
    rule = make_rule([a], b, **facts)
    make_rule([a], c)
    run = ended(a, results=ROWS)
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    ((found, sentence),) = decisions(rule)
    assert found == decision and words in sentence
    assert (followers(b), len(followers(c))) == ([], 1)


def test_a_project_that_cannot_run_refuses_and_the_end_stands() -> None:
    a, b, *_ = pipelines()
    make_rule([a], b)
    Pipeline.objects.filter(pk=b.pk).update(name="gone")
    assert ended(a).status == Status.SUCCEEDED
    assert decisions()[0][0] == Decision.REFUSED and "There is no pipeline “gone”" in decisions()[0][1]


def test_a_fault_of_ours_is_a_failed_firing(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.rules import fire

    def broken(*_: Any, **__: Any) -> None:
        Pipeline.objects.update(description="half done")
        raise KeyError("oops")

    monkeypatch.setattr(fire, "launch", broken)
    a, b, *_ = pipelines()
    make_rule([a], b)
    assert ended(a).status == Status.SUCCEEDED
    assert decisions() == [(Decision.FAILED, "It failed unexpectedly: KeyError: 'oops'")]
    assert not Pipeline.objects.exclude(description="").exists()


def test_a_run_that_left_very_much_starts_what_needs_none_of_it() -> None:
    a, b, c, _ = pipelines()
    make_rule([a], b)
    make_rule([a], c, condition="`true`")
    ended(a, results={"x": {"value": list(range(200_001))}})
    assert (len(followers(b)), len(followers(c))) == (1, 0)
    assert "more than 200,000 values" in decisions()[1][1]


# ---- ends by other doors


def test_a_run_that_never_began_ends_nothing() -> None:
    a, b, *_ = pipelines(overlap=Overlap.SKIP)
    make_rule([a], b, outcome=Occasion.FINISHED)
    waiting = make_run(a)
    assert make_run(a, cause=Cause.SCHEDULE).status == Status.CANCELLED  # skipped
    cancel(waiting, at=AT, by="olga")
    assert decisions() == []


def test_the_reconciler_fires_too() -> None:
    a, b, *_ = pipelines(crash_retries=0)
    make_rule([a], b, outcome=Occasion.FAILED)
    running(make_run(a))
    reconcile(LATER)
    reconcile(LATER)
    assert len(followers(b)) == 1
    stuck = make_run(a)
    step = running(stuck)
    step.end(Status.FAILED, step.lease_token, at=AT, by="w1", error="Half of an end.")
    reconcile(LATER)
    assert len(followers(b)) == 2


def test_a_follower_that_is_skipped_says_so() -> None:
    a, b, *_ = pipelines(overlap=Overlap.SKIP)
    make_rule([a], b)
    going = make_run(b)
    ended(a)
    (run,) = followers(b)
    assert run.status == Status.CANCELLED
    assert decisions() == [
        (Decision.REFUSED, f"Not started: run #{going.pk} of the same pipeline is queued, policy: skip.")
    ]


def test_a_loop_that_cancels_its_older_runs_ends() -> None:
    a, *_ = pipelines(overlap=Overlap.CANCEL)
    make_rule([a], a, outcome=Occasion.FINISHED, condition="run.iteration < `5`")
    ended(a)
    assert [run.status for run in followers(a)] == [Status.QUEUED]


def test_a_run_is_told_once_however_often_its_end_is() -> None:
    from jobs.rules.rules import run_ended

    a, b, *_ = pipelines()
    make_rule([a], b)
    run = ended(a)
    run_ended(run, AT)
    assert (len(followers(b)), Arrival.objects.count()) == (1, 1)


# ---- loops


def test_a_loop_goes_on_until_its_condition_says_stop() -> None:
    a, *_ = pipelines()
    make_rule([a], a, condition="run.iteration < `3`", mapping={"options.top": "add(run.iteration, `1`)"})
    run: Run | None = ended(a)
    while run := Run.objects.filter(status=Status.QUEUED).first():
        end(run)
    assert [(run.iteration, run.parameters["options"]["top"]) for run in followers(a)] == [(1, 1), (2, 2), (3, 3)]
    assert [decision for decision, _ in decisions()] == [Decision.STARTED] * 3 + [Decision.UNMET]


def test_a_loop_ends_at_its_cap() -> None:
    a, *_ = pipelines()
    make_rule([a], a, condition="`true`", max_iterations=2)
    ended(a)
    while run := Run.objects.filter(status=Status.QUEUED).first():
        end(run)
    assert len(followers(a)) == 2
    assert decisions()[-1] == (
        Decision.CAPPED,
        f"Run #{followers(a)[-1].pk} is already number 2 after the first of its chain, the rule's cap.",
    )


def test_a_rule_starts_so_many_in_an_hour() -> None:
    a, b, *_ = pipelines()
    make_rule([a], b, max_per_hour=2)
    for _ in range(3):
        ended(a)
    assert len(followers(b)) == 2
    assert decisions()[-1] == (Decision.CAPPED, "It has started 2 runs within an hour, the rule's cap.")


# ---- joins


def join(outcome: Occasion = Occasion.SUCCEEDED, **facts: Any) -> tuple[Run, list[Pipeline], Pipeline, Rule]:
    """x starts a, b and c; all three start d."""
    x, a, b, c, d = pipelines("xabcd")
    for source in (a, b, c):
        make_rule([x], source)
    rule = make_rule([a, b, c], d, wants=Wants.ALL, outcome=outcome, **facts)
    return ended(x), [a, b, c], d, rule


def test_three_start_one_when_the_last_has_ended() -> None:
    root, sources, d, rule = join(mapping={"options.top": "add(runs.a.results.zip_file.rows, `-15`)"})
    for source in sources:
        assert followers(d) == []
        end(followers(source)[0], results=ROWS)
    (run,) = followers(d)
    assert run.caused_by == followers(sources[2])[0]
    assert (run.root_number, run.parameters) == (root.pk, {"options": {"top": 25}})
    firing = Firing.objects.get(rule=rule)
    assert firing.key == f"root:{root.pk}"
    assert [arrival.run.pipeline.name for arrival in firing.arrivals.select_related("run__pipeline")] == ["a", "b", "c"]


def test_a_join_of_which_one_failed_waits_for_its_retry() -> None:
    _, (a, b, c), d, rule = join()
    end(followers(a)[0])
    failed = end(followers(b)[0], Status.FAILED, error="no")
    end(followers(c)[0])
    assert (followers(d), decisions(rule)) == ([], [])
    end(retry(failed, at=AT))
    assert len(followers(d)) == 1
    assert not Arrival.objects.filter(rule=rule, firing=None).exists(), "the failed one is used up, too"


def test_a_join_that_takes_any_end_does_not_wait() -> None:
    _, (a, b, c), d, _rule = join(Occasion.FINISHED, condition="runs.b.run.status == 'failed'")
    for source, status in ((a, Status.SUCCEEDED), (b, Status.FAILED), (c, Status.SUCCEEDED)):
        end(followers(source)[0], status, error="x")
    assert len(followers(d)) == 1
    end(retry(followers(b)[0], at=AT))
    assert len(followers(d)) == 1, "one retry alone is no new occasion"


def test_chains_of_different_roots_do_not_mix() -> None:
    a, b, _, d = pipelines()
    make_rule([a, b], d, wants=Wants.ALL)
    ended(a), ended(b)
    assert followers(d) == []


def test_a_join_by_tick_takes_what_one_tick_started() -> None:
    a, b, c, d = pipelines()
    make_rule([a, b, c], d, wants=Wants.ALL, correlate=Correlate.TICK)
    for tick in (AT, LATER):
        for source in (a, b):
            ended(source, cause=Cause.SCHEDULE, due_at=tick)
    last = ended(c, Status.FAILED, cause=Cause.SCHEDULE, due_at=LATER)
    ended(c)  # by hand: belongs to no tick
    assert followers(d) == []
    end(retry(last, at=LATER))
    (run,) = followers(d)
    assert (run.due_at, Firing.objects.get().key) == (LATER, f"tick:{LATER.isoformat()}")


def test_a_loop_of_a_join_fires_once_each_round() -> None:
    _, (a, b, c), d, rule = join()
    make_rule([d], a, name="again a", condition="run.iteration < `4`")
    make_rule([d], b, name="again b", condition="run.iteration < `4`")
    make_rule([d], c, name="again c", condition="run.iteration < `4`")
    while run := Run.objects.filter(status=Status.QUEUED).first():
        end(run)
    assert list(Firing.objects.filter(rule=rule).order_by("pk").values_list("generation", flat=True)) == [1, 2]
    assert len(followers(d)) == 2


# ---- rules that change while runs are under way


def test_a_rule_that_is_off_writes_down_what_it_would_have_answered_to() -> None:
    from jobs.rules.edit import switch_rule

    a, b, *_ = pipelines()
    rule = make_rule([a], b)
    under_way = make_run(a)
    switch_rule(rule, is_enabled=False, at=AT)
    end(under_way)
    assert decisions() == [(Decision.DISABLED, "The rule was off.")]
    switch_rule(rule, is_enabled=True, at=AT)
    ended(a)
    assert len(followers(b)) == 1


def test_a_join_that_was_off_for_a_while_misses_nobody() -> None:
    from jobs.rules.edit import switch_rule

    _, (a, b, c), d, rule = join()
    end(followers(a)[0])
    switch_rule(rule, is_enabled=False, at=AT)
    end(followers(b)[0])
    switch_rule(rule, is_enabled=True, at=AT)
    end(followers(c)[0])
    assert len(followers(d)) == 1


def test_a_join_that_loses_a_source_goes_at_once() -> None:
    from jobs.rules.edit import save_rule

    _, (a, b, c), d, rule = join()
    end(followers(a)[0])
    end(followers(b)[0])
    save_rule(rule, [a, b], at=AT)
    assert len(followers(d)) == 1
    save_rule(rule, [a, b, c], at=AT)
    end(followers(c)[0])
    assert len(followers(d)) == 1


def test_a_join_edited_to_take_failures_takes_the_one_that_was_there() -> None:
    from jobs.rules.edit import save_rule

    _, (a, b, c), d, rule = join()
    end(followers(a)[0]), end(followers(b)[0], Status.FAILED, error="no"), end(followers(c)[0])
    assert followers(d) == []
    save_rule(rule, [a, b, c], at=AT, outcome=Occasion.FINISHED)
    save_rule(rule, [a, b, c], at=AT)
    assert len(followers(d)) == 1


def test_a_deleted_rule_leaves_its_firings_and_starts_nothing() -> None:
    from jobs.rules.edit import delete_rule

    a, b, *_ = pipelines()
    rule = make_rule([a], b)
    ended(a)
    delete_rule(rule)
    ended(a)
    firing = Firing.objects.get()
    assert (firing.rule, firing.rule_name, firing.started) == (None, "to b", followers(b)[0])
    assert len(followers(b)) == 1


# ---- at once


def together(*stories: Any) -> None:
    barrier = threading.Barrier(len(stories))
    errors: list[BaseException] = []

    def one(story: Any) -> None:
        barrier.wait(20)
        try:
            story()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(story,)) for story in stories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


@pytest.mark.django_db(transaction=True)
def test_sources_of_a_join_that_end_at_once_start_it_once() -> None:
    a, b, c, d = pipelines()
    make_rule([a, b, c], d, wants=Wants.ALL, correlate=Correlate.TICK)
    for number in range(4):
        runs = [make_run(source, due_at=AT.replace(minute=number)) for source in (a, b, c)]
        steps = [running(run) for run in runs]
        together(*[lambda step=step: succeed(step) for step in steps])
        assert len(followers(d)) == number + 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("overlap", [Overlap.BOTH, Overlap.WAIT, Overlap.CANCEL, Overlap.SKIP])
def test_ends_and_launches_at_once_do_not_stand_in_each_others_way(overlap: Overlap) -> None:
    a, b, *_ = pipelines(overlap=overlap)
    make_rule([a, b], b, name="one", condition="run.iteration < `9`", outcome=Occasion.FINISHED)
    make_rule([a, b], a, name="other", condition="run.iteration < `9`", outcome=Occasion.FINISHED)
    for _ in range(4):
        steps = [running(run) for run in (make_run(a), make_run(b)) if not run.is_final and run.waits_for is None]
        starts = [lambda p=p: launch(Order(p, Cause.RULE), at=AT) for p in (a, b)]
        together(*starts, *[lambda step=step: succeed(step) for step in steps])
        for run in Run.objects.live():
            Run.objects.get(pk=run.pk).is_final or cancel(run, at=AT, by="test")
            for step in Step.objects.filter(run=run, status=Status.RUNNING):
                finish(step, Outcome(Status.CANCELLED), token=step.lease_token, at=AT, by="test")
        for run in Run.objects.live():
            Run.objects.get(pk=run.pk).is_final or cancel(run, at=AT, by="test")
    ends = Run.objects.filter(status=Status.SUCCEEDED).count()
    assert Firing.objects.filter(ended__status=Status.SUCCEEDED).count() == 2 * ends


def succeed(step: Step) -> None:
    finish(step, Outcome(Status.SUCCEEDED), token=step.lease_token, at=AT, by="w1")


@pytest.mark.django_db(transaction=True)
def test_a_rule_edited_and_deleted_while_runs_end_never_fires_twice() -> None:
    from jobs.rules.edit import delete_rule, save_rule

    a, b, *_ = pipelines()
    for _ in range(4):
        rule = make_rule([a], b)
        steps = [running(make_run(a)) for _ in range(4)]
        edits = [lambda r=rule: save_rule(Rule.objects.get(pk=r.pk), [a], at=AT, condition="run.number > `0`")] * 2
        before = len(followers(b))
        together(*edits, *[lambda step=step: succeed(step) for step in steps])
        assert len(followers(b)) == before + 4
        steps = [running(make_run(a)) for _ in range(3)]
        together(lambda r=rule: delete_rule(r), *[lambda step=step: succeed(step) for step in steps])
        started = Firing.objects.filter(rule_name="to b", ended__in=[step.run_id for step in steps])
        assert started.filter(started__isnull=False).count() == started.count() <= 3


# ---- death


class Death(BaseException):
    """The process ends here."""


@pytest.mark.django_db(transaction=True)
def test_a_death_at_any_query_of_the_end_leaves_all_of_it_or_none(broker: Redis) -> None:
    """The end is told again until it goes through; wherever it was cut, each successor starts once."""
    a, b, c, _ = pipelines()
    make_rule([a], b)
    make_rule([a], c)
    run = make_run(a)
    step = running(run)
    deaths = 0
    while _end_and_die_at(step, deaths + 1):
        deaths += 1
        if Run.objects.get(pk=run.pk).status == Status.SUCCEEDED:
            break  # it died after the commit
        assert (Run.objects.filter(caused_by=run).count(), Firing.objects.count(), Arrival.objects.count()) == (0, 0, 0)
    assert deaths > 40, "as many places as the end has queries"
    with pytest.raises(LeaseLost):
        succeed(step)
    reconcile(LATER)
    assert [len(followers(target)) for target in (b, c)] == [1, 1]
    assert not Step.objects.filter(status=Status.QUEUED, sent_at=None).exists()


def _end_and_die_at(step: Step, number: int) -> bool:
    count = 0

    def die(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal count
        count += 1
        if count == number:
            raise Death
        return execute(sql, params, many, context)

    try:
        with connection.execute_wrapper(die):
            succeed(step)
    except Death:
        return True
    return False


def test_a_database_that_is_away_in_the_middle_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.rules import fire

    a, b, *_ = pipelines()
    make_rule([a], b)
    step = running(make_run(a))
    with monkeypatch.context() as away:
        away.setattr(fire, "launch", lambda *_, **__: (_ for _ in ()).throw(OperationalError("locked")))
        with pytest.raises(OperationalError):
            succeed(step)
    assert Firing.objects.count() == 0
    succeed(step)
    assert len(followers(b)) == 1


def test_a_lost_message_is_no_lost_start(sent: list[int]) -> None:
    a, b, *_ = pipelines()
    make_rule([a], b)
    ended(a)  # the process dies between the commit and the message
    sent.clear()
    assert reconcile(LATER)
    assert sent == [followers(b)[0].steps.get().pk]


def test_where_there_is_no_rule_an_end_only_asks_for_them() -> None:
    a, *_ = pipelines()
    step = running(make_run(a))
    counting = _Counting()
    with connection.execute_wrapper(counting):
        succeed(step)
    assert sum("rule" in sql for sql in counting.queries) <= 2


class _Counting:
    def __init__(self) -> None:
        self.queries: list[str] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.queries.append(sql)
        return execute(sql, params, many, context)


@pytest.mark.parametrize("text", ['`"\\u0000"`', '`"\\ud800"`', "`1e999`", '`"${oc.env:HOME}"`'])
def test_what_no_row_can_hold_ends_in_a_sentence(text: str) -> None:
    a, b, *_ = pipelines()
    make_rule([a], b, mapping={"api_url": text})
    assert ended(a).status == Status.SUCCEEDED
    assert decisions()[0][0] == Decision.REFUSED
