"""Read JSON schemas and plain values into a tree of form fields, one for each value that a person may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from jobs.structure.paths import Path, at, merge, named, parsed, places, text_of, written
from jobs.structure.values import is_secret, masked, same
from kedro_console.wire import Group, is_secret_schema

Schema = dict[str, Any]

DEEPEST = 8
"""Fieldsets inside fieldsets; what lies deeper, as in types that hold themselves, is written as JSON."""

MOST_FIELDS = 1_000

STAND_AS_TEXT = (date, time, timedelta, Decimal, bytes)
_KINDS: list[tuple[Any, str]] = [
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    ((list, tuple, set, frozenset), "array"),
    (dict, "object"),
    (STAND_AS_TEXT, "string"),
]


@dataclass(frozen=True)
class Leaf:
    """One value that is asked for: where it is, its schema without `null`, and what it is when left alone."""

    path: Path
    name: str
    """The shortest text that leads there."""
    schema: Schema
    default: Any = None
    has_default: bool = False
    is_nullable: bool = False
    is_required: bool = False
    is_typed: bool = False

    @property
    def kind(self) -> str:
        """string, integer, number, boolean, array, object, choice; "" when anything goes."""
        return "choice" if choices(self.schema) else str(self.schema.get("type", ""))

    @property
    def is_secret(self) -> bool:
        return is_secret_schema(self.schema) or is_secret(
            self.path, "text" if self.default in (None, "") else self.default
        )

    @property
    def shown(self) -> Any:
        """The default as everybody may see it."""
        value = self.default
        for key in reversed(self.path):
            value = {key: value}
        return at(masked(value), self.path)[1]

    @property
    def key(self) -> str:
        return text_of(self.path[-1]) or '""'


@dataclass(frozen=True)
class Branch:
    """A group of values, drawn as a fieldset; the root has no name."""

    name: str
    help: str = ""
    leaves: list[Leaf] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)

    def __iter__(self) -> Iterator[Leaf]:
        yield from self.leaves
        for branch in self.branches:
            yield from branch


def plant(names: list[str], *, values: Group, schemas: dict[str, Schema], optional: Iterable[str] = ()) -> Branch:
    """The tree for these parameters (as Kedro names them, "*" for all), with the values that count anyway."""
    root = Branch("")
    typed = {path: schema for name, schema in schemas.items() for path in _paths(name, values)}
    may_be_left_out = {path for name in optional for path in _paths(name, values)}
    room = _Room(MOST_FIELDS)
    for path in _outermost(list(_asked(names, values))):
        found, value = at(values, path)
        schema, is_typed = _schema_of(path, value, typed)
        is_required = not found and path not in may_be_left_out
        is_group = isinstance(value, dict) and bool(value)  # it is a heading itself
        branch = _heading(root, path[:-1], values) if len(path) > 1 and not is_group else root
        _Growing(values, schema, is_typed, room).grow(branch, path, schema, value, found=found, is_required=is_required)
    return root


def _heading(root: Branch, path: Path, values: Group) -> Branch:
    """The group of this path, with the namespace as its heading; parameters of one namespace share it."""
    name = named(path, values)
    known = next((branch for branch in root.branches if branch.name == name), None)
    if known is None:
        known = Branch(name)
        root.branches.append(known)
    return known


def _asked(names: list[str], values: Group) -> Iterator[Path]:
    if "*" in names:
        yield from sorted(((key,) for key in values), key=written)
    for name in names:
        if name != "*":
            yield from _paths(name, values)


def _paths(name: str, values: Group) -> list[Path]:
    """Where a parameter of this name is; where it would be, when there is none."""
    return list(places(values, name)) or [parsed(name, values)]


def _outermost(paths: list[Path]) -> list[Path]:
    """Without those that lie inside another of them."""
    known = set(paths)
    return [path for path in dict.fromkeys(paths) if not any(path[:depth] in known for depth in range(1, len(path)))]


def _schema_of(path: Path, value: Any, typed: dict[Path, Schema]) -> tuple[Schema, bool]:
    """The schema of a parameter: its own, a part of its parent's, or what its present value suggests."""
    for above, schema in typed.items():
        if path[: len(above)] == above:
            part: Schema | None = schema
            for key in path[len(above) :]:
                part = resolve(part or {}, schema).get("properties", {}).get(key)
            if part is not None:
                return {**part, "$defs": schema.get("$defs", {})}, True
    return _suggested(value, path, typed), False


def _suggested(value: Any, path: Path = (), typed: dict[Path, Schema] | None = None) -> Schema:
    """The schema of an untyped value: the kind that it has now; typed values inside it keep their own."""
    if typed and path in typed:
        return typed[path]
    kind = next((words for kind, words in _KINDS if isinstance(value, kind)), "")
    if kind == "object" and value:
        parts = {key: _suggested(part, (*path, key), typed) for key, part in value.items()}
        return {"type": "object", "properties": parts}
    return {"type": kind} if kind else {}


def resolve(schema: Schema, root: Schema) -> Schema:
    """The schema behind references and one-part unions; those that allow several things stay as they are."""
    for _ in range(20):
        if reference := schema.get("$ref"):
            own = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**_referred(str(reference), root), **own}
        elif len(parts := schema.get("allOf", [])) == 1:
            schema = {**parts[0], **{key: value for key, value in schema.items() if key != "allOf"}}
        else:
            return schema
    return {}


def _referred(reference: str, root: Schema) -> Schema:
    found: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def _without_null(schema: Schema, root: Schema) -> tuple[Schema, bool]:
    """The schema for a value that is given, and whether none may be given."""
    kind = schema.get("type")
    if isinstance(kind, list):
        rest = [one for one in kind if one != "null"]
        return {**schema, "type": rest[0] if len(rest) == 1 else ""}, "null" in kind
    for union in ("anyOf", "oneOf"):
        if parts := schema.get(union):
            rest = [part for part in parts if part.get("type") != "null"]
            own = {key: value for key, value in schema.items() if key != union}
            inner = resolve(rest[0], root) if len(rest) == 1 else {}
            return {**inner, **own}, len(rest) < len(parts)
    return schema, False


@dataclass
class _Room:
    """How many fields a form may still have; what finds no room is written as JSON."""

    left: int


@dataclass(frozen=True)
class _Growing:
    """One parameter on its way into the tree: all known values, and the schema that its references lead into."""

    values: Group
    root: Schema
    is_typed: bool
    room: _Room

    def grow(self, branch: Branch, path: Path, schema: Schema, value: Any, *, found: bool, is_required: bool) -> None:
        """Add the field, or the fieldset with all its fields, of what is at this path to the branch."""
        schema, is_nullable = _without_null(resolve(schema, self.root), self.root)
        if not found and "default" in schema:
            found, value = True, schema["default"]
        properties = schema.get("properties", {})
        is_shallow = len(path) <= DEEPEST and self.room.left >= len(properties) and (found or not is_nullable)
        if properties and is_shallow and isinstance(value if found else {}, dict):
            self._grow_group(branch, path, schema, value or {})
            return
        self.room.left -= 1
        is_nullable = is_nullable or (found and value is None)
        name = named(path, self.values)
        branch.leaves.append(Leaf(path, name, schema, value, found, is_nullable, is_required, self.is_typed))

    def _grow_group(self, branch: Branch, path: Path, schema: Schema, value: Group) -> None:
        group = Branch(named(path, self.values), str(schema.get("description", "")))
        branch.branches.append(group)
        required = schema.get("required", [])
        extra = {key: _suggested(inner) for key, inner in value.items() if key not in schema["properties"]}
        for key, part in {**schema["properties"], **extra}.items():
            self.grow(
                group,
                (*path, key),
                part,
                value.get(key),
                found=key in value,
                is_required=key in required and key not in value,
            )


def choices(schema: Schema) -> list[Any]:
    """The only values that the schema allows, when it says so."""
    if "const" in schema:
        return [schema["const"]]
    return list(schema.get("enum", []))


def changed(tree: Branch, given: dict[str, Any]) -> dict[str, Any]:
    """Of these values by name, those that differ from what counts anyway."""
    return {leaf.name: given[leaf.name] for leaf in tree if leaf.name in given and differs(leaf, given[leaf.name])}


def differs(leaf: Leaf, value: Any) -> bool:
    if not leaf.has_default:
        return value is not None
    return not same(value, leaf.default)


def initial(tree: Branch, parameters: dict[str, Any]) -> dict[str, Any]:
    """What the fields show when these runtime parameters (nested) are laid on what counts anyway."""
    shown = {}
    for leaf in tree:
        found, value = at(parameters, leaf.path)
        if found and isinstance(value, dict) and isinstance(leaf.default, dict):
            value = merge(leaf.default, value)
        shown[leaf.name] = value if found else leaf.default
    return shown
