"""What of a pipeline runs, in forms: a field for each choice, and all in one for schedules and rules."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms.boundfield import BoundField

from jobs.errors import BadParameters
from jobs.structure.selection import OF_NODES, Selection, namespaces, read
from kedro_console.wire import ProjectSnapshot, SnapshotPipeline, bare

LISTS = {
    "from_nodes": "From nodes",
    "to_nodes": "To nodes",
    "from_inputs": "From inputs",
    "to_outputs": "To outputs",
}
BOXES = ("nodes", "tags", "namespaces")
MOST_SHOWN = 5

HELP = (
    'In the words of `kedro run`, such as {"tags": ["daily"], "env": "prod"}: nodes, from_nodes, to_nodes, '
    "from_inputs, to_outputs, tags, namespaces, only_missing_outputs, load_versions, env. Empty: the whole pipeline."
)


class SelectionField(forms.JSONField):
    """A JSON object whose names and kinds are those of a selection; nothing is an empty one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"label": "Choices", "required": False, "initial": dict, "help_text": HELP, **options})

    def clean(self, value: Any) -> dict[str, Any]:
        raw = super().clean(value) or {}
        try:
            return read(raw).stored
        except BadParameters as refusal:
            raise forms.ValidationError(said(refusal)) from refusal


def said(refusal: BadParameters) -> list[str]:
    """A line for each choice that cannot be."""
    return [f"{name}: {sentence}" for name, sentence in refusal.fields.items()]


class VersionsField(forms.CharField):
    """`dataset: version`, one a line."""

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea(attrs={"class": "kc-input", "rows": 2, "spellcheck": "false"})
        super().__init__(**{"label": "Load versions", "required": False, "widget": widget, **options})

    def clean(self, value: Any) -> dict[str, str]:
        found = {}
        for line in filter(str.strip, super().clean(value).splitlines()):
            name, colon, version = line.partition(":")
            if not (colon and name.strip() and version.strip()):
                raise forms.ValidationError(f"Write dataset: version, not “{line.strip()[:80]}”.")
            found[name.strip()] = version.strip()
        return found


class ChoiceForm(forms.Form):
    """All that `kedro run` lets people choose; the Kedro environment is the one whose picture is shown."""

    from_nodes = forms.MultipleChoiceField(required=False)
    to_nodes = forms.MultipleChoiceField(required=False)
    from_inputs = forms.MultipleChoiceField(required=False)
    to_outputs = forms.MultipleChoiceField(required=False)
    tags = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    namespaces = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    nodes = forms.MultipleChoiceField(label="Only these", required=False, widget=forms.CheckboxSelectMultiple)
    only_missing_outputs = forms.BooleanField(
        label="Only what is missing: nodes whose outputs exist do not run", required=False
    )
    load_versions = VersionsField()
    env = forms.CharField(required=False, widget=forms.HiddenInput)

    def offer(self, structure: SnapshotPipeline, picture: ProjectSnapshot) -> None:
        """What there is to choose from."""
        names = [node.name for node in structure.nodes]
        read_by = sorted({name for node in structure.nodes for name in node.inputs})
        made = sorted({name for node in structure.nodes for name in node.outputs})
        offered = {
            "from_nodes": names,
            "to_nodes": names,
            "from_inputs": read_by,
            "to_outputs": made,
            "tags": sorted({tag for node in structure.nodes for tag in node.tags}),
            "namespaces": namespaces(structure),
            "nodes": names,
        }
        for name, values in offered.items():
            field = self.fields[name]
            assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - narrows the type
            field.choices = [(value, value) for value in self._with_bare(name, values)]
            if name in LISTS:
                field.label = LISTS[name]
                field.widget.attrs |= {"class": "kc-input", "size": str(min(MOST_SHOWN, max(2, len(values))))}
        used = {bare(name) for node in structure.nodes for name in (*node.inputs, *node.outputs)}
        self.versioned = [row.name for row in picture.datasets if row.is_versioned and bare(row.name) in used]
        self.environments = picture.environments

    @staticmethod
    def _with_bare(name: str, values: list[str]) -> list[str]:
        """A transcoded dataset can be meant in all its formats."""
        return list(dict.fromkeys([*map(bare, values), *values])) if name in ("from_inputs", "to_outputs") else values

    def show(self, selection: Selection) -> dict[str, Any]:
        """Initial values for what was chosen before."""
        lines = [f"{name}: {version}" for name, version in selection.load_versions.items()]
        return {**vars(selection), "load_versions": "\n".join(lines)}

    @property
    def lists(self) -> list[BoundField]:
        return [self[name] for name in LISTS]

    @property
    def selection(self) -> Selection:
        """What is chosen; of a form that was not sent yet, what it shows."""
        if self.is_bound:
            return Selection(**{name: value for name in (*OF_NODES, *MORE) if (value := self.cleaned_data.get(name))})
        shown = {name: value for name in (*OF_NODES, *MORE) if (value := self.initial.get(name))}
        if "load_versions" in shown:
            shown["load_versions"] = self.fields["load_versions"].clean(shown["load_versions"])
        return Selection(**shown)


MORE = ("only_missing_outputs", "load_versions", "env")
