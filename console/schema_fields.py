"""The form field of one value, with the admin theme's widget."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from console.schema_forms import Leaf, choices

NOTHING = "—"
LONG_TEXT = 80  # characters; longer texts get several lines

NOT_GIVEN = object()
"""What a field is cleaned to when it was left empty and need not be given."""


def _widget(widget: forms.Widget, input_type: str = "") -> forms.Widget:
    """The theme's widget, with another type of `<input>` when one is named."""
    if input_type:
        vars(widget)["input_type"] = input_type
    return widget


class Typed(str):
    """Text as somebody typed it, to be shown again letter by letter."""


def shown(value: Any) -> str:
    """A value as a person reads it in one line."""
    if isinstance(value, str):
        return value or "empty text"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False)


def field_for(leaf: Leaf) -> forms.Field:
    """A field that cleans to the JSON value, to None where nothing is allowed, or to NOT_GIVEN."""
    kinds: dict[str, type[ValueField]] = {
        "choice": ChoiceField,
        "boolean": SwitchField,
        "integer": WholeNumberField,
        "number": NumberField,
        "string": TextField,
        "array": JsonField,
        "object": JsonField,
    }
    kind = kinds.get(leaf.kind, AnyField)
    if kind is SwitchField and (leaf.is_nullable or not leaf.has_default):
        kind = YesNoField
    return kind(leaf)


class ValueField(forms.Field):
    """One leaf as text; the kinds below know how to read and write it."""

    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf
        super().__init__(
            required=False,
            label=leaf.name,
            help_text=str(leaf.schema.get("description", "")),
            widget=self.make_widget(),
        )

    @property
    def attributes(self) -> dict[str, Any]:
        """What the browser needs to mark a changed field: the text that stands there when nothing is changed."""
        return {"data-default": self.prepare_value(self.leaf.default), "spellcheck": "false", "autocomplete": "off"}

    def make_widget(self) -> forms.Widget:
        return _widget(UnfoldAdminTextInputWidget(attrs=self.attributes))

    def bound_data(self, data: Any, initial: Any) -> Any:
        return Typed(data or "")

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, Typed) else self.write(value)

    def write(self, value: Any) -> Any:
        return "" if value is None else str(value)

    def read(self, text: str) -> Any:
        raise NotImplementedError

    def clean(self, value: Any) -> Any:
        text = "" if value is None else str(value).replace("\r\n", "\n")
        return self.empty() if self.is_empty(text) else self.read(text)

    def is_empty(self, text: str) -> bool:
        return not text.strip()

    def empty(self) -> Any:
        if self.leaf.is_nullable:
            return None
        if self.leaf.is_required or self.leaf.has_default:
            raise forms.ValidationError("Needs a value.")
        return NOT_GIVEN


class NumberField(ValueField):
    sentence = "Has to be a number."

    def make_widget(self) -> forms.Widget:
        schema = self.leaf.schema
        limits = {
            "min": schema.get("minimum", schema.get("exclusiveMinimum")),
            "max": schema.get("maximum", schema.get("exclusiveMaximum")),
            "step": schema.get("multipleOf", self.step),
        }
        given = {name: value for name, value in limits.items() if value is not None}
        widget = UnfoldAdminIntegerFieldWidget(attrs={**self.attributes, **given, "inputmode": "decimal"})
        return _widget(widget, "number")

    step: str | int = "any"

    def read(self, text: str) -> Any:
        try:
            value = float(text)
        except ValueError as error:
            raise forms.ValidationError(self.sentence) from error
        if value != value or value in (float("inf"), float("-inf")):
            raise forms.ValidationError("Has to be a finite number.")
        is_whole_text = text.strip().lstrip("+-").isdecimal()
        return int(text) if is_whole_text and isinstance(self.leaf.default, int) else value


class WholeNumberField(NumberField):
    sentence = "Has to be a whole number."
    step = 1

    def read(self, text: str) -> Any:
        try:
            return int(text)
        except ValueError as error:  # also more digits than Python turns into a number
            raise forms.ValidationError(self.sentence) from error


class TextField(ValueField):
    def make_widget(self) -> forms.Widget:
        default = self.leaf.default
        if isinstance(default, str) and ("\n" in default or len(default) > LONG_TEXT):
            return _widget(UnfoldAdminTextareaWidget(attrs={**self.attributes, "rows": 4}))
        wanted = self.leaf.schema.get("format")
        return _widget(UnfoldAdminTextInputWidget(attrs=self.attributes), wanted if wanted in ("date", "time") else "")

    def is_empty(self, text: str) -> bool:
        return not text and (self.leaf.is_nullable or not self.leaf.has_default)

    def read(self, text: str) -> Any:
        return text


class SwitchField(ValueField):
    def make_widget(self) -> forms.Widget:
        attributes = {"data-default": "true" if self.leaf.default else "false"}
        return _widget(UnfoldBooleanSwitchWidget(attrs=attributes))

    def bound_data(self, data: Any, initial: Any) -> Any:
        return bool(data)

    def prepare_value(self, value: Any) -> Any:
        return bool(value)

    def clean(self, value: Any) -> Any:
        return bool(value)


class ChoiceField(ValueField):
    """Choices travel by their place in the schema, so that 1, "1" and true stay different things."""

    @property
    def values(self) -> list[Any]:
        return choices(self.leaf.schema)

    def make_widget(self) -> forms.Widget:
        options = [(str(place), shown(value)) for place, value in enumerate(self.values) if value is not None]
        if self.leaf.is_nullable or not self.leaf.has_default or None in self.values:
            options.insert(0, ("", NOTHING))
        return _widget(UnfoldAdminSelectWidget(attrs=self.attributes, choices=options))

    def write(self, value: Any) -> Any:
        for place, choice in enumerate(self.values):
            if choice == value and isinstance(choice, bool) is isinstance(value, bool) and value is not None:
                return str(place)
        return ""

    def _is_place(self, text: Any) -> bool:
        return str(text).isdecimal() and len(str(text)) < 6 and int(text) < len(self.values)

    def read(self, text: str) -> Any:
        if not self._is_place(text):
            raise forms.ValidationError("Is none of the choices.")
        return self.values[int(text)]

    def empty(self) -> Any:
        return None if None in self.values else super().empty()


class YesNoField(ChoiceField):
    @property
    def values(self) -> list[Any]:
        return [True, False]


class JsonField(ValueField):
    """A list or an object, written as JSON."""

    def make_widget(self) -> forms.Widget:
        lines = min(max(self.prepare_value(self.leaf.default).count("\n") + 1, 2), 14)
        return _widget(UnfoldAdminTextareaWidget(attrs={**self.attributes, "rows": lines, "class": "kc-json"}))

    def write(self, value: Any) -> Any:
        if value is None:
            return ""
        flat = json.dumps(value, ensure_ascii=False)
        return flat if len(flat) <= LONG_TEXT else json.dumps(value, ensure_ascii=False, indent=2)

    def read(self, text: str) -> Any:
        try:
            value = json.loads(text)
        except RecursionError as error:
            raise forms.ValidationError("Is nested too deeply.") from error
        except ValueError as error:
            raise forms.ValidationError(f"Is not JSON: {error}.") from error
        wanted, words = (list, "a list, such as [1, 2]") if self.leaf.kind == "array" else (dict, "an object: {…}")
        if not isinstance(value, wanted):
            raise forms.ValidationError(f"Has to be {words}.")
        if isinstance(value, dict) and isinstance(self.leaf.default, dict):
            _refuse_lost_keys(self.leaf.default, value)
        return value


class AnyField(JsonField):
    """A value of no known kind: JSON when it reads as JSON, else the text itself."""

    def make_widget(self) -> forms.Widget:
        return _widget(UnfoldAdminTextInputWidget(attrs=self.attributes))

    def write(self, value: Any) -> Any:
        if value is None:
            return ""
        is_plain = isinstance(value, str) and not _reads_as_json(value)
        return value if is_plain else json.dumps(value, ensure_ascii=False)

    def read(self, text: str) -> Any:
        try:
            return json.loads(text)
        except RecursionError as error:
            raise forms.ValidationError("Is nested too deeply.") from error
        except ValueError:
            return text


def _reads_as_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_lost_keys(default: dict[str, Any], value: dict[str, Any]) -> None:
    """Kedro lays runtime parameters over the project's, so a key that is left out would come back unseen."""
    lost = [key for key in default if key not in value]
    if lost:
        raise forms.ValidationError(f"“{lost[0]}” cannot be left out, only given another value.")
    for key, inner in default.items():
        if isinstance(inner, dict) and isinstance(value[key], dict):
            _refuse_lost_keys(inner, value[key])
