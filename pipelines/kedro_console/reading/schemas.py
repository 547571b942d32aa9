"""JSON schemas of parameters, from the types that nodes' functions ask for."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import enum
import inspect
import pathlib
import sys
import typing
from collections.abc import Iterable, Iterator
from typing import Any

from kedro_console import wire
from kedro_console.reading.registry import inner, is_parameter, parameter_name
from kedro_console.words.problems import Problems

Schema = dict[str, Any]

DEPTH = 30
VALUES = ("default", "examples", "const")
SIMPLE: dict[Any, Schema] = {
    bool: {"type": "boolean"}, int: {"type": "integer"}, float: {"type": "number"}, str: {"type": "string"},
    type(None): {"type": "null"}, pathlib.Path: {"type": "string", "format": "path"},
    datetime.date: {"type": "string", "format": "date"}, datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.time: {"type": "string", "format": "time"},
    datetime.timedelta: {"type": "string", "format": "duration"},
}  # fmt: skip
LISTS = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
OBJECTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def read(pipelines: Iterable[Any], problems: Problems) -> dict[str, Schema]:
    """Parameter name ("a.b" for `params:a.b`) → schema; of two types the one with named fields is taken."""
    found: dict[str, Schema] = {}
    nodes = {node.name: node for pipeline in pipelines for node in pipeline.nodes}
    for _, node in sorted(nodes.items()):
        for name, kind in _typed_parameters(node):
            schema = _schema(name, kind, problems)
            if schema is not None and (name not in found or _is_richer(schema, found[name])):
                found[name] = wire.json_safe(_without_secrets(schema), depth=DEPTH)
    return dict(sorted(found.items()))


def _without_secrets(schema: Any) -> Any:
    """What a type gives to a secret that is left out stays in the project."""
    if isinstance(schema, list):
        return [_without_secrets(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    told = VALUES if wire.is_secret_schema(schema) else ()
    return {key: _without_secrets(part) for key, part in schema.items() if key not in told}


def _is_richer(schema: Schema, known: Schema) -> bool:
    return "properties" in schema and "properties" not in known


def _schema(name: str, kind: Any, problems: Problems) -> Schema | None:
    try:
        return of(kind)
    except Exception as error:  # noqa: BLE001  (a model's own hooks for schemas may raise anything)
        problems.warning(
            f"parameter:{name}",
            f"The type of the parameter '{name}' has no JSON schema ({' '.join(str(error).split())[:300]}): "
            "its field in the run form stays untyped.",
        )
        return None


# ---- which parameter has which type --------------------------------------------------------------


def _typed_parameters(node: Any) -> Iterator[tuple[str, Any]]:
    """(name, annotation) of the parameters that the node's function takes with a type."""
    try:
        bound = _bind(_signature(node.func), node._inputs)
    except (TypeError, ValueError):  # a built-in without a signature, or a wrapper that changes the arguments
        return
    hints = _hints(node.func)
    for argument, dataset in bound:
        if is_parameter(dataset) and dataset != "parameters" and argument in hints:
            yield parameter_name(dataset), hints[argument]


def _signature(function: Any) -> inspect.Signature:
    """The function's own signature, and that of what it wraps when its own says (*args, **kwargs)."""
    own = inspect.signature(function, follow_wrapped=False)
    is_open = any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in own.parameters.values())
    return inspect.signature(function) if is_open else own


def _bind(signature: inspect.Signature, inputs: Any) -> list[tuple[str, str]]:
    """(argument, dataset) as Kedro binds a node's inputs; starred arguments keep their one annotation."""
    if isinstance(inputs, dict):
        bound = signature.bind(**inputs)
    else:
        bound = signature.bind(*([inputs] if isinstance(inputs, str) else inputs or []))
    return [
        (argument, dataset)
        for argument, value in bound.arguments.items()
        for dataset in _values(signature.parameters[argument].kind, value)
    ]


def _values(kind: Any, value: Any) -> Iterable[str]:
    if kind is inspect.Parameter.VAR_KEYWORD:
        return list(value.values())
    return list(value) if kind is inspect.Parameter.VAR_POSITIONAL else [value]


def _hints(function: Any) -> dict[str, Any]:
    """The function's annotations, resolved; one that cannot be resolved is left out and spoils no other."""
    written = inner(function)
    if not hasattr(written, "__code__") and not inspect.isclass(written):
        written = type(written).__call__
    try:
        return typing.get_type_hints(written, include_extras=True)
    except Exception:  # noqa: BLE001  (annotations are code of the project: `int | None` before 3.10 raises)
        return dict(_resolved(getattr(written, "__annotations__", {}), getattr(written, "__globals__", {})))


def _resolved(annotations: dict[str, Any], names: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for argument, annotation in annotations.items():
        alone = type("_Alone", (), {"__annotations__": {argument: annotation}})
        try:
            yield argument, typing.get_type_hints(alone, names, include_extras=True)[argument]
        except Exception:  # noqa: BLE001, S112  (this one stays untyped)
            continue


# ---- type → schema -------------------------------------------------------------------------------


def of(kind: Any) -> Schema | None:
    """The JSON schema of a type: pydantic's for its models, ours for dataclasses and plain types; None for others."""
    if _is_hashable(kind) and kind in SIMPLE:
        return dict(SIMPLE[kind])
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if hasattr(kind, "__metadata__"):  # Annotated[int, …]
        schema = _by_pydantic(kind) or of(arguments[0])
        return {**schema, "writeOnly": True} if schema and "secret" in map(str, kind.__metadata__) else schema
    if origin is typing.Literal:
        return _choices(list(arguments))
    if origin is typing.Union or type(kind).__name__ == "UnionType":
        return _union(arguments)
    if origin is not None:
        return _generic(origin, arguments)
    return _of_class(kind) if inspect.isclass(kind) else None


def _is_hashable(kind: Any) -> bool:
    try:
        hash(kind)
    except TypeError:  # Annotated[int, {…}]
        return False
    return True


def _of_class(cls: Any) -> Schema | None:
    if issubclass(cls, enum.Enum):
        return {**_choices([each.value for each in cls]), "title": cls.__name__}
    if _is_pydantic(cls):
        return _by_pydantic(cls)
    if dataclasses.is_dataclass(cls):
        return _of_dataclass(cls)
    return _generic(cls, ())


def _choices(values: list[Any]) -> Schema:
    kinds = [SIMPLE[type(value)]["type"] for value in values if type(value) in SIMPLE]
    same = {"type": kinds[0]} if len(kinds) == len(values) and len(set(kinds)) == 1 else {}
    return {"enum": values, **same}


def _union(arguments: tuple[Any, ...]) -> Schema | None:
    schemas = [of(each) for each in arguments]
    return None if any(each is None for each in schemas) else {"anyOf": schemas}


def _generic(origin: Any, arguments: tuple[Any, ...]) -> Schema | None:
    if origin in LISTS:
        items = of(arguments[0]) if len(set(arguments) - {Ellipsis}) == 1 else None
        return {"type": "array", **({"items": items} if items else {})}
    if origin in OBJECTS or (inspect.isclass(origin) and issubclass(origin, dict)):
        values = of(arguments[1]) if len(arguments) == 2 else None
        return {"type": "object", **({"additionalProperties": values} if values else {})}
    return None


def _of_dataclass(cls: Any) -> Schema:
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = [each for each in dataclasses.fields(cls) if each.init]
    schema: Schema = {"type": "object", "title": cls.__name__, "properties": {}}
    for each in fields:
        schema["properties"][each.name] = {**(of(hints[each.name]) or {}), **_default(each), **_mark(each)}
    required = [each.name for each in fields if not _default(each)]
    return {**schema, "required": required} if required else schema


def _default(each: dataclasses.Field[Any]) -> Schema:
    if each.default is not dataclasses.MISSING:
        return {"default": _plain(each.default)}
    if each.default_factory is not dataclasses.MISSING:
        return {"default": _plain(each.default_factory())}
    return {}


def _mark(each: dataclasses.Field[Any]) -> Schema:
    """As `SecretStr` of pydantic says it: `field(metadata={"secret": True})`."""
    return {"writeOnly": True} if each.metadata.get("secret") else {}


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not inspect.isclass(value) else value


# ---- pydantic, when the project has it -----------------------------------------------------------


def _is_pydantic(cls: Any) -> bool:
    return (
        hasattr(cls, "model_json_schema") or hasattr(cls, "__pydantic_core_schema__") or hasattr(cls, "__fields_set__")
    )


def _by_pydantic(kind: Any) -> Schema | None:
    """Pydantic's schema of the type; None when the project does not use pydantic."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:
        return None
    adapter = getattr(pydantic, "TypeAdapter", None)
    if adapter is None:  # pydantic 1
        return dict(kind.schema()) if hasattr(kind, "schema") else None
    return dict(adapter(kind).json_schema())
