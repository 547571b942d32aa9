"""Parameters as rows keep them: with their kinds, and their secrets encrypted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol, overload, runtime_checkable

from cryptography.fernet import InvalidToken
from django.db import models

from jobs.encryption import cipher
from kedro_console.wire import (
    SEALED,
    Group,
    Json,
    Key,
    Other,
    Value,
    marked,
    packed,
    secret_places,
    unpacked,
    with_secrets,
)


def sealed(values: Group) -> dict[str, Json]:
    """As JSON that may be read by whoever reads the database."""
    kept: dict[str, Json] = packed(with_secrets(values, _seal), depth=1_000, items=10**9)
    return kept


def _seal(secret: Value) -> Value:
    """What cannot be opened now stays as it is."""
    if isinstance(secret, Other):
        return secret
    return Other(SEALED, cipher().encrypt(json.dumps(packed(secret)).encode()).decode())


@overload
def opened(value: Mapping[str, Json]) -> dict[Key, Value]: ...
@overload
def opened(value: Json) -> Value: ...
def opened(value: Json) -> Value:
    """The values again; a secret that the present keys do not open stays closed."""
    return _opened(unpacked(value))


def _opened(value: Value) -> Value:
    if isinstance(value, dict):
        return {key: _opened(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(_opened(part) for part in value)
    if not isinstance(value, Other) or value.kind != SEALED:
        return value
    try:
        kept: Json = json.loads(cipher().decrypt(value.text.encode()))
        return unpacked(kept)
    except InvalidToken:
        return value


def is_closed(value: Value) -> bool:
    return isinstance(value, Other) and value.kind == SEALED


class _PlainColumn(models.JSONField):
    """A column of JSON like any other, as far as migrations go."""

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs


@runtime_checkable
class KnowsSecrets(Protocol):
    """A row that knows which of its parameters the project's types call secrets."""

    def marked(self, parameters: Group) -> dict[Key, Value]: ...


class ParametersField(_PlainColumn):
    def pre_save(self, model_instance: models.Model, add: bool) -> object:
        value = super().pre_save(model_instance, add)
        return model_instance.marked(value) if isinstance(model_instance, KnowsSecrets) and value else value

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(sealed(value) if isinstance(value, dict) else value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        read = super().from_db_value(value, expression, connection)
        return opened(read) if isinstance(read, dict) else read


def _marked(content: dict[str, dict[str, Json]]) -> dict[Key, Value]:
    """The parameters of a snapshot, those among them that the project's types call secrets as such."""
    return marked(unpacked(content["parameters"]), secret_places(content.get("schemas") or {}))


class PictureField(_PlainColumn):
    """The JSON of a snapshot; in memory its parameters are as the project wrote them."""

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, dict) and "parameters" in value:
            value = {**value, "parameters": sealed(_marked(value))}
        return super().get_prep_value(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        read = super().from_db_value(value, expression, connection)
        if isinstance(read, dict) and "parameters" in read:
            read["parameters"] = packed(opened(read["parameters"]), depth=1_000, items=10**9)
        return read
