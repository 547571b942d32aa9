"""What is said about values: cheap, plain, and never harmful."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy
import pandas
import pytest

from kedro_console import wire
from kedro_console.child import facts
from kedro_console.line import report


class Nasty:
    """Raises at every attribute, like a proxy whose server is gone."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError(name)


@pytest.mark.parametrize(("value", "shape"), [
    (pandas.DataFrame({"a": [1, 2], "b": [3, 4]}), (2, 2)),
    (pandas.Series([1, 2, 3]), (3, None)),
    (numpy.zeros((4, 5, 6)), (None, None)), (numpy.zeros((4, 5)), (4, 5)), (numpy.zeros(4), (4, None)),
    ([{"a": 1}, {}], (2, None)), ([[1], [2]], (2, None)), ([1, 2], (None, None)), ([], (0, None)),
    ({"a": 1, "b": 2, "c": 3}, (None, None)), ({"a": pandas.DataFrame()}, (None, None)), ({}, (0, None)),
    ({1, 2}, (None, None)), ("text", (None, None)), (None, (None, None)), (7, (None, None)),
    (Nasty(), (None, None)), (numpy.float64(1), (None, None)),
])  # fmt: skip
def test_the_shape_of(value, shape):
    assert facts.shape(value) == shape


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ({"a": pandas.DataFrame({"x": [1]}), "b": pandas.DataFrame(), "c": [{"x": 1}]}, 3),
        ({"a": pandas.DataFrame(), "b": 1}, None), ({"a": 1}, None), ({}, None), ([pandas.DataFrame()], None),
        (pandas.DataFrame(), None),
    ],
)  # fmt: skip
def test_a_mapping_of_tables_has_parts(value, parts):
    assert facts.parts(value) == parts


def test_a_sample_is_small_and_plain():
    table = pandas.DataFrame({f"c{n}": ["x" * 1_000, math.nan, pandas.Timestamp(0)] * 100 for n in range(100)})
    rows = facts.sample(table)
    assert len(rows) == 5 and len(rows[0]) == 50
    assert len(rows[0]["c0"]) == 200 and rows[1]["c0"] == "nan" and rows[2]["c0"].startswith("1970")


@pytest.mark.parametrize("value", [Nasty(), 5, "text", [1, 2], pandas.DataFrame()])
def test_what_is_no_table_has_no_sample(value):
    assert facts.sample(value) == []


def test_a_list_of_dicts_is_a_table():
    assert facts.sample([{"a": 1}, {"a": [1, 2]}]) == [{"a": 1}, {"a": "[1, 2]"}]


@pytest.mark.parametrize("value", [None, 1, 1.5, "x", [1, [2]], {"a": {"b": True}}])
def test_a_small_value_is_told_unchanged(value):
    assert facts.small_value(value) == (value, True)


def test_a_numpy_number_is_a_number():
    assert facts.small_value(numpy.float64(0.5)) == (0.5, True)


@pytest.mark.parametrize("value", [math.nan, object(), {"a": object()}, "x" * 30_000, (1, 2), Nasty()])
def test_what_json_cannot_hold_unchanged_is_not_told(value):
    assert facts.small_value(value) == (None, False)


def test_typed_parameters_become_plain():
    @dataclasses.dataclass
    class Options:
        size: float

    assert facts.parameters({"a": Options(0.5), 1: (1, math.inf)}) == {"a": {"size": 0.5}, 1: (1, math.inf)}


def test_urls_lose_their_credentials():
    class Remote:
        _filepath = "bucket/a.csv"
        _protocol = "s3"

    class Web:
        _filepath = "https://user:secret@example.com/a.csv"
        _protocol = "https"

    assert facts.location(Remote(), is_save=False) == ("s3://bucket/a.csv", "")
    assert facts.location(Web(), is_save=False) == ("https://example.com/a.csv", "")


@pytest.mark.parametrize("event", [
    wire.RunStarted(0.0, [f"node {n} " + "n" * 100 for n in range(5_000)], {"p": ["x" * 900] * 900}, {"kedro": "1"}),
    wire.NodeFailed(0.0, "n", 1.0, wire.Failure("E", "m", [], "語" * 60_000)),
    wire.RunFailed(0.0, 1.0, "n", wire.Failure("E", "m", [wire.Frame("f" * 5_000, 1, "g", "c", True)] * 60, "t")),
    wire.DatasetSaved(0.0, "d", "n", "t", 1.0, sample=[{"語" * 200: "語" * 200}] * 500, value="v", has_value=True),
    wire.ProgressMade(0.0, "n" * 200_000, "label", 1, 2),
])  # fmt: skip
def test_every_event_fits_into_a_packet_and_can_be_read(event):
    packet = report.fit(event)
    assert len(packet) <= wire.MAX_EVENT_BYTES and isinstance(wire.parse(packet), type(event))
