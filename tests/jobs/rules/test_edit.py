"""A rule is checked before it is saved, with a past run where there is one."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app

from jobs.models import Rule, Run
from jobs.rules.edit import BadRule, save_rule, switch_rule
from jobs.rules.rehearse import try_rule
from jobs.states import Occasion, Status, Wants
from tests.factories import AT, make_run, make_user
from tests.jobs.chains import ROWS, decisions, ended, make_rule, pipelines

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def refused(field: str, sources: Any, target: Any, **facts: Any) -> str:
    before = Rule.objects.count()
    with pytest.raises(BadRule) as bad:
        make_rule(sources, target, **facts)
    assert Rule.objects.count() == before
    return bad.value.fields[field]


def test_who_wrote_it_is_kept() -> None:
    a, b, *_ = pipelines()
    rule = Rule(name="x", target=b)
    olga, ada = make_user("olga", "admin"), make_user("ada", "admin")
    save_rule(rule, [a], at=AT, by=olga)
    save_rule(rule, [a], at=AT, by=ada)
    assert (rule.created_by, rule.edited_by) == (olga, ada)


@pytest.mark.parametrize(
    ("field", "facts", "sentence"),
    [
        ("condition", {"condition": "results..rows"}, "Character 9: “.” does not belong there."),
        ("mapping.dry", {"mapping": {"dry": "lest(`1`)"}}, "Character 1: there is no function lest()."),
        (
            "mapping.drry",
            {"mapping": {"drry": "`true`"}},
            "The project has no parameter of this name. Did you mean dry?",
        ),
        ("mapping", {"mapping": {"dry": 1}}, "Write an object"),
        ("handler", {"handler": "os.system('x')"}, "Write package.module:function."),
        ("node", {"node": "fetch"}, "Only a side job may start at a node's end"),
        ("node", {"node": "nothing", "is_side_job": True}, "a has no node of this name."),
        ("wants", {"node": "fetch", "is_side_job": True, "wants": Wants.ALL}, "waits for any of its sources"),
        ("outcome", {"node": "fetch", "is_side_job": True, "outcome": Occasion.PRODUCED}, "For a node, choose"),
        ("max_iterations", {"max_iterations": 0}, "At least 1."),
    ],
)
def test_what_cannot_be_saved(field: str, facts: dict[str, Any], sentence: str) -> None:
    a, b, *_ = pipelines()
    assert sentence in refused(field, [a], b, **facts)


def test_a_rule_without_sources_or_with_a_known_name() -> None:
    a, b, c, _ = pipelines()
    assert refused("sources", [], b) == "Choose at least one pipeline."
    make_rule([a], b, name="x")
    assert refused("name", [a], c, name="x") == "Another rule has this name."


@pytest.mark.parametrize(
    ("field", "facts", "sentence"),
    [
        ("condition", {"condition": "results.zip_file.rows"}, "A condition is true or false, and this one gives 40"),
        ("mapping.dry", {"mapping": {"dry": "add(results.nothing, `1`)"}}, "add() cannot take null"),
        (
            "mapping.options.top",
            {"mapping": {"options.top": "results.zip_file.rows"}},
            "40 is greater than the maximum",
        ),
        ("mapping.dry", {"mapping": {"dry": "results.zip_file.rows"}}, "Has to be true or false"),
    ],
)
def test_a_past_run_shows_what_cannot_be(field: str, facts: dict[str, Any], sentence: str) -> None:
    a, b, *_ = pipelines()
    run = ended(a, results=ROWS)
    found = refused(field, [a], b, **facts)
    assert found.startswith(f"With run #{run.pk}: ") and sentence in found


def test_a_loop_without_a_way_out_is_refused() -> None:
    a, b, c, _ = pipelines()
    assert "forever" in refused("condition", [a], a)
    make_rule([a], b)
    make_rule([b], c)
    assert "forever" in refused("condition", [c], a)
    rule = make_rule([c], a, condition="run.iteration < `9`")
    with pytest.raises(BadRule):
        save_rule(rule, [c], at=AT, condition="")
    off = make_rule([b], b, name="off", is_enabled=False, condition="run.iteration < `9`")
    Rule.objects.filter(pk=off.pk).update(condition="")
    with pytest.raises(BadRule):
        switch_rule(Rule.objects.get(pk=off.pk), is_enabled=True, at=AT)


# ---- trials


def test_a_trial_tells_what_would_be_and_starts_nothing() -> None:
    a, b, *_ = pipelines()
    mapping = {"options.top": "least(results.zip_file.rows, `30`)", "dry": "results.nothing"}
    rule = make_rule([a], b, condition="results.zip_file.rows > `10`", mapping=mapping)
    run = ended(a, results=ROWS)
    before = (Run.objects.count(), decisions())
    trial = try_rule(rule, run, AT)
    assert (trial.would_start, trial.reason, trial.condition) == (True, "It would start.", True)
    assert (trial.parameters, trial.missing) == ({"options.top": 30}, ["dry"])
    assert (Run.objects.count(), decisions()) == before


def test_a_trial_says_why_not() -> None:
    a, b, *_ = pipelines()
    rule = make_rule([a], b, condition="results.zip_file.rows > `10`")
    few = {"zip_file": {"rows": 3}}
    failed, small = ended(a, Status.FAILED, results=ROWS), ended(a, results=few)
    reasons = [try_rule(rule, run, AT).reason for run in (failed, small, make_run(a))]
    assert reasons == [
        f"Run #{failed.pk} failed, and the rule wants one that succeeds.",
        "The condition is false.",
        f"Run #{small.pk + 1} has not ended yet.",
    ]


def test_a_trial_of_a_join_takes_the_newest_of_the_others() -> None:
    a, b, _, d = pipelines()
    ended(a, results=ROWS), ended(b, results=ROWS)
    mapping = {"options.top": "divide(add(runs.a.results.zip_file.rows, runs.b.results.zip_file.rows), `4`)"}
    assert "20.0 is not" not in str(mapping)
    rule = make_rule([a, b], d, wants=Wants.ALL, mapping={"options.top": f"floor({mapping['options.top']})"})
    trial = try_rule(rule, Run.objects.filter(pipeline=b).get(), AT)
    assert trial.parameters == {"options.top": 20}
    assert trial.reason == "It would start when the other sources have ended like this, too."
