"""The form that starts a run of one pipeline."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.forms.boundfield import BoundField
from unfold.widgets import UnfoldAdminSelectWidget

from console.forms.choices import ChoiceForm
from console.forms.schema_fields import NOT_GIVEN, field_for
from console.forms.schema_forms import Branch, Leaf, changed, initial, plant
from jobs.errors import BadParameters, EmptyPipeline
from jobs.models import Pipeline
from jobs.runs.order import WHOLE
from jobs.states import Runner
from jobs.structure import parameters as runtime
from jobs.structure.parameters import as_given, settled
from jobs.structure.paths import merge, named, parsed
from jobs.structure.selection import OF_NODES, Selection, check_versions, choose
from kedro_console.wire import ProjectSnapshot, SnapshotPipeline

PREFIX = "p:"


MANY: Final = 40


@dataclass(frozen=True)
class Fieldset:
    """A group of parameters as the template draws it."""

    name: str
    help: str
    fields: list[tuple[Leaf, BoundField]]
    fieldsets: list[Fieldset]

    @property
    def count(self) -> int:
        """Of all fields in it."""
        return len(self.fields) + sum(inner.count for inner in self.fieldsets)

    @property
    def is_large(self) -> bool:
        """More than one looks through: its groups are folded, and there is a way to find one field."""
        return self.count > MANY

    @property
    def has_errors(self) -> bool:
        return any(field.errors for _, field in self.fields) or any(inner.has_errors for inner in self.fieldsets)


class RunForm(ChoiceForm):
    """Parameters as the pipeline's schemas ask for them, the choice of nodes, the runner.

    When it is valid, `changes` holds only the parameters that differ from what counts anyway, by name;
    `started_with` holds the same of a fresh form.
    """

    key = forms.UUIDField(widget=forms.HiddenInput, required=False)
    runner = forms.ChoiceField(choices=Runner.choices, widget=UnfoldAdminSelectWidget(choices=Runner.choices))
    everything = forms.BooleanField(label="Run everything, also what did not change", required=False)

    def __init__(
        self,
        pipeline: Pipeline,
        structure: SnapshotPipeline,
        picture: ProjectSnapshot,
        *,
        data: Any = None,
        parameters: dict[str, Any] | None = None,
        selection: Selection = WHOLE,
        kedro: str = "",
    ) -> None:
        self.pipeline, self.structure, self.picture, self.kedro = pipeline, structure, picture, kedro
        self.changes: dict[str, Any] = {}
        self.values = merge(picture.parameters, _own(pipeline, picture))
        self.tree = _tree(structure, picture, self.values)
        shown = initial(self.tree, parameters or {})
        self.started_with = changed(self.tree, shown)
        values = {PREFIX + name: value for name, value in shown.items()}
        super().__init__(
            data, initial={"key": uuid.uuid4(), "runner": pipeline.runner, **self.show(selection), **values}
        )
        for leaf in self.tree:
            self.fields[PREFIX + leaf.name] = field_for(leaf, shown.get(leaf.name))
        self.offer(structure, picture)

    @property
    def root(self) -> Fieldset:
        return self._fieldset(self.tree)

    def _fieldset(self, branch: Branch) -> Fieldset:
        fields = [(leaf, self[PREFIX + leaf.name]) for leaf in branch.leaves]
        return Fieldset(branch.name, branch.help, fields, [self._fieldset(inner) for inner in branch.branches])

    @property
    def is_narrowed(self) -> bool:
        """Whether the choice of nodes should be seen at once."""
        return any(self[name].value() for name in (*OF_NODES, "only_missing_outputs", "load_versions", "everything"))

    def clean(self) -> dict[str, Any]:
        given = {
            name.removeprefix(PREFIX): value
            for name, value in self.cleaned_data.items()
            if name.startswith(PREFIX) and value is not NOT_GIVEN
        }
        self.changes = changed(self.tree, given)
        try:
            runtime.check(
                self.asked(self.changes),
                picture=self.picture,
                pipeline=self.structure,
                defaults=self.pipeline.default_parameters,
            )
        except BadParameters as error:
            self.refuse(error)
        try:
            choose(self.structure, self.selection, kedro=self.kedro)
            check_versions(self.picture, self.selection.load_versions)
        except BadParameters as error:
            self.refuse(error)
        except EmptyPipeline as error:
            self.add_error(None, str(error))
        return self.cleaned_data

    def asked(self, changes: dict[str, Any]) -> dict[Any, Any]:
        """Changes by name as a run is given them."""
        return as_given(settled(changes, self.values))

    def refuse(self, error: BadParameters) -> None:
        """Put each sentence on the field that it is about, once."""
        for name, sentence in error.fields.items():
            target = self._field_of(name)
            if target is None:
                self.add_error(None, f"{name}: {sentence}")
            elif target not in self.errors:
                self.add_error(target, sentence[:1].upper() + sentence[1:])

    def _field_of(self, name: str) -> str | None:
        """The field of this name, or of what it is a part of."""
        if name in self.fields:
            return name
        path = parsed(name, self.values)
        names = (PREFIX + named(path[:depth], self.values) for depth in range(len(path), 0, -1))
        return next((ancestor for ancestor in names if ancestor in self.fields), None)

    @property
    def bad_names(self) -> list[str]:
        return [name.removeprefix(PREFIX) for name in self.errors if name != NON_FIELD_ERRORS]


def _own(pipeline: Pipeline, picture: ProjectSnapshot) -> dict[Any, Any]:
    return settled(pipeline.default_parameters, picture.parameters)


def _tree(structure: SnapshotPipeline, picture: ProjectSnapshot, values: dict[Any, Any]) -> Branch:
    asked = [name for name in picture.runtime_parameters if name not in values]
    return plant([*structure.parameters, *asked], values=values, schemas=picture.schemas, optional=asked)
