"""The form of a rule: the same checks on its page, in the admin and, without one, over the API."""

from __future__ import annotations

from typing import Any

from django import forms

from console.forms.choices import SelectionField
from console.forms.row_form import RowForm
from console.forms.versions import Versioned
from jobs import clock
from jobs.models import Pipeline, Rule
from jobs.rules.edit import BadRule, check_rule
from jobs.rules.rehearse import Trial
from jobs.structure.paths import signs

FIELDS = (
    "name", "sources", "wants", "outcome", "correlate", "node", "condition", "target", "mapping", "selection",
    "handler", "is_side_job", "is_enabled", "max_iterations", "max_per_hour",
)  # fmt: skip


class RuleForm(Versioned, RowForm):
    """A rule; `trial` is what it would have done with a past run, when there was one."""

    mapping = forms.CharField(
        label="Parameters",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="One per line: parameter = JMESPath, such as options.top = least(results.table.rows, `30`)",
    )

    selection = SelectionField(widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}))

    class Meta:
        model = Rule
        fields = FIELDS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.trial: Trial | None = None
        self.initial["mapping"] = written(self.instance.mapping)
        pipelines = Pipeline.objects.select_related("project").filter(is_registered=True)
        known = {source.pk for source in self.instance.sources.all()} if self.instance.pk else set()
        gone = Pipeline.objects.select_related("project").filter(pk__in={*known, self.instance.target_id or 0})
        for name in {"sources", "target"} & self.fields.keys():  # who may only look has no fields
            self.fields[name].queryset = (pipelines | gone).order_by("project__name", "name")  # type: ignore[attr-defined]

    def clean_mapping(self) -> dict[str, str]:
        return read(self.cleaned_data["mapping"])

    def _post_clean(self) -> None:
        """When each field is right for itself: the rule as a whole, tried with a past run."""
        super()._post_clean()
        if self.errors:
            return
        try:
            self.trial = check_rule(self.instance, self.sources, clock.now())
        except BadRule as refusal:
            self.refuse(refusal)

    @property
    def sources(self) -> list[Pipeline]:
        return list(self.cleaned_data.get("sources") or [])

    def refuse(self, refusal: BadRule) -> None:
        """Put each sentence on the field that it is about."""
        for name, sentence in refusal.fields.items():
            field, _, parameter = name.partition(".")
            self.add_error(
                field if field in self.fields else None, f"{parameter}: {sentence}" if parameter else sentence
            )


class RulePageForm(RuleForm):
    """The same with the looks of our own pages."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for field in self.fields.values():
            if not isinstance(field, forms.BooleanField):
                field.widget.attrs.setdefault("class", "kc-input")
            else:
                field.widget.attrs.setdefault("class", "kc-check")
        self.fields["condition"].widget.attrs |= {"rows": 3, "spellcheck": "false"}
        self.fields["sources"].widget.attrs["size"] = 7


def written(mapping: dict[str, str]) -> str:
    """A mapping as people edit it."""
    return "\n".join(f"{name} = {text}" for name, text in mapping.items())


def read(text: str) -> dict[str, str]:
    """The mapping of these lines; a ValidationError names the line that is none."""
    mapping: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        sign = next(iter(signs(line)), len(line))
        name, expression = line[:sign], line[sign + 1 :]
        if not name.strip() or not expression.strip():
            raise forms.ValidationError(f"Line {number}: write parameter = expression.")
        if name.strip() in mapping:
            raise forms.ValidationError(f"Line {number}: {name.strip()} is computed twice.")
        mapping[name.strip()] = expression.strip()
    return mapping
