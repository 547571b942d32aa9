"""Items are taken once, done with the run's good end and given back otherwise; counters are what the rows say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from jobs.batches.batches import Taken, counts, fail_item, finish_items, put, take
from jobs.batches.mend import disagreements, mend_items, recount
from jobs.batches.parked import drop_parked, prune_items, purge, put_back
from jobs.child.answer import answer
from jobs.errors import LeaseLost, RequestError
from jobs.models import BatchQueue, Item, Run, Taking
from jobs.runs.cancel import cancel
from jobs.states import ItemStatus, Status
from jobs.upkeep.reconcile import reconcile
from kedro_console import wire
from tests.factories import AT
from tests.jobs.batches.working import crash, end, rows, working

pytestmark = pytest.mark.django_db
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def counters_agree_with_rows(db: None) -> Iterator[None]:
    yield
    assert list(disagreements()) == []


def keys(batch: Taken) -> list[str]:
    return [item.key for item in batch.items]


def queue(name: str = "words") -> BatchQueue:
    return BatchQueue.objects.get(name=name)


def counters(name: str = "words") -> tuple[int, int, int, int]:
    found = queue(name)
    return found.waiting, found.taken, found.done, found.parked


# ---- put


def test_a_key_is_put_once_and_both_numbers_are_exact() -> None:
    first = put("words", rows(1500), at=AT)
    again = put("words", [*rows(10, start=1495), ("k01504", "a double"), ("x", None)], at=AT)
    assert (first.added, first.known) == (1500, 0)
    assert (again.added, again.known) == (6, 5)
    assert Item.objects.get(key="k01504").body == {"place": 1504}
    assert counters() == (1506, 0, 0, 0)


def test_a_done_key_is_known_too() -> None:
    put("words", rows(1), at=AT)
    step = working()
    take(step, "words", 1, at=AT)
    end(step)
    assert put("words", rows(1), at=AT).known == 1


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00b", 5, None])
def test_a_key_that_cannot_be_one_is_refused_and_nothing_is_put(key: str) -> None:
    with pytest.raises(RequestError, match="a key is text of 1 to 200 characters"):
        put("words", [("good", 1), (key, 2)], at=AT)
    assert not Item.objects.exists()


@pytest.mark.parametrize("name", ["", "../x", "a b", "-a", "x" * 81, "a/b"])
def test_a_name_that_cannot_be_in_an_address_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="letters, digits"):
        put(name, rows(1), at=AT)


def test_a_body_that_no_packet_carries_is_refused_by_its_key() -> None:
    with pytest.raises(RequestError, match="'large' has 100,012 bytes"):
        put("words", [("large", {"text": "x" * 100_000})], at=AT)


def test_what_a_database_does_not_take_is_cleaned() -> None:
    put("words", [("k", {"n": float("nan"), "t": "a\x00b\ud800"})], at=AT)
    assert Item.objects.get().body == {"n": "nan", "t": "a�b?"}


# ---- take, and the end of the run


def test_a_run_takes_the_oldest_and_they_are_done_with_its_good_end() -> None:
    put("words", rows(5), at=AT)
    step = working()
    batch = take(step, "words", 3, at=AT, node="ask")
    assert keys(batch) == ["k00000", "k00001", "k00002"]
    assert batch.items[0] == wire.TakenItem(batch.items[0].id, "k00000", {"place": 0}, 1)
    assert (batch.left, batch.has_more) == (2, False)
    assert counters() == (2, 3, 0, 0)
    end(step)
    assert counters() == (2, 0, 3, 0)
    assert sum(queue().paces(AT + MINUTE)) == 3


def test_two_runs_never_take_the_same_item() -> None:
    put("words", rows(5), at=AT)
    first, second = take(working(), "words", 3, at=AT), take(working(), "words", 3, at=AT)
    assert not set(keys(first)) & set(keys(second))
    assert len(first.items) + len(second.items) == 5


@pytest.mark.parametrize("status", [Status.FAILED, Status.CRASHED])
def test_a_bad_end_gives_back_in_their_old_place_and_parks_after_the_attempts(status: Status) -> None:
    put("words", rows(4), at=AT)
    BatchQueue.objects.update(max_attempts=2)
    for attempt in (1, 2):
        step = working()
        batch = take(step, "words", 2, at=AT)
        assert [item.attempt for item in batch.items] == [attempt, attempt]
        assert keys(batch) == ["k00000", "k00001"]
        end(step, status, "The API is away.")
    assert counters() == (2, 0, 0, 2)
    parked = Item.objects.parked().first()
    assert parked and (parked.error, parked.attempts, parked.finished_at) == ("The API is away.", 2, AT + MINUTE)
    assert keys(take(working(), "words", 9, at=AT)) == ["k00002", "k00003"]


def test_a_cancelled_run_gives_back_without_using_up_an_attempt() -> None:
    put("words", rows(1), at=AT)
    BatchQueue.objects.update(max_attempts=1)
    step = working()
    take(step, "words", 1, at=AT)
    cancel(step.run, at=AT, by="olga")
    end(step, Status.CANCELLED)
    item = Item.objects.get()
    assert (item.status, item.attempts) == (ItemStatus.WAITING, 0)
    assert item.error == "Cancelled by olga."


def test_a_failed_item_stays_with_its_run_and_then_goes_back_alone() -> None:
    put("words", rows(3), at=AT)
    step = working()
    batch = take(step, "words", 2, at=AT)
    fail_item(step.run, batch.items[0].id, "422: no such word")
    assert keys(take(step, "words", 9, at=AT)) == ["k00002"]
    end(step)
    assert counters() == (1, 0, 2, 0)
    item = Item.objects.get(key="k00000")
    assert (item.status, item.error, item.is_failed) == (ItemStatus.WAITING, "422: no such word", False)
    assert keys(take(working(), "words", 9, at=AT)) == ["k00000"]


def test_a_finished_item_is_done_whatever_becomes_of_the_run() -> None:
    put("words", rows(3), at=AT)
    step = working()
    batch = take(step, "words", 3, at=AT)
    assert finish_items(step.run, [batch.items[0].id, 999], AT) == 1
    end(step, Status.FAILED, "late")
    assert counters() == (2, 0, 1, 0)
    taking = Taking.objects.get()
    assert (taking.taken, taking.done, taking.given_back, taking.held) == (3, 1, 2, 0)


def test_what_another_run_holds_can_be_neither_finished_nor_failed() -> None:
    put("words", rows(1), at=AT)
    batch = take(working(), "words", 1, at=AT)
    other = working().run
    assert finish_items(other, [batch.items[0].id], AT) == 0
    with pytest.raises(RequestError, match="is not held by run"):
        fail_item(other, batch.items[0].id, "mine")


def test_a_queue_that_is_none_is_refused_with_the_nearest_name() -> None:
    put("keywords", rows(1), at=AT)
    with pytest.raises(RequestError, match="did you mean keywords"):
        take(working(), "keyword", 1, at=AT)


def test_an_answer_carries_what_fits_and_says_that_there_is_more() -> None:
    put("words", [(f"k{n}", "x" * 50_000) for n in range(5)], at=AT)
    step = working()
    first = take(step, "words", 5, at=AT)
    assert (keys(first), first.has_more) == (["k0", "k1"], True)
    second, third = take(step, "words", 3, at=AT), take(step, "words", 1, at=AT)
    assert (keys(second), second.has_more) == (["k2", "k3"], True)
    assert (keys(third), third.has_more) == (["k4"], False)


def test_a_run_may_hold_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.batches.batches.MOST_HELD", 3)
    put("words", rows(9), at=AT)
    step = working()
    batch = take(step, "words", 5, at=AT)
    assert (len(batch.items), batch.has_more) == (3, True)
    with pytest.raises(RequestError, match=r"call .done\(\)"):
        take(step, "words", 2, at=AT)
    finish_items(step.run, [batch.items[0].id], AT)
    assert len(take(step, "words", 5, at=AT).items) == 1


# ---- attempts of a step


def test_a_node_that_is_tried_again_gets_the_batch_that_it_had_and_then_new_items() -> None:
    put("words", rows(6), at=AT)
    step = working()
    had = take(step, "words", 2, at=AT, node="ask")
    again = crash(step)
    assert counters() == (4, 2, 0, 0)
    batch = take(again, "words", 5, at=AT, node="ask")
    assert batch.items == had.items
    assert keys(take(again, "words", 2, at=AT, node="ask")) == ["k00002", "k00003"]
    end(again)
    assert counters() == (2, 0, 4, 0)


def test_what_the_earlier_attempt_finished_or_failed_is_not_handed_out_again() -> None:
    put("words", rows(3), at=AT)
    step = working()
    batch = take(step, "words", 3, at=AT)
    finish_items(step.run, [batch.items[0].id], AT)
    fail_item(step.run, batch.items[1].id, "no")
    assert keys(take(crash(step), "words", 3, at=AT)) == ["k00002"]


def test_another_node_of_the_run_never_gets_the_batch_of_this_one() -> None:
    put("words", rows(4), at=AT)
    step = working()
    take(step, "words", 2, at=AT, node="one")
    again = crash(step)
    assert keys(take(again, "words", 2, at=AT, node="two")) == ["k00002", "k00003"]
    assert keys(take(again, "words", 2, at=AT, node="one")) == ["k00000", "k00001"]


def test_who_lost_the_lease_takes_nothing() -> None:
    put("words", rows(1), at=AT)
    step = working()
    token = step.lease_token
    again = crash(step)
    asked = wire.Asked(0.0, 1, "items_taken", "ask", {"queue": "words", "count": 1})
    assert token
    with pytest.raises(LeaseLost):
        answer(step, token, asked, AT)
    assert again.lease_token
    assert answer(again, again.lease_token, asked, AT).data["items"][0]["key"] == "k00000"


def test_a_node_asks_for_all_of_it_by_questions() -> None:
    step = working()

    def ask(what: str, **data: wire.Json) -> wire.Answered:
        assert step.lease_token
        return answer(step, step.lease_token, wire.Asked(0.0, 1, what, "n", data), AT)

    items = [{"key": key, "body": body} for key, body in rows(3)]
    assert ask("items_put", queue="words", items=items).data == {"added": 3, "known": 0}
    taken = ask("items_taken", queue="words", count=2, node="n").data
    assert (len(taken["items"]), taken["left"], taken["more"]) == (2, 1, False)
    assert ask("item_done", id=taken["items"][0]["id"]).data == 1
    assert ask("item_failed", id=taken["items"][1]["id"], error="no").error == ""
    assert ask("queue_described", queue="words").data == {"waiting": 1, "taken": 1, "done": 1, "parked": 0}
    assert "There is no batch queue" in ask("items_taken", queue="wrods2", count=1).error
    assert "ask for at least one" in ask("items_taken", queue="words", count=0).error
    assert "not understood" in ask("items_taken", queue="words", count="many").error
    assert "not understood" in ask("items_put", queue="words", items=[{"key": "x"}]).error


def test_a_rule_sees_the_counters_and_what_the_run_did() -> None:
    step = working()
    put("words", rows(5), at=AT, run=step.run)
    take(step, "words", 2, at=AT)
    run = end(step)
    put("others", rows(1), at=AT)
    assert counts(run)["words"] == {
        "waiting": 3, "taken": 0, "done": 2, "parked": 0,
        "put_by_run": 5, "taken_by_run": 2, "done_by_run": 2, "parked_by_run": 0, "given_back_by_run": 0,
    }  # fmt: skip
    assert counts(run)["others"]["taken_by_run"] == 0


# ---- parked, purged, pruned


def parked(number: int = 4) -> BatchQueue:
    put("words", rows(number), at=AT)
    BatchQueue.objects.update(max_attempts=1)
    step = working()
    batch = take(step, "words", number, at=AT)
    for item in batch.items:
        fail_item(step.run, item.id, "odd" if item.body["place"] % 2 else "even")
    end(step)
    return queue()


def test_parked_items_go_back_one_like_this_or_all_with_all_their_attempts() -> None:
    words = parked(7)
    assert counters() == (0, 0, 0, 7)
    assert put_back(words, key="k00000") == 1
    assert put_back(words, like="odd") == 3
    assert counters() == (4, 0, 0, 3)
    assert put_back(words) == 3
    batch = take(working(), "words", 9, at=AT)
    assert len(batch.items) == 7
    assert {item.attempt for item in batch.items} == {1}


def test_dropped_items_are_gone_and_their_keys_can_be_put_in_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.batches.parked.CHUNK", 2)
    words = parked(5)
    assert (drop_parked(words, like="odd"), drop_parked(words), drop_parked(words)) == (2, 3, 0)
    assert put("words", rows(5), at=AT).added == 5


def test_waiting_done_and_parked_items_can_be_purged_but_not_those_that_a_run_holds() -> None:
    put("words", rows(5), at=AT)
    take(working(), "words", 2, at=AT)
    assert purge(queue(), "waiting") == 3
    with pytest.raises(RequestError, match="cannot be purged"):
        purge(queue(), "taken")
    assert counters() == (0, 2, 0, 0)


def test_done_items_are_pruned_by_age_and_what_a_run_did_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.batches.parked.CHUNK", 3)
    put("words", rows(10), at=AT)
    step = working()
    take(step, "words", 8, at=AT)
    end(step)
    Item.objects.filter(key__gte="k00006").exclude(finished_at=None).update(finished_at=AT + 2 * DAY)
    assert prune_items(AT + 100 * DAY) == 0
    BatchQueue.objects.update(keep_days=7)
    assert prune_items(AT + 8 * DAY) == 6
    assert counters() == (2, 0, 2, 0)
    assert Taking.objects.get().done == 8
    assert prune_items(AT + 8 * DAY) == 0


# ---- mending


def test_the_items_of_a_run_that_was_deleted_go_back() -> None:
    put("words", rows(2), at=AT)
    step = working()
    take(step, "words", 2, at=AT)
    number = step.run_id
    Run.objects.filter(pk=number).delete()
    assert "has ended and holds 2 items" in " ".join(disagreements())
    assert reconcile(AT) >= 1
    assert counters() == (2, 0, 0, 0)
    assert Item.objects.first().error == f"Run #{number}, which had taken it, was deleted."  # type: ignore[union-attr]
    assert mend_items(AT) == 0
    prune_items(AT)
    assert not Taking.objects.exists()


def test_items_that_an_ended_run_still_holds_are_settled_as_it_ended() -> None:
    put("words", rows(2), at=AT)
    step = working()
    take(step, "words", 2, at=AT)
    Run.objects.filter(pk=step.run_id).update(status=Status.SUCCEEDED, finished_at=AT)
    assert mend_items(AT) == 1
    assert counters() == (0, 0, 2, 0)


def test_counters_that_were_spoilt_do_not_keep_a_run_from_ending_and_are_mended() -> None:
    put("words", rows(4), at=AT)
    step = working()
    take(step, "words", 3, at=AT)
    BatchQueue.objects.update(taken=1, first_id=10**9)
    assert len(list(disagreements())) == 2  # the number of those taken, and the first that waits
    assert end(step).status == Status.SUCCEEDED
    assert counters() == (1, 0, 3, 0)
    BatchQueue.objects.update(waiting=9)
    assert recount(queue()).waiting == 1


def test_no_counter_can_be_negative() -> None:
    put("words", rows(1), at=AT)
    with pytest.raises(IntegrityError, match="not_negative"), transaction.atomic():
        BatchQueue.objects.update(parked=-1)
