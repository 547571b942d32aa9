from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict

from console.forms.forms import RunForm
from jobs.models import Pipeline, Project
from kedro_console.wire import parse_snapshot
from tests.factories import content, node

SCHEMA = {
    "type": "object",
    "required": ["top"],
    "properties": {
        "top": {"type": "integer", "minimum": 1, "maximum": 30, "description": "How many groups."},
        "ratio": {"type": "number", "exclusiveMinimum": 0},
        "kind": {"type": "string", "enum": ["bar", "line"]},
        "level": {"enum": [1, 2, None]},
        "is_quick": {"type": "boolean"},
        "is_sure": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        "title": {"type": "string"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "columns": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "style": {"$ref": "#/$defs/Style"},
    },
    "$defs": {"Style": {"type": "object", "properties": {"size": {"type": "integer", "maximum": 72}}}},
}
VALUES = {
    "top": 10,
    "ratio": 0.5,
    "kind": "bar",
    "level": 1,
    "is_quick": False,
    "is_sure": None,
    "title": "Report",
    "note": None,
    "limit": 5,
    "columns": ["a", "b"],
    "style": {"size": 14},
}


def a_form(
    names: list[str] | None = None,
    *,
    values: dict[str, Any] | None = None,
    schemas: dict[str, Any] | None = None,
    defaults: dict[str, Any] | None = None,
    data: QueryDict | None = None,
    parameters: dict[str, Any] | None = None,
) -> RunForm:
    names = names or ["options"]
    row = {"name": "report", "nodes": [node("fetch", [], ["x"])], "inputs": [], "outputs": ["x"], "parameters": names}
    raw = content(
        pipelines=[row],
        parameters={"options": VALUES} if values is None else values,
        schemas={"options": SCHEMA} if schemas is None else schemas,
    )
    picture = parse_snapshot(raw)
    pipeline = Pipeline(pk=1, project=Project(name="shop"), name="report", default_parameters=defaults or {})
    return RunForm(pipeline, picture.pipelines[0], picture, data=data, parameters=parameters)


def filled(form: RunForm, **changes: str | None) -> QueryDict:
    """What a browser sends for this form after somebody typed these texts; None leaves a box unticked."""
    sent = QueryDict(mutable=True)
    for name in form.fields:
        value = form[name].value()
        if value is True:
            sent[name] = "on"
        elif value is not False and not isinstance(value, list) and value is not None:
            sent[name] = str(value)
    for name, text in changes.items():
        sent.pop(name, None)
        if text is not None:
            sent[name] = text
    return sent


def sent(_values: dict[str, Any] | None = None, **changes: str | None) -> RunForm:
    """The form after it came back with changes; `__` stands for a dot."""
    typed = {"p:" + name.replace("__", "."): text for name, text in changes.items()}
    return a_form(values=_values, data=filled(a_form(values=_values), **typed))


def test_a_form_that_nobody_touched_changes_nothing() -> None:
    form = sent()
    assert form.is_valid(), form.errors
    assert form.changes == {}


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ({"options__top": "12"}, {"options.top": 12}),
        ({"options__ratio": "0.75"}, {"options.ratio": 0.75}),
        ({"options__ratio": "2"}, {"options.ratio": 2.0}),
        ({"options__kind": "1"}, {"options.kind": "line"}),
        ({"options__level": "1"}, {"options.level": 2}),
        ({"options__level": ""}, {"options.level": None}),
        ({"options__is_quick": "on"}, {"options.is_quick": True}),
        ({"options__is_sure": "1"}, {"options.is_sure": False}),
        ({"options__title": " Two\r\nlines "}, {"options.title": " Two\nlines "}),
        ({"options__title": ""}, {"options.title": ""}),
        ({"options__note": "hello"}, {"options.note": "hello"}),
        ({"options__limit": ""}, {"options.limit": None}),
        ({"options__columns": '["b"]'}, {"options.columns": ["b"]}),
        ({"options__style__size": "20"}, {"options.style.size": 20}),
    ],
)
def test_a_typed_value_arrives_as_its_type_and_alone(typed: dict[str, str], value: dict[str, Any]) -> None:
    form = sent(**typed)
    assert form.is_valid(), form.errors
    assert form.changes == value
    assert {name: type(content) for name, content in form.changes.items()} == {k: type(v) for k, v in value.items()}


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"options__top": "31"}, "options.top", "31 is greater than the maximum of 30"),
        ({"options__top": "many"}, "options.top", "whole number"),
        ({"options__top": "9" * 6000}, "options.top", "whole number"),
        ({"options__top": ""}, "options.top", "Needs a value"),
        ({"options__ratio": "nan"}, "options.ratio", "finite"),
        ({"options__ratio": "0"}, "options.ratio", "0"),
        ({"options__kind": "7"}, "options.kind", "not one of the choices"),
        ({"options__columns": "[]"}, "options.columns", "[] should be non-empty"),
        ({"options__columns": "[1]"}, "options.columns", "1 is not of type 'string'"),
        ({"options__columns": "a, b"}, "options.columns", "Is not JSON"),
        ({"options__columns": "{}"}, "options.columns", "list"),
        ({"options__columns": "[" * 100_000}, "options.columns", "nested too deeply"),
        ({"options__style__size": "99"}, "options.style.size", "maximum of 72"),
        ({"options__title": "${oc.env:SECRET}"}, "options.title", "configuration"),
        ({"options__title": "a\x00b"}, "options.title", "not valid text"),
    ],
)
def test_a_wrong_value_is_refused_on_its_own_field(typed: dict[str, str], field: str, words: str) -> None:
    form = sent(**typed)
    assert not form.is_valid()
    assert set(form.errors) == {f"p:{field}"}
    assert words in str(form.errors[f"p:{field}"][0])


def test_what_was_typed_wrong_is_shown_again_letter_by_letter() -> None:
    form = sent(options__columns='["b"')
    form.is_valid()
    assert form["p:options.columns"].value() == '["b"'


def test_numbers_carry_their_limits_to_the_browser() -> None:
    form = a_form()
    top, ratio = str(form["p:options.top"]), str(form["p:options.ratio"])
    assert 'type="number"' in top and 'min="1"' in top and 'max="30"' in top and 'step="1"' in top
    assert 'step="any"' in ratio and 'min="0"' in ratio
    assert "How many groups." in form.fields["p:options.top"].help_text


def test_untyped_values_keep_the_kind_that_the_project_gives_them() -> None:
    values = {"url": "http://x", "count": 3, "dry": True, "tags": ["a"], "deep": {"x": {"y": 1.5}}, "free": None}
    names = list(values)
    form = a_form(names, values=values, schemas={})
    assert [leaf.kind for leaf in form.tree] == ["string", "integer", "boolean", "array", "", "number"]
    data = filled(form, **{"p:count": "4", "p:dry": None, "p:deep.x.y": "2.5", "p:free": "later"})
    form = a_form(names, values=values, schemas={}, data=data)
    assert form.is_valid(), form.errors
    assert form.changes == {"count": 4, "dry": False, "deep.x.y": 2.5, "free": "later"}


@pytest.mark.parametrize(("typed", "value"), [("5", 5), ('"5"', "5"), ("five", "five"), ("[1]", [1])])
def test_a_value_of_no_known_kind_is_json_when_it_reads_so(typed: str, value: object) -> None:
    form = a_form(["free"], values={"free": None}, schemas={})
    form = a_form(["free"], values={"free": None}, schemas={}, data=filled(form, **{"p:free": typed}))
    assert form.is_valid()
    assert form.changes == {"free": value}


def test_a_text_that_looks_like_a_number_survives_the_form() -> None:
    before = a_form(["free"], values={"free": None}, schemas={}, parameters={"free": "5"})
    form = a_form(["free"], values={"free": None}, schemas={}, data=filled(before))
    assert form.is_valid()
    assert form.changes == {"free": "5"}


def test_only_what_the_pipeline_reads_is_asked_for() -> None:
    values = {"a": 1, "b": {"x": 1, "y": 2}, "c": 3}
    form = a_form(["b.x", "a"], values=values, schemas={})
    assert [leaf.name for leaf in form.tree] == ["a", "b.x"]


def test_parameters_of_one_namespace_stand_below_its_name() -> None:
    values = {"2014": {"pre": {"scouts": 1, "days": 2}}, "2015": {"pre": {"scouts": 3}}, "x.y": {"z": {"k": 4}}, "a": 5}
    form = a_form(["2014.pre.scouts", "2014.pre.days", "2015.pre.scouts", "x.y.z.k", "a"], values=values, schemas={})
    assert [leaf.key for leaf, _ in form.root.fields] == ["a"]
    found = {inner.name: [leaf.key for leaf, _ in inner.fields] for inner in form.root.fieldsets}
    assert found == {"2014.pre": ["scouts", "days"], "2015.pre": ["scouts"], "x.y.z": ["k"]}


def test_a_pipeline_that_reads_all_parameters_is_asked_for_all() -> None:
    form = a_form(["*"], values={"a": 1, "b": {"x": 1}}, schemas={})
    assert [leaf.name for leaf in form.tree] == ["a", "b.x"]


def test_a_parameter_that_the_project_does_not_give_has_to_be_given() -> None:
    form = a_form(["month"], values={}, schemas={})
    form = a_form(["month"], values={}, schemas={}, data=filled(form))
    assert not form.is_valid()
    assert form.errors["p:month"] == ["Needs a value."]


def test_a_part_of_a_typed_parameter_has_its_schema() -> None:
    form = a_form(["options.top"])
    assert [(leaf.name, leaf.is_typed, leaf.schema["maximum"]) for leaf in form.tree] == [("options.top", True, 30)]


def test_the_pipelines_own_values_are_the_ones_that_count() -> None:
    own = {"options": {"top": 20}}
    form = a_form(defaults=own)
    assert form["p:options.top"].value() == "20"
    same = a_form(defaults=own, data=filled(form))
    assert same.is_valid() and same.changes == {}
    back = a_form(defaults=own, data=filled(form, **{"p:options.top": "10"}))
    assert back.is_valid() and back.changes == {"options.top": 10}


def test_an_earlier_runs_values_are_shown_and_sent_as_changes() -> None:
    form = a_form(parameters={"options": {"top": 7}})
    assert form["p:options.top"].value() == "7"
    assert form.started_with == {"options.top": 7}
    again = a_form(data=filled(form))
    assert again.is_valid() and again.changes == {"options.top": 7}


def test_a_key_of_an_object_cannot_vanish_as_kedro_would_bring_it_back() -> None:
    values, schemas = {"map": {"a": 1, "c": 2}}, {"map": {"type": "object"}}
    form = a_form(["map"], values=values, schemas=schemas)
    form = a_form(["map"], values=values, schemas=schemas, data=filled(form, **{"p:map": '{"c": 3}'}))
    assert not form.is_valid()
    assert "cannot be left out" in form.errors["p:map"][0]


def test_hostile_names_and_texts_are_escaped() -> None:
    evil = '"><script>alert(1)</script>'
    form = a_form([evil], values={evil: evil}, schemas={})
    assert "<script>" not in str(form[f"p:{evil}"])


def test_schemas_that_lead_in_circles_end() -> None:
    schema = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}
    form = a_form(["loop"], values={"loop": 1}, schemas={"loop": schema})
    assert [leaf.name for leaf in form.tree] == ["loop"]


@pytest.mark.parametrize("inner", [{"$ref": "#/$defs/T"}, {"anyOf": [{"$ref": "#/$defs/T"}, {"type": "null"}]}])
def test_a_schema_that_holds_itself_ends(inner: dict[str, Any]) -> None:
    kind = {"type": "object", "properties": {"name": {"type": "string"}, "child": inner}}
    schema = {"$ref": "#/$defs/T", "$defs": {"T": kind}}
    form = a_form(["tree"], values={"tree": {"name": "a"}}, schemas={"tree": schema})
    assert len(list(form.tree)) < 20
    again = a_form(["tree"], values={"tree": {"name": "a"}}, schemas={"tree": schema}, data=filled(form))
    assert again.is_valid() and again.changes == {}
