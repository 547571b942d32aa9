"""The logical date goes into a parameter in that parameter's own form."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jobs.errors import BadParameters
from jobs.structure.dated import path_of, with_date
from kedro_console.wire import parse_snapshot
from tests.factories import content

BERLIN = ZoneInfo("Europe/Berlin")
DUE = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
"""In Berlin the second day of July, half past midnight."""
LOCAL = datetime(2026, 7, 2, 0, 30, tzinfo=BERLIN)


def dated(sample: Any, schemas: dict[str, Any] | None = None) -> Any:
    picture = parse_snapshot(content(schemas=schemas or {}))
    return with_date({"a": 1}, ("day",), DUE, zone=BERLIN, picture=picture, defaults={"day": sample})["day"]


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (date(2020, 1, 1), date(2026, 7, 2)),
        (datetime(2020, 1, 1), datetime(2026, 7, 2, 0, 30)),
        (datetime(2020, 1, 1, tzinfo=UTC), LOCAL),
        ("2020-01-31", "2026-07-02"),
        ("31.01.2020", "02.07.2026"),
        ("20200131", "20260702"),
        (20200131, 20260702),
        (202001, 202607),
        (2020, 2026),
        ("2020-01", "2026-07"),
        ("2020/01/31", "2026/07/02"),
        ("2020-01-31T06:00:00", "2026-07-02T00:30:00"),
        ("2020-01-31 06:00", "2026-07-02 00:30"),
        ("2020-01-31T06:00:00Z", "2026-07-01T22:30:00Z"),
        ("2020-01-31T06:00:00+01:00", "2026-07-02T00:30:00+02:00"),
        ("latest", "2026-07-02"),
        ("", "2026-07-02"),
        (None, "2026-07-02"),
        ("2020-13-31", "2026-07-02"),
    ],
)
def test_a_date_keeps_the_form_of_its_parameter(sample: Any, expected: Any) -> None:
    found = dated(sample)
    assert found == expected and type(found) is type(expected)
    if isinstance(expected, datetime):
        assert (found.tzinfo is None) == (expected.tzinfo is None)


@pytest.mark.parametrize("sample", [True, 7, 1.5, [1], {"a": 1}, 20201331])
def test_what_can_hold_no_date_is_refused_with_what_it_holds(sample: Any) -> None:
    with pytest.raises(BadParameters, match="can hold no date"):
        dated(sample)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "format": "date-time"}, "2026-07-02T00:30:00+02:00"),
        ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}, "2026-07-02T00:30:00+02:00"),
        ({"type": "string", "format": "date"}, "2026-07-02"),
    ],
)
def test_without_a_value_the_schema_says_what_it_is(schema: dict[str, Any], expected: str) -> None:
    picture = parse_snapshot(content(schemas={"when": {"properties": {"day": schema}}}, parameters={"when": {}}))
    found = with_date({}, ("when", "day"), DUE, zone=BERLIN, picture=picture, defaults={"when": {}})
    assert found == {"when": {"day": expected}}


def test_a_parameter_is_named_as_kedro_names_it() -> None:
    assert path_of("params:a.day", {"a": {"day": 1}}) == path_of("a.day", {}) == ("a", "day")
    assert path_of("params:a.day", {"a.day": 1}) == ("a.day",)
    assert path_of(" ", {}) == ()


def test_the_other_parameters_stay() -> None:
    picture = parse_snapshot(content())
    given = {"when": {"zone": "x"}, "b": 2}
    found = with_date(given, ("when", "day"), DUE, zone=BERLIN, picture=picture, defaults=given)
    assert found == {"when": {"zone": "x", "day": "2026-07-02"}, "b": 2} and "day" not in given["when"]
