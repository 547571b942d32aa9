"""The choices of `kedro run`: the same nodes as Kedro's own filter, and a sentence for what cannot be."""

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from kedro.pipeline import Pipeline, node

from jobs.errors import BadParameters, EmptyPipeline
from jobs.structure.selection import Selection, choose, namespaces, read
from kedro_console.reading.contents import Sources
from kedro_console.reading.registry import picture
from kedro_console.wire import ProjectSnapshot, SnapshotPipeline

HERE = Path(__file__).parent


def one(*_: Any) -> int:
    return 1


def two(*_: Any) -> tuple[int, int]:
    return 1, 2


def many() -> Pipeline:
    """Transcoding, namespaces nested and side by side, a node without outputs, one without inputs."""
    return Pipeline([
        node(one, None, "raw", name="fetch", tags=["io"]),
        node(two, ["raw", "params:top"], ["cars@pandas", "rest"], name="split", namespace="a", tags=["slow"]),
        node(one, "cars@spark", "wheels", name="count", namespace="a.b"),
        node(one, ["wheels", "parameters"], "report", name="report", namespace="ab", tags=["io", "slow"]),
        node(one, "rest", None, name="tell", tags=["io"]),
        node(one, ["report", "rest"], "deck", name="deck", namespace="c.d.e"),
    ])  # fmt: skip


CHOICES: list[dict[str, Any]] = [
    {"nodes": ["fetch"]},
    {"nodes": ["a.split", "c.d.e.deck"]},
    {"from_nodes": ["a.split"]},
    {"from_nodes": ["a.b.count", "tell"]},
    {"to_nodes": ["ab.report"]},
    {"to_nodes": ["tell"]},
    {"from_inputs": ["cars"]},
    {"from_inputs": ["cars@spark"]},
    {"from_inputs": ["cars@pandas"]},
    {"from_inputs": ["params:top"]},
    {"from_inputs": ["parameters", "deck"]},
    {"to_outputs": ["cars"]},
    {"to_outputs": ["cars@pandas"]},
    {"to_outputs": ["cars@spark"]},
    {"to_outputs": ["report", "raw"]},
    {"to_outputs": ["params:top"]},
    {"tags": ["io"]},
    {"tags": ["slow", "nobody"]},
    {"namespaces": ["a"]},
    {"namespaces": ["a.b", "c"]},
    {"namespaces": ["c.d"]},
]


def shown() -> SnapshotPipeline:
    return picture("many", many(), HERE, Sources(HERE))


def as_kedro(choice: dict[str, Any]) -> set[str]:
    names = {"nodes": "node_names", "namespaces": "node_namespaces"}
    try:
        return {
            each.name
            for each in many().filter(**{names.get(name, name): value for name, value in choice.items()}).nodes
        }
    except ValueError as error:
        assert "contains no nodes" in str(error)
        return set()


@pytest.mark.parametrize("choice", [*CHOICES, *({**a, **b} for a, b in combinations(CHOICES, 2))], ids=str)
def test_the_nodes_are_those_of_kedros_own_filter(choice: dict[str, Any]) -> None:
    try:
        chosen = {each.name for each in choose(shown(), Selection(**choice))}
    except BadParameters as refusal:
        assert "No node matches" in str(refusal)
        chosen = set()
    assert chosen == as_kedro(choice)


def test_before_kedro_1_a_namespace_is_a_piece_of_text() -> None:
    old = choose(shown(), Selection(namespaces=["a"]), kedro="0.19.15")
    assert [each.name for each in old] == ["a.split", "a.b.count", "ab.report"]


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"nodes": ["fetsh"]}, "There is no node “fetsh” in this pipeline. Did you mean fetch?"),
        ({"from_nodes": ["split"]}, "Did you mean a.split?"),
        ({"to_nodes": ["x"]}, "There is no node “x” in this pipeline. Known here: a.b.count"),
        ({"from_inputs": ["wheel"]}, "There is no dataset “wheel” in this pipeline. Did you mean wheels?"),
        ({"to_outputs": ["cars@sparks"]}, "Did you mean cars@spark"),
        ({"tags": ["slo"]}, "There is no tag “slo” in this pipeline. Did you mean slow?"),
        ({"namespaces": ["a", "c.e"]}, "There is no namespace “c.e” in this pipeline. Did you mean c.d"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_the_nearest(choice: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadParameters) as caught:
        choose(shown(), Selection(**choice))
    ((field, said),) = caught.value.fields.items()
    assert field in choice
    assert sentence in said


def test_a_pipeline_without_nodes_is_not_the_fault_of_a_choice() -> None:
    empty = SnapshotPipeline("empty", [], [], [], [])
    with pytest.raises(EmptyPipeline, match="contains no nodes"):
        choose(empty, Selection())


def test_namespaces_are_offered_with_those_around_them() -> None:
    assert namespaces(shown()) == ["a", "a.b", "ab", "c", "c.d", "c.d.e"]


def test_what_a_row_keeps_reads_as_the_same_selection() -> None:
    asked = Selection(tags=["io"], only_missing_outputs=True, load_versions={"cars": "2026"}, env="prod")
    assert asked.stored == {
        "tags": ["io"], "only_missing_outputs": True, "load_versions": {"cars": "2026"}, "env": "prod",
    }  # fmt: skip
    assert read(asked.stored) == asked
    assert read({}) == Selection()


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"tag": ["io"]}, "tag: There is no such choice. Did you mean tags?"),
        ({"tags": "io"}, "tags: Write a list of names."),
        ({"only_missing_outputs": 1}, "only_missing_outputs: Write true or false."),
        ({"load_versions": ["a:1"]}, "load_versions: Write an object of datasets and their versions."),
        ({"env": None}, "env: Write the name of a Kedro environment."),
        ([], "selection: Write an object of some of nodes"),
    ],
)
def test_what_a_person_wrote_wrongly_is_named(raw: Any, sentence: str) -> None:
    with pytest.raises(BadParameters) as caught:
        read(raw)
    assert str(caught.value).startswith(sentence)


def test_versions_are_those_of_datasets_of_the_project() -> None:
    from jobs.structure.selection import check_versions
    from kedro_console.wire import SnapshotDataset

    nothing: dict[str, Any] = {"pipelines": [], "parameters": {}, "schemas": {}, "problems": []}
    project = ProjectSnapshot("p", "1.7.0", "3.11", "r", datasets=[SnapshotDataset("cars", "csv")], **nothing)
    check_versions(project, {"cars": "2026-01-01T00.00.00.000Z"})
    for asked, sentence in (
        ({"car": "1"}, "Did you mean cars?"),
        ({"cars": "../../secret"}, "is not a version of cars"),
        ({"cars": ".."}, "is not a version of cars"),
        ({"cars": " "}, "is not a version of cars"),
    ):
        with pytest.raises(BadParameters) as caught:
            check_versions(project, asked)
        assert sentence in caught.value.fields["load_versions"]
