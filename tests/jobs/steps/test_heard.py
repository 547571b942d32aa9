"""What is heard of a child is plain facts: no row is read or written for it."""

from __future__ import annotations

import typing

import pytest

from jobs.states import NodeStatus
from jobs.steps.heard import NO_EVENTS, Heard
from jobs.steps.node_facts import NodeFacts, StopReason
from kedro_console import wire

BEGUN = wire.ChildStarted(0.0, 7, "fork", "new", "1.7.0", "3.11.7", packages="p")
FAILURE = wire.Failure("ValueError", "no", [wire.Frame("src/a.py", 3, "f", "x", True)])
SAMPLES: dict[type[wire.AnyMessage], wire.AnyMessage] = {
    type(message): message
    for message in (
        BEGUN,
        wire.StepRefused(0.0, "broken", "No."),
        wire.RunStarted(0.0, ["fetch"], {}, {}),
        wire.NodesSkipped(0.0, ["fetch"]),
        wire.NodeStarted(0.0, "fetch"),
        wire.NodeFinished(0.0, "fetch", 1.0),
        wire.NodeFailed(0.0, "fetch", 1.0, FAILURE),
        wire.DatasetLoaded(0.0, "d", "fetch", "t", 0.1),
        wire.DatasetSaved(0.0, "d", "fetch", "t", 0.1),
        wire.ProgressMade(0.0, "fetch", "l", 1, 2),
        wire.Asked(0.0, 1, "weather", "fetch"),
        wire.RequestsCounted(0.0, []),
        wire.RequestMade(0.0, "c", "fetch", "httpx", "GET", "http://h/", "h"),
        wire.RequestRecovered(0.0, "c", "fetch", []),
        wire.FileKept(0.0, "fetch", wire.KeptFile("/k", "k", 1, "00", "text/csv")),
        wire.FileUnkept(0.0, "fetch", "d", "k", "/k", "Too large."),
        wire.FunctionReturned(0.0, 1),
        wire.RunFinished(0.0, 1.0),
        wire.RunFailed(0.0, 1.0, "fetch", FAILURE),
        wire.MemoryMeasured(0.0, 5),
        wire.ChildWaited(0.0, 5, 0.1),
        wire.ChildExited(0.0, 0, None, 5, 0.1),
    )
}


def hearing(**facts: typing.Any) -> Heard:
    found = Heard([NodeFacts("fetch", 0), NodeFacts("process", 1)], **facts)
    found.ask(is_following=False)
    found.take(BEGUN, 0.0)
    return found


def test_every_message_of_a_host_has_a_sample_here() -> None:
    assert SAMPLES.keys() == set(typing.get_args(wire.Reported))


@pytest.mark.parametrize("message", SAMPLES.values(), ids=lambda message: message.kind)
def test_every_message_is_taken_and_is_an_event_unless_it_is_noise(message: wire.AnyMessage) -> None:
    found = hearing()
    found.news.events.clear()
    found.take(message, 1.0)
    assert found.news.events == ([] if message.kind in NO_EVENTS else [message])


@pytest.mark.parametrize("message", [wire.StopAsked("kill"), wire.LeaveAsked(), wire.LeaseRenewed(1.0)])
def test_what_a_supervisor_says_itself_is_no_news(message: wire.AnyMessage) -> None:
    found = hearing()
    found.news.events.clear()
    found.take(message, 1.0)
    assert found.news.events == []


def test_the_exit_of_the_child_before_is_none() -> None:
    found = Heard([])
    found.ask(is_following=True)
    found.take(wire.ChildExited(0.0, 3, None, 5, 0.1), 1.0)
    assert found.exit is None and not found.news.events and not found.news.step


def test_why_a_request_was_refused_is_forgotten_with_the_next_one() -> None:
    found = Heard([])
    found.ask(is_following=False)
    found.take(wire.StepRefused(0.0, "stale", "Old."), 1.0)
    found.close()
    assert found.is_refused("stale") and not found.is_host_lost
    found.ask(is_following=False)
    assert not found.is_refused("stale") and not found.is_closed and found.tries == 2


def test_a_host_that_is_silent_without_a_reason_is_lost() -> None:
    found = hearing()
    found.close()
    assert found.is_host_lost
    found.take(wire.ChildExited(0.0, 0, None, 5, 0.1), 1.0)
    assert not found.is_host_lost


def test_a_whole_pipeline_brings_its_own_nodes() -> None:
    found = hearing()
    found.nodes.touch("late")
    found.take(wire.RunStarted(0.0, ["new", "fetch"], {}, {}, is_whole=True, outputs=["total"]), 1.0)
    news = found.nodes.news
    assert (list(news.new), news.gone, "total" in found.outputs) == (["new"], ["process"], True)
    assert {name: node.position for name, node in (news.new | news.changed).items()} == {"new": 0, "fetch": 1}
    assert "1 new, 2 gone" in found.graph_change


def test_memory_has_a_peak_and_nothing_is_lower_than_that() -> None:
    found = hearing()
    for used in (5, 9, 2):
        found.take(wire.MemoryMeasured(0.0, used), 1.0)
    assert found.peak_memory_bytes == found.news.step["peak_memory_bytes"] == 9


def test_a_child_with_other_code_than_was_planned_for_says_so_once() -> None:
    assert hearing(revision="old").news.is_other_code
    assert not hearing(revision="new").news.is_other_code and not hearing().news.is_other_code


def test_a_node_that_breaks_off_in_a_cancel_has_not_failed() -> None:
    found = hearing()
    found.take(wire.NodeStarted(0.0, "fetch"), 1.0)
    assert found.nodes.running_since == {"fetch": 1.0}
    found.stop(StopReason.CANCEL)
    found.stop(StopReason.TIME_LIMIT)
    found.take(wire.NodeFailed(0.0, "fetch", 1.0, FAILURE), 2.0)
    node = found.nodes.news.changed["fetch"]
    assert (node.status, node.error, node.failure) == (NodeStatus.CANCELLED, "", None)
    assert found.nodes.news.stopped_at == {"fetch": "It was at src/a.py:3 in f."} and not found.nodes.running_since
