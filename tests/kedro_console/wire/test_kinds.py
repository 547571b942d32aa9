"""Values that JSON cannot hold survive it, with their kinds."""

import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from kedro_console.wire.kinds import KIND, Other, kind_of, packed, text_of_kind, unpacked

VALUES: "list[Any]" = [
    None,
    True,
    0,
    -1,
    10**40,
    1.5,
    "",
    "text",
    "ü\u202e",
    [],
    {},
    [1, [2]],
    {"a": {"b": None}},
    math.inf,
    -math.inf,
    date(2026, 1, 2),
    datetime(2026, 1, 2, 3, 4, 5, 6),
    datetime(2026, 1, 2, tzinfo=UTC),
    time(6, 30),
    timedelta(days=-1, hours=2, microseconds=5),
    timedelta(days=400),
    Decimal("1.10"),
    b"\x00\xff",
    (1, (2, "x")),
    {1, 2},
    frozenset({"a"}),
    {2: "two", True: 2.5, None: [], 1.5: (), "": ""},
    {KIND: "date", "text": "x"},
    {"deep": [{"x": (date(2026, 1, 2), {math.inf})}]},
    "nul\x00",
    "half \ud800",
    {"nul\x00": 1},
    Other("Tensor", "tensor(5)"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_was_packed_is_the_same_again(value: Any) -> None:
    text = json.dumps(packed(value), allow_nan=False)
    assert "\\u0000" not in text.replace("\\\\u0000", "") and "\\ud800" not in text.replace("\\\\ud800", "")
    again = unpacked(json.loads(text))
    assert (again, type(again), repr(again)) == (value, type(value), repr(value))


def test_what_is_not_a_number_stays_so() -> None:
    assert math.isnan(unpacked(json.loads(json.dumps(packed(math.nan)))))
    assert [text_of_kind(number) for number in (math.nan, math.inf, -math.inf)] == [".nan", ".inf", "-.inf"]


def test_what_only_the_project_knows_is_text() -> None:
    class Spline:
        def __str__(self) -> str:
            return "a spline"

    class Mute:
        def __str__(self) -> str:
            raise RuntimeError

    found = unpacked(packed({"a": Spline(), "b": Mute(), "c": 1 << 20_000}))
    assert [kind_of(value) for value in found.values()] == [
        "test_what_only_the_project_knows_is_text.<locals>.Spline",
        "test_what_only_the_project_knows_is_text.<locals>.Mute",
        "int",
    ]
    assert [value.text for value in found.values()] == ["a spline", "no text: RuntimeError", "a number of 20,001 bits"]


def test_what_has_no_end_is_cut() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    assert json.dumps(packed(endless)).count("again") == 30
    assert len(packed(list(range(100)), items=10)) == 10


@pytest.mark.parametrize(
    "raw", [{KIND: "date", "text": "soon"}, {KIND: "set", "items": [[]]}, {KIND: "odd"}, {KIND: 5}]
)
def test_what_nobody_packed_harms_nothing(raw: "dict[str, Any]") -> None:
    unpacked(raw)
