"""A firing that waits for its handler is a row: asked for again, leased to one, decided once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from celery import current_app

from jobs.errors import LeaseLost, ProjectError
from jobs.models import Firing, Rule
from jobs.rules.decide import LEASE, MOST_TRIES, decide, read
from jobs.rules.edit import delete_rule
from jobs.states import Decision
from jobs.upkeep.reconcile import DECISION_PATIENCE, reconcile
from tests.factories import AT
from tests.jobs.chains import ended, followers, make_rule, pipelines

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    messages: list[int] = []
    asked = {"jobs.decide": messages}
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **_: asked.get(name, []).extend(args))
    return messages


def deciding() -> Firing:
    a, b, *_ = pipelines()
    make_rule([a], b, handler="shop.next:decide")
    ended(a)
    return Firing.objects.get()


def test_it_waits_as_a_row_and_nothing_is_started() -> None:
    firing = deciding()
    assert (firing.decision, firing.decided_at, firing.started) == (Decision.DECIDING, None, None)


def test_a_lost_message_is_sent_again(sent: list[int]) -> None:
    firing = deciding()
    reconcile(AT)
    assert sent == [firing.pk]
    Firing.objects.update(sent_at=AT)
    reconcile(AT + DECISION_PATIENCE / 2)
    assert sent == [firing.pk]
    reconcile(AT + 2 * DECISION_PATIENCE)
    assert sent == [firing.pk] * 2


def test_of_two_that_ask_one_does(sent: list[int]) -> None:
    firing = deciding()
    assert firing.claim(at=AT, lease=LEASE)
    assert firing.claim(at=AT, lease=LEASE) is None
    assert not decide(firing.pk, AT)
    reconcile(AT + LEASE / 2)
    assert sent == [], "somebody asks it"


def test_who_lost_its_lease_writes_nothing() -> None:
    firing = deciding()
    first = firing.claim(at=AT, lease=LEASE)
    late = AT + LEASE + timedelta(seconds=1)
    second = firing.claim(at=late, lease=LEASE)
    with pytest.raises(LeaseLost):
        firing.decide(Decision.UNMET, "too late", at=late, token=first)
    firing.decide(Decision.UNMET, "no", at=late, token=second)
    with pytest.raises(LeaseLost):
        firing.decide(Decision.STARTED, "twice", at=late, token=second)
    assert not decide(firing.pk, late)


def test_a_handler_that_no_worker_survives_is_given_up() -> None:
    firing = deciding()
    Firing.objects.update(tries=MOST_TRIES)
    reconcile(AT)
    firing.refresh_from_db()
    assert (firing.decision, firing.sentence) == (
        Decision.FAILED,
        "3 workers were lost while its handler ran: it is given up.",
    )


def test_a_rule_deleted_meanwhile_starts_nothing() -> None:
    firing = deciding()
    delete_rule(Rule.objects.get())
    assert decide(firing.pk, AT)
    firing.refresh_from_db()
    assert (firing.decision, firing.sentence) == (
        Decision.REFUSED,
        "The rule was deleted before its handler had answered.",
    )


def test_a_rule_turned_off_meanwhile_starts_nothing() -> None:
    firing = deciding()
    Rule.objects.update(handler="", is_enabled=False)
    assert decide(firing.pk, AT)
    firing.refresh_from_db()
    assert (firing.decision, firing.started) == (Decision.DISABLED, None)


def test_what_goes_wrong_while_asking_is_the_firings_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.rules import scope

    def broken(*_: object) -> None:
        raise KeyError("no \x00 counts")

    firing = deciding()
    monkeypatch.setitem(scope.MORE, "batches", broken)
    assert decide(firing.pk, AT)
    firing.refresh_from_db()
    assert firing.decision == Decision.FAILED and "It could not be asked: KeyError" in firing.sentence


def test_a_rule_that_has_no_handler_any_more_starts_with_what_was_computed() -> None:
    firing = deciding()
    Rule.objects.update(handler="")
    assert decide(firing.pk, AT)
    firing.refresh_from_db()
    assert firing.decision == Decision.STARTED and firing.started in followers(firing.started.pipeline)  # type: ignore[union-attr]


@pytest.mark.parametrize("value", [None, True, [], {}, {"start": 1}, {"start": True, "parameters": [1]}])
def test_what_is_no_answer(value: object) -> None:
    with pytest.raises(ProjectError, match=r"shop\.next:decide gave"):
        read(value, "shop.next:decide")


def test_an_answer() -> None:
    answer = read({"start": True, "parameters": {"rows": 3}, "reason": "three left"}, "shop.next:decide")
    assert (answer.start, answer.parameters, answer.reason) == (True, {"rows": 3}, "three left")
