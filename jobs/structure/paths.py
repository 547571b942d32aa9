"""Where a parameter is: the keys that lead to it, outermost first; and how people write that.

As text, dots separate keys: `a.b` is `b` in the group `a`, but a parameter of the project whose very name is `a.b`
comes first. A key in double quotes is one key, whatever is in it: `a."b.c".d`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from jobs.errors import BadParameters
from kedro_console.wire import Group, Key, Value

Path = tuple[Key, ...]
"""Keys as YAML knows them: nearly always text."""

_PLAIN: Final = re.compile(r'[^\s.="\x00-\x1f\x7f]([^.="\x00-\x1f\x7f]*[^\s.="\x00-\x1f\x7f])?')
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"(?=\.|$)', re.DOTALL)
MOST_KEYS: Final = 100
_NOT_TEXT: Final = re.compile(r"[-+.\d].*|true|false|null", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class _Part:
    text: str
    is_quoted: bool


# ---- as text


def text_of(key: object) -> str:
    """One key without its quotes."""
    if isinstance(key, str):
        return key
    return json.dumps(key) if key is None or isinstance(key, bool) else str(key)


def written(path: Path) -> str:
    """As text that leads to this path where the project has no such names of its own."""
    return ".".join(key if isinstance(key, str) and _is_plain(key) else _quoted(key) for key in path)


def _is_plain(key: str) -> bool:
    return bool(_PLAIN.fullmatch(key)) and not _NOT_TEXT.fullmatch(key)


def _quoted(key: object) -> str:
    return json.dumps(key, ensure_ascii=False) if isinstance(key, str) else text_of(key)


def named(path: Path, known: Group) -> str:
    """The shortest text that leads to this path among the known parameters."""
    bare = ".".join(map(text_of, path))
    if all(map(_is_speakable, path)) and parsed(bare, known) == path:
        return bare
    text = written(path)
    return text if parsed(text, known) == path else ".".join(map(_quoted, path))


def _is_speakable(key: object) -> bool:
    return not isinstance(key, str) or (bool(key.strip()) and key.isprintable() and "=" not in key)


def parsed(text: str, known: Group) -> Path:
    """The path that this text means; what the project does not know is separated at its dots."""
    parts = _parts(text)
    return _found(parts, known) or _nearest(parts, known)


def split(pair: str, known: Group) -> tuple[Path, str] | None:
    """`name=value` in its two parts, at the first sign that leaves a known name before it; None without a sign."""
    found = signs(pair)
    for sign in found:
        if path := _found(_parts(pair[:sign].strip()), known):
            return path, pair[sign + 1 :]
    if not found:
        return None
    name = pair[: found[0]].strip()
    if any(part.text.startswith('"') and not part.is_quoted for part in _parts(name)):
        raise BadParameters({name: 'A quote opens a key here and does not close it: write a."b.c" for b.c in a.'})
    return parsed(name, known), pair[found[0] + 1 :]


def signs(pair: str) -> list[int]:
    """Where an equals sign stands outside of the quotes of keys."""
    blank = re.sub(r'(^|(?<=\.))"(?:[^"\\]|\\.)*"(?=[.=\s])', lambda quoted: "_" * len(quoted.group(0)), pair)
    return [place for place, character in enumerate(blank) if character == "="]


def _parts(text: str) -> list[_Part]:
    parts, place = [], 0
    while place <= len(text):
        quoted = _QUOTED.match(text, place)
        end = quoted.end() if quoted else text.find(".", place) % (len(text) + 1)
        parts.append(_part(text[place:end], is_quoted=quoted is not None))
        place = end + 1
    return parts


def _part(text: str, *, is_quoted: bool) -> _Part:
    try:
        return _Part(json.loads(text, strict=False), True) if is_quoted else _Part(text, False)
    except ValueError:  # an escape that there is not
        return _Part(text, False)


def _found(parts: list[_Part], values: Group) -> Path | None:
    """The path when all of it is known; longer names before shorter ones."""
    for count, key in _keys_at(parts, values):
        if count == len(parts):
            return (key,)
        inner = values[key]
        if isinstance(inner, dict) and (rest := _found(parts[count:], inner)):
            return (key, *rest)
    return None


def _nearest(parts: list[_Part], values: Group) -> Path:
    for count, key in _keys_at(parts[:-1], values):
        inner = values[key]
        if isinstance(inner, dict):
            return (key, *_nearest(parts[count:], inner))
    return tuple(part.text for part in parts)


def _keys_at(parts: list[_Part], values: Group) -> Iterator[tuple[int, Key]]:
    """The keys of this group with which the text may begin, and how many of its parts they take."""
    longest = max((text_of(key).count(".") for key in values), default=0) + 1
    for count in range(min(len(parts), longest), 0, -1):
        for key in _keys(parts[:count], values):
            yield count, key


def _keys(parts: list[_Part], values: Group) -> Iterator[Key]:
    if any(part.is_quoted for part in parts):
        if len(parts) == 1 and parts[0].text in values:
            yield parts[0].text
        return
    text = ".".join(part.text for part in parts)
    yield from (key for key in values if not isinstance(key, str) and text_of(key) == text)
    if text in values:
        yield text


# ---- in nested values


def at(values: Value, path: Path) -> tuple[bool, Value]:
    """Whether there is something at this path, and what."""
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return False, None
        values = values[key]
    return True, values


def leaves(value: Value, path: Path = (), *, with_empty: bool = False) -> Iterator[tuple[Path, Value]]:
    """Every value that is not a group (or is an empty one, where that counts), by its path."""
    if isinstance(value, dict) and (value or not with_empty or not path):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key), with_empty=with_empty)
    else:
        yield path, value


def by_name(values: Group) -> dict[str, Value]:
    """Every value that is not a group, by the shortest text that leads to it."""
    return {named(path, values): value for path, value in leaves(values)}


def places(values: Group, name: str) -> Iterator[Path]:
    """The paths that Kedro means by `params:name`: there may be two."""
    for key, inner in values.items():
        text = text_of(key)
        if text == name:
            yield (key,)
        if isinstance(inner, dict) and name.startswith(f"{text}."):
            yield from ((key, *rest) for rest in places(inner, name[len(text) + 1 :]))


def nested(pairs: Iterable[tuple[Path, Value]]) -> dict[Key, Value]:
    """Values by path as nested groups; BadParameters where one path is both a value and a group."""
    whole: dict[Key, Value] = {}
    for path, value in pairs:
        if len(path) > MOST_KEYS:
            raise BadParameters({f"{written(path[:5])}…": f"Nested deeper than {MOST_KEYS} groups."})
        place = whole
        for depth, key in enumerate(path[:-1], start=1):
            inner = place.setdefault(key, {})
            if not isinstance(inner, dict):
                name = written(path[:depth])
                raise BadParameters({written(path): f"“{name}” is given both as a value and as a group."})
            place = inner
        before = place.get(path[-1])
        group = before if isinstance(before, dict) else {}
        place[path[-1]] = merge(group, value) if isinstance(value, dict) else value
    return whole


def merge(base: Group, over: Group) -> dict[Key, Value]:
    """`over` laid on `base`, group by group; the groups of neither are shared."""
    merged = {key: merge(value, {}) if isinstance(value, dict) else value for key, value in base.items()}
    for key, value in over.items():
        before = merged.get(key)
        group = before if isinstance(before, dict) else {}
        merged[key] = merge(group, value) if isinstance(value, dict) else value
    return merged
