"""What a migration may do, so that the release before it works on the schema that it leaves: only add."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.db import connection, migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

HARMLESS: Final = (
    migrations.CreateModel,
    migrations.AddIndex,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
    migrations.RunPython,
)


def refusals(migration: migrations.Migration, state: ProjectState) -> list[str]:
    """A sentence for each thing that the earlier release would stumble over; `state` is moved past the migration."""
    found: list[str] = []
    made = {each.name_lower for each in migration.operations if isinstance(each, migrations.CreateModel)}
    for operation in migration.operations:
        before = state.clone()
        operation.state_forwards(migration.app_label, state)
        if isinstance(operation, migrations.AddConstraint) and operation.model_name_lower in made:
            continue  # the earlier release writes no row of it
        found += [f"{migration}: {why}" for why in _refused(operation, migration.app_label, before, state)]
    return found


def _refused(operation: Operation, app: str, before: ProjectState, after: ProjectState) -> Iterator[str]:
    if isinstance(operation, HARMLESS):
        return
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        for inner in operation.database_operations:
            yield from _refused(inner, app, before, after)
    elif isinstance(operation, migrations.AddField):
        if not _may_be_left_out(operation.field):
            yield f"{operation.describe()}: the earlier release gives it no value; give it db_default, or null=True"
    elif isinstance(operation, migrations.AlterField):
        name = operation.model_name_lower
        old, new = (_field(state, app, name, operation.name) for state in (before, after))
        if not _takes_all_of(old, new):
            yield f"{operation.describe()}: the earlier release writes what it does not take; add a field instead"
    else:
        yield f"{operation.describe()}: not an addition; do it when no release needs what it takes away"


def _may_be_left_out(field: models.Field[Any, Any]) -> bool:
    return field.many_to_many or field.null or field.has_db_default()  # type: ignore[attr-defined]


def _field(state: ProjectState, app: str, model: str, name: str) -> models.Field[Any, Any]:
    found: models.Field[Any, Any] = state.apps.get_model(app, model)._meta.get_field(name)  # type: ignore[assignment]
    return found


def _takes_all_of(old: models.Field[Any, Any], new: models.Field[Any, Any]) -> bool:
    """Whether the column stays, or takes longer texts, or takes NULL as well."""
    if not connection.schema_editor(collect_sql=True)._field_should_be_altered(old, new):
        return True
    same = {"null", "max_length", "default", "help_text", "blank", "choices", "verbose_name"}
    had, has = ({k: v for k, v in each.deconstruct()[3].items() if k not in same} for each in (old, new))
    is_longer = (new.max_length or 10**9) >= (old.max_length or 10**9)
    return type(old) is type(new) and had == has and is_longer and (new.null or not old.null)
