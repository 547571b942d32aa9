"""The values that can be said: JSON, and of it what a database takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Union, overload

Json = Union[None, bool, int, float, str, Sequence["Json"], Mapping[str, "Json"]]
"""A value that json can write: None, bool, int, float, str, list or dict of those."""


class WireError(Exception):
    """The other side sent something that is not a message of ours."""


HOSTILE: Final = (b"\\ud", b"\\u0000", b"NaN", b"Infinity")
"""What valid JSON may hold and a database does not take."""


def clean(value: Json) -> Json:
    """JSON that every database takes: no NUL characters, no lone surrogates, no NaN."""
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, dict):
        return {_clean_text(str(name)): clean(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [clean(inner) for inner in value]
    return json_safe(value) if isinstance(value, float) else value


def _clean_text(text: str) -> str:
    return text.replace("\x00", "�").encode("utf-8", "replace").decode("utf-8")


@overload
def json_safe(value: dict[str, Any], *, depth: int = ..., items: int = ...) -> dict[str, Json]: ...
@overload
def json_safe(value: object, *, depth: int = ..., items: int = ...) -> Json: ...
def json_safe(value: object, *, depth: int = 6, items: int = 1_000) -> Json:
    """`value` as plain JSON: NaN and infinities become text, foreign objects their repr, deep or long ones are cut."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth == 0:
        return "…"
    if isinstance(value, dict):
        return {str(k): json_safe(v, depth=depth - 1, items=items) for k, v in list(value.items())[:items]}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_safe(v, depth=depth - 1, items=items) for v in list(value)[:items]]
    return str(value)[:2_000]
