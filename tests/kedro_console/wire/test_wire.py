"""Both sides understand the same words, in whatever pieces they arrive."""

from __future__ import annotations

import dataclasses
import math

import pytest

from kedro_console import wire

FAILURE = wire.Failure("ValueError", "no", [wire.Frame("a.py", 1, "f", "raise", True)], "Traceback")
KEPT = wire.KeptFile("/kept/a.csv", "a.csv", 3, "00", "text/csv")
MESSAGES = [
    wire.StepStarted(run_id="r", step_id="s", pipeline="p", nodes=["a"], parameters={"x": {"y": [1, None]}}),
    wire.StopAsked("kill"),
    wire.StepRefused(1.5, "broken", "It is broken.", FAILURE),
    wire.NodeFailed(1.5, "n", 0.1, FAILURE),
    wire.DatasetSaved(1.5, "d", "n", "t", 0.1, sample=[{"a": 1}], kept=KEPT),
    wire.ChildExited(1.5, None, 9, 1, 0.5),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.kind)
def test_a_message_arrives_as_it_was_sent(message):
    assert wire.parse(message.to_json()) == message


def test_every_message_has_a_kind_of_its_own():
    assert all(cls.kind == kind and dataclasses.is_dataclass(cls) for kind, cls in wire.MESSAGES.items())


def test_a_newer_sides_further_fields_are_dropped():
    assert wire.parse(b'{"kind": "stop_asked", "stage": "kill", "colour": "red"}') == wire.StopAsked("kill")


@pytest.mark.parametrize("data", [b"", b"7", b"[]", b"{}", b'{"kind": "no_such"}', b'{"kind": "stop_asked"}', b"\xff"])
def test_what_is_no_message_is_said_to_be_none(data):
    with pytest.raises(wire.WireError):
        wire.parse(data)


def test_frames_are_cut_wherever_the_stream_is_torn():
    stream = wire.frame(wire.JSON_FRAME, b"{}") + wire.frame(wire.LOG_FRAME, b"x" * 1_000) + wire.frame(b"J", b"")
    reader = wire.FrameReader()
    found = [frame for byte in stream for frame in reader.feed(bytes([byte]))]
    assert found == [(b"J", b"{}"), (b"L", b"x" * 1_000), (b"J", b"")]


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1", b"J\xff\xff\xff\xff"])
def test_a_stream_of_something_else_is_refused(data):
    with pytest.raises(wire.WireError):
        wire.FrameReader().feed(data)


def test_a_marked_line_is_read_back_with_its_continuations():
    raw = wire.mark_line("ERROR", "stderr", "a node", "one\ntwo")
    lines = wire.LineReader().feed(raw)
    assert lines == [wire.LogLine("ERROR", "stderr", "a node", text) for text in ("one", "two")]


@pytest.mark.parametrize("raw", [b"\xff\x00\xfe", b"", b"\x1e", b"\x1ea\x1fb", b"plain\r"])
def test_any_bytes_are_a_line(raw):
    (line,) = wire.LineReader().feed(raw + b"\n")
    assert (line.stream, line.node) == ("raw", "") and "\x00" not in line.text and "\r" not in line.text


def test_what_json_cannot_hold_becomes_text():
    value = {1: math.nan, "a": (math.inf, {2}), "o": object, "deep": [[[[[[[1]]]]]]]}
    assert wire.json_safe(value) == {
        "1": "nan", "a": ["inf", [2]], "o": str(object), "deep": [[[[["…"]]]]],
    }  # fmt: skip
