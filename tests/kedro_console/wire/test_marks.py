"""Secrets that a type marks: found in its schema, carried with the value, and gone where a node gets it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kedro_console.wire import hidden, marked, packed, secret_places, secrets_in, unmarked, unpacked, with_secrets
from kedro_console.wire.kinds import Secret

TEXT = {"type": "string", "writeOnly": True}
SCHEMAS: dict[str, Any] = {
    "pin": {"type": "integer", "writeOnly": True},
    "phrase": {"anyOf": [{"type": "string", "format": "password"}, {"type": "null"}]},
    "login": {
        "$ref": "#/$defs/Login",
        "$defs": {"Login": {"type": "object", "properties": {"who": {"type": "string"}, "word": TEXT,
                                                              "next": {"$ref": "#/$defs/Login"}}}},
    },
    "words": {"type": "array", "items": TEXT},
    "by_name": {"type": "object", "additionalProperties": TEXT},
    "plain": {"type": "string", "format": "date"},
    "ns.inner": {"type": "object", "properties": {"word": TEXT}},
    "2014.key": TEXT,
}  # fmt: skip
VALUES = {
    "pin": 4711, "phrase": "open sesame", "login": {"who": "olga", "word": "w1", "next": {"who": "max", "word": "w2"}},
    "words": ["w3", "w4"], "by_name": {"one": "w5"}, "plain": "2026-01-01", "ns": {"inner": {"word": "w6", "n": 1}},
    "2014.key": "w7", "left": {"word": "open"},
}  # fmt: skip


def test_all_that_a_schema_marks_is_found_and_nothing_else() -> None:
    known = marked(VALUES, secret_places(SCHEMAS))
    assert sorted(map(str, secrets_in(known))) == ["4711", "open sesame", "w1", "w2", "w3", "w4", "w5", "w6", "w7"]
    assert known == VALUES and "4711" not in str(with_secrets(known, hidden))
    assert secret_places({"plain": SCHEMAS["plain"], "odd": True, "none": {"$ref": "#/nowhere"}}) == {}


def test_the_mark_travels_and_the_node_does_not_see_it() -> None:
    known = marked(VALUES, secret_places(SCHEMAS))
    there = unpacked(json.loads(json.dumps(packed(known))))
    assert there == VALUES and isinstance(there["pin"], Secret) and isinstance(there["login"]["next"]["word"], Secret)
    plain = unmarked(there)
    assert plain == VALUES and type(plain["pin"]) is int and type(plain["words"][0]) is str


@pytest.mark.parametrize("value", [None, True, "", [], {}])
def test_what_has_nothing_to_hide_stays(value: Any) -> None:
    assert list(secrets_in(marked({"phrase": value}, secret_places(SCHEMAS)))) == []


def test_of_an_address_that_is_marked_nothing_is_shown() -> None:
    known = marked({"phrase": "postgres://u:p@h/d"}, secret_places(SCHEMAS))
    assert with_secrets(known, hidden) == {"phrase": "***"}
