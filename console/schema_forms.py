"""Read JSON schemas and plain values into a tree of form fields, one for each value that a person may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from jobs.parameters import merge

Schema = dict[str, Any]

DEEPEST = 8
"""Fieldsets inside fieldsets; what lies deeper, as in types that hold themselves, is written as JSON."""

_KINDS: list[tuple[type, str]] = [
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
]


@dataclass(frozen=True)
class Leaf:
    """One value that is asked for: its dotted name, its schema without `null`, and what it is when left alone."""

    name: str
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
    def key(self) -> str:
        return self.name.rpartition(".")[2]


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


def plant(
    names: list[str], *, values: dict[str, Any], schemas: dict[str, Schema], optional: Iterable[str] = ()
) -> Branch:
    """The tree for these parameters (dotted; "*" means all), with the values that count when nothing is changed."""
    root = Branch("")
    everything = [*sorted(values), *(name for name in names if name != "*" and name not in values)]
    for name in _outermost(everything if "*" in names else names):
        found, value = at(values, name)
        schema, is_typed = _schema_of(name, values, schemas)
        is_required = not found and name not in optional
        _grow(root, name, schema, schema, value, found=found, is_typed=is_typed, is_required=is_required)
    return root


def _outermost(names: list[str]) -> list[str]:
    """Without those that lie inside another of them."""
    return [name for name in dict.fromkeys(names) if not any(name.startswith(f"{other}.") for other in names)]


def at(values: Any, name: str) -> tuple[bool, Any]:
    """Whether a dotted name is there, and its value."""
    for part in name.split(".") if name else []:
        if not isinstance(values, dict) or part not in values:
            return False, None
        values = values[part]
    return True, values


def _schema_of(name: str, values: dict[str, Any], schemas: dict[str, Schema]) -> tuple[Schema, bool]:
    """The schema of a parameter: its own, a part of its parent's, or what its present value suggests."""
    for typed, schema in schemas.items():
        if name == typed or name.startswith(f"{typed}."):
            part: Schema | None = schema
            for key in name.removeprefix(typed).split(".")[1:]:
                part = resolve(part or {}, schema).get("properties", {}).get(key)
            if part is not None:
                return {**part, "$defs": schema.get("$defs", {})}, True
    _, value = at(values, name)
    inside = {typed: schema for typed, schema in schemas.items() if typed.startswith(f"{name}.")}
    return _suggested(value, name, inside), False


def _suggested(value: Any, name: str = "", inside: dict[str, Schema] | None = None) -> Schema:
    """The schema of an untyped value: the kind that it has now; typed values inside it keep their own."""
    if inside and name in inside:
        return inside[name]
    kind = next((words for kind, words in _KINDS if isinstance(value, kind)), "")
    if kind == "object" and _is_group(value):
        parts = {key: _suggested(part, f"{name}.{key}", inside) for key, part in value.items()}
        return {"type": "object", "properties": parts}
    return {"type": kind} if kind else {}


def _is_group(value: dict[str, Any]) -> bool:
    """Whether its keys can be told by dotted names."""
    return bool(value) and all(key and "." not in key for key in value)


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


def _grow(
    branch: Branch,
    name: str,
    schema: Schema,
    root: Schema,
    value: Any,
    *,
    found: bool,
    is_typed: bool,
    is_required: bool,
) -> None:
    """Add the field, or the fieldset with all its fields, of one name to this branch."""
    schema, is_nullable = _without_null(resolve(schema, root), root)
    if not found and "default" in schema:
        found, value = True, schema["default"]
    properties = schema.get("properties", {})
    is_shallow = name.count(".") < DEEPEST and (found or not is_nullable)
    if properties and is_shallow and _is_group(properties) and isinstance(value if found else {}, dict):
        _grow_group(branch, name, schema, root, value or {}, is_typed=is_typed)
        return
    leaf = Leaf(name, schema, value, found, is_nullable or (found and value is None), is_required, is_typed)
    branch.leaves.append(leaf)


def _grow_group(
    branch: Branch, name: str, schema: Schema, root: Schema, value: dict[str, Any], *, is_typed: bool
) -> None:
    group = Branch(name, str(schema.get("description", "")))
    branch.branches.append(group)
    required = schema.get("required", [])
    extra = {key: _suggested(inner) for key, inner in value.items() if key not in schema["properties"]}
    for key, part in {**schema["properties"], **(extra if _is_group(extra) else {})}.items():
        _grow(
            group,
            f"{name}.{key}",
            part,
            root,
            value.get(key),
            found=key in value,
            is_typed=is_typed,
            is_required=key in required and key not in value,
        )


def choices(schema: Schema) -> list[Any]:
    """The only values that the schema allows, when it says so."""
    if "const" in schema:
        return [schema["const"]]
    return list(schema.get("enum", []))


def changed(tree: Branch, given: dict[str, Any]) -> dict[str, Any]:
    """Of these values by dotted name, those that differ from what counts anyway."""
    return {leaf.name: given[leaf.name] for leaf in tree if leaf.name in given and differs(leaf, given[leaf.name])}


def differs(leaf: Leaf, value: Any) -> bool:
    if not leaf.has_default:
        return value is not None
    return value != leaf.default or isinstance(value, bool) is not isinstance(leaf.default, bool)


def initial(tree: Branch, parameters: dict[str, Any]) -> dict[str, Any]:
    """What the fields show when these runtime parameters (nested) are laid on what counts anyway."""
    shown = {}
    for leaf in tree:
        found, value = at(parameters, leaf.name)
        if found and isinstance(value, dict) and isinstance(leaf.default, dict):
            value = merge(leaf.default, value)
        shown[leaf.name] = value if found else leaf.default
    return shown
