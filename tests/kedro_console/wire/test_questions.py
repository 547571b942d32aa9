"""Questions and replies travel as the plain JSON that older and newer sides understand too."""

from __future__ import annotations

import dataclasses
import json

import pytest

from kedro_console import wire
from kedro_console.wire.questions import QUESTIONS

ITEM = {"id": 1, "key": "a", "body": {"n": 1}, "attempt": 2}
ASKED = [
    (wire.DescribeRun(), "run_described", {}),
    (wire.TakeGrant("chat", 2, 5, 7, "n"), "grant_taken",
     {"quota": "chat", "requests": 2, "rows": 5, "place": 7, "node": "n"}),
    (wire.SettleGrant(7, 429, 1.5, 99.0), "grant_settled",
     {"grant": 7, "status": 429, "retry_after_seconds": 1.5, "monotonic": 99.0}),
    (wire.PutItems("q", [wire.NewItem("a", [1])]), "items_put", {"queue": "q", "items": [{"key": "a", "body": [1]}]}),
    (wire.TakeItems("q", 3, "n"), "items_taken", {"queue": "q", "count": 3, "node": "n"}),
    (wire.FinishItems([1, 2]), "items_done", {"ids": [1, 2]}),
    (wire.FailItem(1, "no"), "item_failed", {"id": 1, "error": "no"}),
    (wire.DescribeQueue("q"), "queue_described", {"queue": "q"}),
    (wire.ReadAnswer(1, 60), "replay_answer", {"place": 1, "start": 60}),
]  # fmt: skip
REPLIED = [
    (wire.DescribeRun, wire.RunDescribed(3, "p", "manual", 0),
     {"number": 3, "pipeline": "p", "cause": "manual", "iteration": 0}),
    (wire.TakeGrant, wire.Granted(7), {"granted": True, "grant": 7}),
    (wire.TakeGrant, wire.InLine(5.5, 0.5, True, "R.", 7),
     {"granted": False, "at": 5.5, "seconds": 0.5, "is_known": True, "reason": "R.", "place": 7}),
    (wire.SettleGrant, None, None),
    (wire.PutItems, wire.ItemsPut(2, 1), {"added": 2, "known": 1}),
    (wire.TakeItems, wire.ItemsTaken([wire.TakenItem(1, "a", {"n": 1}, 2)], True, 4),
     {"items": [ITEM], "more": True, "left": 4}),
    (wire.FinishItems, 2, 2),
    (wire.FailItem, None, None),
    (wire.DescribeQueue, wire.QueueDescribed(1, 2, 3, 4), {"waiting": 1, "taken": 2, "done": 3, "parked": 4}),
    (wire.ReadAnswer, None, None),
    (wire.ReadAnswer, wire.AnswerPart("GET", "http://h/", 200, "x", None),
     {"method": "GET", "url": "http://h/", "status": 200, "text": "x", "next": None}),
]  # fmt: skip


@pytest.mark.parametrize(("question", "what", "data"), ASKED, ids=lambda part: part if isinstance(part, str) else "")
def test_a_question_is_read_as_it_was_asked(question, what, data):
    assert (question.what, json.loads(json.dumps(question.to_data()))) == (what, data)
    assert wire.read_question(what, data) == question


@pytest.mark.parametrize(("question", "reply", "data"), REPLIED, ids=lambda part: getattr(part, "__name__", ""))
def test_a_reply_is_read_as_it_was_given(question, reply, data):
    assert json.loads(json.dumps(wire.said(reply))) == data
    assert question.reply(data) == reply


def test_every_question_is_known_by_its_name_and_frozen():
    assert {what for _, what, _ in ASKED} == QUESTIONS.keys() - {"item_done"}
    for cls in QUESTIONS.values():
        assert dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen


def test_an_older_child_is_understood():
    assert wire.read_question("item_done", {"id": 4}) == wire.FinishItems([4])
    assert wire.read_question("grant_taken", {"quota": "chat"}) == wire.TakeGrant("chat")
    assert wire.read_question("items_taken", {"queue": "q", "count": 3}) == wire.TakeItems("q", 3)


def test_what_a_newer_side_says_beyond_is_dropped():
    assert wire.read_question("queue_described", {"queue": "q", "colour": "red"}) == wire.DescribeQueue("q")
    assert wire.PutItems.reply({"added": 1, "known": 2, "colour": "red"}) == wire.ItemsPut(1, 2)


@pytest.mark.parametrize(
    ("what", "data", "said"),
    [
        ("weather", {}, "The console has no answer to “weather”: update it."),
        ("grant_taken", {"quota": "chat", "requests": "five"}, "requests: write a whole number, not five."),
        ("grant_taken", {"quota": "chat", "rows": -1}, "rows: write a whole number, not -1."),
        ("grant_taken", {}, "The question is not understood: KeyError('quota')."),
        ("items_taken", {"queue": "q", "count": "many"}, "The question is not understood: ValueError("),
        ("items_put", {"queue": "q", "items": [{"key": "x"}]}, "The question is not understood: KeyError('body')."),
        ("items_put", {"queue": "q", "items": 7}, "The question is not understood: TypeError("),
    ],
)
def test_a_question_that_nobody_understands_is_refused_with_a_sentence(what, data, said):
    with pytest.raises(wire.BadQuestion) as refused:
        wire.read_question(what, data)
    assert str(refused.value).startswith(said)


def test_a_reply_that_is_none_is_said_to_be_none():
    with pytest.raises(wire.WireError, match="Not a reply"):
        wire.PutItems.reply({"added": 1})


@pytest.mark.parametrize("nonsense", ["soon", float("nan"), float("inf"), True])
def test_nonsense_about_an_answer_is_left_out(nonsense):
    data = {"grant": 1, "status": 7, "retry_after_seconds": nonsense, "monotonic": nonsense}
    assert wire.read_question("grant_settled", data) == wire.SettleGrant(1)
