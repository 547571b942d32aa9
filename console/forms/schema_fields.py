"""The form field of one value, with the admin theme's widget."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import date, time
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from console.forms.schema_forms import Leaf, choices
from jobs.structure.paths import text_of
from jobs.structure.values import masked, plain, restored
from jobs.structure.values import shown as shown_values
from kedro_console.wire import Other, kind_of, read_number

NOTHING = "—"
LONG_TEXT = 80  # characters; longer texts get several lines
LONGEST_EDITED = 50_000
AS_IT_IS = "="
"""The choice of a value that stands there and is none of the choices."""
ODD_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
TEXT_KINDS = frozenset({"date", "datetime", "time", "duration", "decimal", "bytes"})

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
    return json.dumps(plain(value), ensure_ascii=False)


def field_for(leaf: Leaf, start: Any = None) -> forms.Field:
    """A field that shows `start` and cleans to the value, to None where nothing is allowed, or to NOT_GIVEN."""
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
    if not all(_suits(leaf.kind, value) for value in (leaf.default, start)):
        kind = AnyField
    if kind is SwitchField and (leaf.is_nullable or not leaf.has_default):
        kind = YesNoField
    if leaf.is_secret and kind not in (ChoiceField, SwitchField, YesNoField):
        kind = SecretField
    return StillField(leaf, start) if _is_too_long(leaf.default) else kind(leaf, start)


_SUITED: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "array": (list, tuple, set, frozenset),
    "object": (dict,),
}


def _suits(kind: str, value: Any) -> bool:
    """Whether a control of this kind can show the value; a project's defaults may be anything."""
    if value is None or kind not in _SUITED:
        return True
    if kind == "string" and kind_of(value) in TEXT_KINDS:
        return True
    return isinstance(value, _SUITED[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _is_too_long(value: Any) -> bool:
    return isinstance(value, str | list | dict) and len(json.dumps(plain(value))) > LONGEST_EDITED


def _as_sent(text: str) -> str:
    """As a browser sends it back."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class ValueField(forms.Field):
    """One leaf as text; the kinds below know how to read and write it."""

    def __init__(self, leaf: Leaf, start: Any = None) -> None:
        self.leaf, self.start = leaf, start
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
        return "" if value is None else str(plain(value))

    def read(self, text: str) -> Any:
        raise NotImplementedError

    def clean(self, value: Any) -> Any:
        text = "" if value is None else _as_sent(str(value))
        for known in (self.start, self.leaf.default):
            is_known = known is not None or self.leaf.has_default
            if is_known and (value is None or text == _as_sent(str(self.prepare_value(known)))):
                return known
        return self.empty() if self.is_empty(text) else self.read(text)

    def is_empty(self, text: str) -> bool:
        return not text.strip()

    def empty(self) -> Any:
        if self.leaf.is_nullable:
            return None
        if self.leaf.is_required or self.leaf.has_default:
            raise forms.ValidationError("Needs a value.")
        return NOT_GIVEN


class StillField(ValueField):
    """A value that is too long to be sent to and fro."""

    def make_widget(self) -> forms.Widget:
        return _widget(UnfoldAdminTextInputWidget(attrs={**self.attributes, "disabled": True}))

    def write(self, value: Any) -> Any:
        return f"{len(json.dumps(plain(value))):,} characters, too many to change here"

    def clean(self, value: Any) -> Any:
        return self.leaf.default


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
        is_endless = any(isinstance(value, float) and kind_of(value) for value in (self.start, self.leaf.default))
        return _widget(widget, "text" if is_endless else "number")

    step: str | int = "any"

    def read(self, text: str) -> Any:
        try:
            value = read_number(text)
        except ValueError as error:
            raise forms.ValidationError(self.sentence) from error
        if kind_of(value) and self.leaf.is_typed:
            raise forms.ValidationError("Has to be a finite number.")
        is_whole_text = text.strip().lstrip("+-").isdecimal()
        return (
            int(text) if is_whole_text and (isinstance(self.leaf.default, int) or kind_of(self.leaf.default)) else value
        )


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
        default = self.write(self.leaf.default)
        if "\n" in default or len(default) > LONG_TEXT:
            return _widget(UnfoldAdminTextareaWidget(attrs={**self.attributes, "rows": 4}))
        return _widget(UnfoldAdminTextInputWidget(attrs=self.attributes), self._input_type())

    def _input_type(self) -> str:
        """The browser's own control for dates and times, where it can show what stands there."""
        readers = {"date": date.fromisoformat, "time": time.fromisoformat}
        wanted = str(self.leaf.schema.get("format"))
        try:
            for value in (self.start, self.leaf.default):
                readers[wanted](self.write(value)) if value is not None else None
        except (KeyError, ValueError):
            return ""
        return wanted

    def write(self, value: Any) -> Any:
        """Text that no control can show letter by letter is written as JSON does."""
        return json.dumps(value) if isinstance(value, str) and ODD_TEXT.search(value) else super().write(value)

    def is_empty(self, text: str) -> bool:
        return not text and (self.leaf.is_nullable or not self.leaf.has_default)

    def read(self, text: str) -> Any:
        if ODD_TEXT.search(str(self.leaf.default)):
            with suppress(ValueError):
                return str(json.loads(text))
        return text


class SecretField(TextField):
    """What stands there is not shown; who writes something else gives another secret."""

    def make_widget(self) -> forms.Widget:
        attributes = {**self.attributes, "autocomplete": "new-password"}
        return _widget(UnfoldAdminTextInputWidget(attrs=attributes), "password")

    def write(self, value: Any) -> Any:
        return super().write(masked({self.leaf.path[-1]: value})[self.leaf.path[-1]])

    def read(self, text: str) -> Any:
        default = self.leaf.default
        return AnyField(self.leaf).read(text) if default is not None and not isinstance(default, str) else text


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
        if any(self.write(value) == AS_IT_IS for value in (self.start, self.leaf.default)):
            options.append((AS_IT_IS, shown(self.leaf.default)))
        if self.leaf.is_nullable or not self.leaf.has_default or None in self.values:
            options.insert(0, ("", NOTHING))
        return _widget(UnfoldAdminSelectWidget(attrs=self.attributes, choices=options))

    def write(self, value: Any) -> Any:
        for place, choice in enumerate(self.values):
            if choice == value and isinstance(choice, bool) is isinstance(value, bool) and value is not None:
                return str(place)
        return "" if value is None else AS_IT_IS

    def _is_place(self, text: Any) -> bool:
        return str(text).isdecimal() and len(str(text)) < 6 and int(text) < len(self.values)

    def read(self, text: str) -> Any:
        if not self._is_place(text):
            raise forms.ValidationError("Is not one of the choices.")
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
        return _widget(UnfoldAdminTextareaWidget(attrs={**self.attributes, "rows": lines}))

    def write(self, value: Any) -> Any:
        if value is None:
            return ""
        value = shown_values({self.leaf.path[-1]: value})[text_of(self.leaf.path[-1])]
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
            _refuse_lost_keys(plain(self.leaf.default), value)
        return restored(value, self.leaf.default if self.start is None else self.start)


class AnyField(JsonField):
    """A value of no known kind: JSON when it reads as JSON, else the text itself."""

    def make_widget(self) -> forms.Widget:
        return _widget(UnfoldAdminTextInputWidget(attrs=self.attributes))

    def write(self, value: Any) -> Any:
        if value is None:
            return ""
        if isinstance(value, Other):
            return value.text
        is_plain = isinstance(value, str) and not _reads_as_json(value) and not ODD_TEXT.search(value)
        return value if is_plain else json.dumps(plain(value), ensure_ascii=False)

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
