"""One address for a parameter: a path of keys, which people write as text."""

from typing import Any

import pytest

from jobs.errors import BadParameters
from jobs.structure.parameters import as_given, check, settled
from jobs.structure.paths import Path, by_name, leaves, named, nested, parsed, places, split, written
from kedro_console.wire import parse_snapshot
from tests.factories import content

ODD: dict[Any, Any] = {
    "a.b": 5,
    "a": {"b": 6, "c.d": {"e": 7}},
    "2014.preprocessing.scouts": {"depth": 3, "per.day": {"x y/z": 1}},
    "with space": 1,
    "slash/name": 2,
    'quo"te': 3,
    '"quoted"': 3,
    "größe": 4,
    "": 5,
    " ": 5,
    "a=b": 6,
    "a:b": 7,
    "1": 8,
    2: 9,
    2014: {"x": 1, "1.5": 2, 1.5: 3},
    True: 10,
    None: 11,
    "null": 12,
    ".": 13,
    "..": {"": {".": 14}},
    "line\nbreak": 15,
    "back\\slash": 16,
}


PATHS = [path for path, _ in leaves(ODD)]


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_what_is_written_of_a_path_leads_back_to_it(path: Path) -> None:
    assert parsed(named(path, ODD), ODD) == path
    if all(isinstance(key, str) for key in path):
        assert parsed(written(path), {}) == path


def test_no_two_paths_are_written_alike() -> None:
    assert len({named(path, ODD) for path in PATHS}) == len(PATHS)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a.b", ("a.b",)),
        ('a."b"', ("a", "b")),
        ('"a.b"', ("a.b",)),
        ("a.c.d.e", ("a", "c.d", "e")),
        ('a."c.d".e', ("a", "c.d", "e")),
        ("2014.preprocessing.scouts.depth", ("2014.preprocessing.scouts", "depth")),
        ("2014.preprocessing.scouts.new", ("2014.preprocessing.scouts", "new")),
        ("2014.x", (2014, "x")),
        ("1", ("1",)),
        ("2", (2,)),
        ("true", (True,)),
        ("new.one", ("new", "one")),
        ('"new.one".x', ("new.one", "x")),
        ('"not closed.x', ('"not closed', "x")),
        ("", ("",)),
        ("x.", ("x", "")),
    ],
)
def test_a_literal_name_of_the_project_comes_before_the_dots(text: str, path: Path) -> None:
    assert parsed(text, ODD) == path


@pytest.mark.parametrize(
    ("pair", "path", "value"),
    [
        ("a.b=1", ("a.b",), "1"),
        ("c=d=1", ("c=d",), "1"),
        ('"a=b"=1', ("a=b",), "1"),
        ('"a=b".c=x=y', ("a=b", "c"), "x=y"),
        ("with space = 2", ("with space",), " 2"),
        ("url=http://x?y=z", ("url",), "http://x?y=z"),
        ('text="a=b"', ("text",), '"a=b"'),
    ],
)
def test_a_pair_is_separated_behind_its_name(pair: str, path: Path, value: str) -> None:
    assert split(pair, {**ODD, "url": "", "text": "", "c=d": 1}) == (path, value)


def test_a_pair_without_a_sign_is_none() -> None:
    assert split('"a=b".x', ODD) is None


def test_given_names_are_the_projects_own_keys() -> None:
    given = {"a.b": 7, "2014": {"x": 2, "1.5": 4}, "2014.preprocessing.scouts": {"per.day": {"x y/z": 5}}, "n.o": 1}
    assert settled(given, ODD) == {
        "a.b": 7,
        2014: {"x": 2, "1.5": 4},
        "2014.preprocessing.scouts": {"per.day": {"x y/z": 5}},
        "n": {"o": 1},
    }
    assert settled({"a": {"b": 8}}, ODD) == {"a": {"b": 8}}, "below the top keys are keys"
    assert settled({"a": {"c.d": {"f.g": 8}}}, ODD) == {"a": {"c.d": {"f.g": 8}}}


def test_what_was_settled_once_stays_so_when_the_project_changes() -> None:
    once = settled({"a.b": 7, "2": 3, "x.y": 1}, ODD)
    assert settled(as_given(once), {}) == once == {"a.b": 7, 2: 3, "x": {"y": 1}}


def test_kedros_own_name_may_mean_two_parameters() -> None:
    assert list(places(ODD, "a.b")) == [("a.b",), ("a", "b")]
    assert list(places(ODD, "2014.preprocessing.scouts.per.day")) == [("2014.preprocessing.scouts", "per.day")]


def test_a_value_that_is_also_a_group_is_refused_by_its_name() -> None:
    with pytest.raises(BadParameters, match="both as a value and as a group"):
        nested([(("a",), 1), (("a", "b.c"), 2)])
    assert by_name({"x": {"y.z": 1}}) == {"x.y.z": 1}


def test_a_parameter_with_dots_is_checked_like_any_other() -> None:
    pipeline = {"name": "report", "nodes": [], "inputs": [], "outputs": [], "parameters": ["a.b", "g.c.d"]}
    schemas = {"g.c.d": {"type": "integer", "maximum": 9}}
    raw = content(parameters={"a.b": 5, "g": {"c.d": 1}}, schemas=schemas, pipelines=[pipeline])
    picture = parse_snapshot(raw)
    assert check({"a.b": 7}, picture=picture, pipeline=picture.pipelines[0]) == {"a.b": 7}
    assert check({"g.c.d": 7}, picture=picture, pipeline=picture.pipelines[0]) == {"g": {"c.d": 7}}
    with pytest.raises(BadParameters) as caught:
        check({"a.b": "x", "g": {"c.d": 10}, "a.c": 1}, picture=picture, pipeline=picture.pipelines[0])
    assert caught.value.fields["a.b"].startswith("Has to be a whole number")
    assert caught.value.fields["g.c.d"] == "10 is greater than the maximum of 9."


def test_many_dots_cost_no_time() -> None:
    assert len(parsed("." * 100_000, {"a.a.a": {"a": {"a": 1}}})) == 100_001


@pytest.mark.parametrize("pair", ['a."b=1', '"a=1', 'a."b\\q".c=1', 'a."b"c=1'])
def test_a_quote_that_is_not_closed_is_refused_in_words(pair: str) -> None:
    with pytest.raises(BadParameters, match="does not close it"):
        split(pair, {"a": {}})


def test_a_known_name_may_begin_with_a_quote() -> None:
    assert split('"a=1', {'"a': 0}) == (('"a',), "1")
