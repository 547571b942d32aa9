"""Expressions of rules: what they compute, what they refuse, and that none can hold up the end of a run."""

from __future__ import annotations

import time
from typing import Any

import pytest

from jobs.structure.expressions import BadExpression, Evaluation, parse

SEEN: dict[str, Any] = {
    "run": {"number": 812, "iteration": 3},
    "results": {"metrics": {"rows": 40}, "done": {"value": True}, "list": {"value": list(range(1000))}},
    "batches": {"keywords": {"waiting": 130}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("results.metrics.rows > `30`", True),
        ("results.metrics.rows > `30` && run.iteration < `3`", False),
        ("least(batches.keywords.waiting, `100`)", 100),
        ("greatest(`1`, `2`, `3`)", 3),
        ("add(run.number, `1`)", 813),
        ("subtract(batches.keywords.waiting, results.metrics.rows)", 90),
        ("floor(divide(batches.keywords.waiting, `100`))", 1),
        ("multiply(results.metrics.rows, `2`)", 80),
        ("if(results.done.value, 'yes', 'no')", "yes"),
        ("if(results.nothing.value, 'yes', 'no')", "no"),
        ("batches.nothing.waiting > `0`", None),
        ("run.number == `812`", True),
        ("'b' > 'a'", True),
        ("'b' > `1`", None),
    ],
)
def test_what_they_compute(text: str, value: Any) -> None:
    assert Evaluation(SEEN).value(text) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Write an expression."),
        ("results..rows", "Character 9: “.” does not belong there."),
        ("add(`1`, `2`", "Character 12: the expression ends too early."),
        ("a ^ b", "Character 3: Unknown token ^."),
        ("results.x | lest(@)", "Character 13: there is no function lest(). Did you mean least or values?"),
        ("add(`1`)", "Character 1: add() takes 2 values, not 1."),
        ("least()", "Character 1: least() takes at least 1 values, not 0."),
        ("(" * 900 + "a" + ")" * 900, "Nested deeper than 50 levels."),
        ("!" * 1900 + "a", "Nested deeper than 50 levels."),
        ("a" * 2001, "An expression has at most 2,000 characters; this one has 2,001."),
    ],
)
def test_what_cannot_be_read_says_where(text: str, sentence: str) -> None:
    with pytest.raises(BadExpression) as refused:
        parse(text)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("add(results.nothing, `1`)", "add() cannot take null (null)."),
        ("divide(`7`, `0`)", "divide(7, 0): nothing can be divided by 0."),
        ("add(results.metrics.rows, 'x')", 'add() cannot take "x" (string).'),
        ("if('x', `1`, `2`)", 'if() cannot take "x" (string).'),
        ("if(`1`, `1`, `2`)", "if() cannot take 1 (number)."),
    ],
)
def test_what_cannot_be_computed_says_why(text: str, sentence: str) -> None:
    with pytest.raises(BadExpression) as refused:
        Evaluation(SEEN).value(text)
    assert str(refused.value) == sentence


def test_a_condition_is_true_or_false() -> None:
    seen = Evaluation(SEEN)
    assert seen.holds("results.done.value") and not seen.holds("results.nothing")
    with pytest.raises(BadExpression, match="true or false, and this one gives 40: compare it"):
        seen.holds("results.metrics.rows")


@pytest.mark.parametrize(
    "text",
    [
        "|".join(["[@,@]"] * 48),
        "|".join(["[@,@]"] * 40) + "|to_string(@)",
        "|".join(["[@,@][]"] * 40),
        "|".join(["[@,@]"] * 16) + "|[@, @][?@ == `1`]",
        "`3`|" + "|".join(["multiply(@,@)"] * 48),
        "`9e200`|multiply(@,@)|multiply(@,@)",
        "map(&map(&@, results.list.value), results.list.value)",
        "results.list.value[*].[@,@][].[@,@][].[@,@][].[@,@][].[@,@][].[@,@][].[@,@][]",
        "results.list.value | map(&contains(`" + str(list(range(400))) + "`, to_string(@)), @) | map(&sort(@), [@,@])",
        "{a:results,b:results}|" + "|".join(["{a:@,b:@}"] * 47),
        "results.list.value[?contains(`[1]`, @) || to_string(@) == to_string(`{}`) || @ == `x`".replace("`x`", "'x'"),
    ],
)
def test_none_takes_long(text: str) -> None:
    began = time.process_time()
    with pytest.raises(BadExpression):
        Evaluation(SEEN).value(text)
    assert time.process_time() - began < 5, "bounded by counting, whatever the machine"


def test_one_firing_shares_what_its_expressions_may_cost() -> None:
    seen = Evaluation(SEEN)
    with pytest.raises(BadExpression, match="steps"):
        for _ in range(100):
            seen.value("map(&add(@, `1`), results.list.value)")


def test_a_run_that_left_too_much_is_refused() -> None:
    with pytest.raises(BadExpression, match="more than 200,000 values"):
        Evaluation({"results": {"x": {"value": list(range(200_001))}}})


def test_nothing_but_values_can_be_reached() -> None:
    for text in ("run.__class__", "results.keys", '"__globals__"', "run.number.__class__"):
        assert Evaluation(SEEN).value(text) is None
