"""The picture of a project: its pipelines, nodes, datasets and parameters, and how it is printed."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

from kedro_projects import make_project
from snapshots import OMEGA, dataset, project_of_one, run_snapshot, snapshot, write

from kedro_console import wire

# ---- pipelines and nodes -------------------------------------------------------------------------


def test_every_pipeline_is_there_with_its_nodes_in_topological_order(tmp_path: Path) -> None:
    registry = """
        from kedro.pipeline import Pipeline, node
        from .nodes import *

        def register_pipelines():
            chain = Pipeline([
                node(third, "b", "c", name="third", tags=["z", "a"]),
                node(second, "a", "b", name="second", namespace="deep"),
                node(first, None, "a", name="first"),
            ])
            return {"__default__": chain, "part": chain.only_nodes("third")}
    """
    picture = snapshot(make_project(tmp_path / "project", pipelines=registry))
    assert [each.name for each in picture.pipelines] == ["__default__", "part"]
    whole, part = picture.pipelines
    assert [node.name for node in whole.nodes] == ["first", "deep.second", "third"]
    assert (whole.inputs, whole.outputs) == ([], ["c"])
    assert (part.inputs, part.outputs) == (["b"], ["c"])
    assert whole.nodes[1].namespace == "deep"
    assert whole.nodes[2].tags == ["a", "z"]
    assert (picture.package_name, picture.python_version) == ("demo", sys.version.split()[0])
    assert picture.kedro_version == picture.versions["kedro"]
    assert picture.revision


def test_two_readings_of_one_state_are_equal(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    assert run_snapshot(project).stdout == run_snapshot(project, environ={"PYTHONHASHSEED": "7"}).stdout


def test_a_nodes_source_is_what_a_person_wrote_below_decorators_and_partials(tmp_path: Path) -> None:
    nodes = """
        import functools

        def logged(function):
            @functools.wraps(function)
            def wrapper(*values):
                return function(*values)
            return wrapper

        @logged
        def written(a, b):
            return a + b

        work = functools.update_wrapper(functools.partial(written, 1), written)
    """
    (node,) = (
        snapshot(
            project_of_one(tmp_path, nodes, inputs="x", catalog={"x": {"type": "json.JSONDataset", "filepath": "x"}})
        )
        .pipelines[0]
        .nodes
    )
    assert node.function == "demo.nodes.written"
    assert (node.file, node.line_start, node.line_end) == ("src/demo/nodes.py", 10, 12)
    assert node.source == "@logged\ndef written(a, b):\n    return a + b\n"


def test_a_very_long_function_is_cut_at_20_kb(tmp_path: Path) -> None:
    long = "def work():\n" + "    x = 'ä'\n" * 5_000 + "    return x\n"
    (node,) = snapshot(project_of_one(tmp_path, long)).pipelines[0].nodes
    assert 19_000 < len(node.source.encode()) <= 20_000
    assert node.line_end == 5_002


def test_a_function_of_a_library_has_a_name_but_no_source(tmp_path: Path) -> None:
    (node,) = (
        snapshot(project_of_one(tmp_path, "from json import loads as work", inputs="params:x", parameters={"x": 1}))
        .pipelines[0]
        .nodes
    )
    assert (node.function, node.file, node.source) == ("json.loads", "", "")


def test_the_parameters_that_nodes_read_are_listed_without_their_prefix(tmp_path: Path) -> None:
    inputs = ["params:model.depth", "parameters", "params:rate"]
    project = project_of_one(tmp_path, inputs=inputs, parameters={"model": {"depth": 3}, "rate": 0.5})
    picture = snapshot(project)
    assert picture.pipelines[0].parameters == ["*", "model.depth", "rate"]
    assert picture.pipelines[0].inputs == []
    assert picture.problems == []


# ---- datasets and parameters ---------------------------------------------------------------------


def test_datasets_are_resolved_through_factory_patterns(tmp_path: Path) -> None:
    catalog = {
        "{name}_table": {"type": "pandas.CSVDataset", "filepath": "data/{name}.csv", "versioned": True},
        "{anything}": {"type": "json.JSONDataset", "filepath": "data/{anything}.json"},
        "kept": {"type": "MemoryDataset"},
    }
    picture = snapshot(project_of_one(tmp_path, inputs=["cars_table", "kept"], outputs="result", catalog=catalog))
    assert len({dataset.entry for dataset in picture.datasets}) == 3
    assert [replace(dataset, entry="") for dataset in picture.datasets] == [
        wire.SnapshotDataset("cars_table", "pandas.CSVDataset", "data/cars.csv", True, True),
        wire.SnapshotDataset("kept", "MemoryDataset"),
        wire.SnapshotDataset("result", "json.JSONDataset", "data/result.json", True),
    ]


def test_a_dataset_that_no_catalog_names_is_in_memory(tmp_path: Path) -> None:
    assert snapshot(make_project(tmp_path / "project")).datasets[0] == wire.SnapshotDataset("a", "MemoryDataset")


def test_paths_are_shown_without_secrets(tmp_path: Path) -> None:
    paths = {
        "https://ann:secret@example.org/x.csv?token=secret": "https://example.org/x.csv",
        "ftp://ann:secret/cr@et@example.org/x.csv": "ftp://example.org/x.csv",
        "http://localhost:8000/a@1/x.csv": "http://localhost:8000/a@1/x.csv",
        "data/a@b.csv": "data/a@b.csv",
    }
    catalog = {f"d{number}": {"type": "pandas.CSVDataset", "filepath": path} for number, path in enumerate(paths)}
    ended = run_snapshot(project_of_one(tmp_path, catalog=catalog))
    shown = {each.name: each.path for each in wire.parse_snapshot(json.loads(ended.stdout)).datasets}
    assert [shown[name] for name in catalog] == list(paths.values())
    assert b"secret" not in ended.stdout


def test_parameters_are_those_of_the_environment_resolved(tmp_path: Path) -> None:
    deep = {"1": {"2": {"3": {"4": {"5": {"6": {"7": "end"}}}}}}}
    parameters = {"a": {"x": 1, "y": 2}, "b": "${a.x}", "deep": deep}
    project = project_of_one(tmp_path, parameters=parameters, settings=OMEGA)
    write(project, {"conf/prod/parameters.yml": "a:\n  x: 5\nday: 2024-01-31\n"})
    assert snapshot(project).parameters["b"] == 1
    prod = snapshot(project, "--env", "prod").parameters
    assert prod["a"] == {"x": 5}
    assert prod["day"] == "2024-01-31"
    assert prod["deep"]["1"]["2"]["3"]["4"]["5"]["6"]["7"] == "end"
    assert snapshot(project, environ={"KEDRO_ENV": "prod"}).parameters == prod


def test_runtime_parameters_are_listed_and_those_without_default_named(tmp_path: Path) -> None:
    catalog = {"result": {"type": "json.JSONDataset", "filepath": "data/${runtime_params:day}.json"}}
    project = project_of_one(
        tmp_path, catalog=catalog, parameters={"size": "${runtime_params:model.size, 3}"}, settings=OMEGA
    )
    picture = snapshot(project)
    assert picture.runtime_parameters == ["day", "model.size"]
    assert picture.parameters == {"size": 3}
    assert dataset(picture, "result").path == "data/<day>.json"
    (named,) = picture.problems
    assert (named.severity, named.subject) == ("warning", "parameter:day")
    assert "give it with every run" in named.sentence


# ---- the process ---------------------------------------------------------------------------------


def test_what_the_project_prints_does_not_disturb_the_one_json_object(tmp_path: Path) -> None:
    nodes = """
        import os, sys, threading, time
        print("from Python")
        os.write(1, b"from C")
        sys.stdout.write("no newline")
        threading.Thread(target=time.sleep, args=(600,)).start()
        def work(): return 1
    """
    ended = run_snapshot(project_of_one(tmp_path, nodes))
    assert ended.stdout.count(b"\n") == 1
    assert json.loads(ended.stdout)["package_name"] == "demo"
    assert b"from Python" in ended.stderr
    assert b"from C" in ended.stderr


def test_output_goes_to_a_file_when_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "snapshot.json"
    ended = run_snapshot(make_project(tmp_path / "project"), "--output", str(file))
    assert ended.stdout == b""
    assert wire.parse_snapshot(json.loads(file.read_bytes())).package_name == "demo"


def fingerprints(folder: Path) -> dict[str, str]:
    return {str(each): hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.rglob("*") if each.is_file()}


def test_nothing_is_written_into_the_project(tmp_path: Path) -> None:
    catalog = {"result": {"type": "json.JSONDataset", "filepath": "data/new/result.json", "versioned": True}}
    project = project_of_one(tmp_path, catalog=catalog)
    before = fingerprints(project)
    snapshot(project)
    assert fingerprints(project) == before
    assert not list(project.rglob("new"))


def test_no_dataset_is_made_and_no_node_runs(tmp_path: Path) -> None:
    nodes = """
        from pathlib import Path
        from kedro.io import AbstractDataset

        class Loud(AbstractDataset):
            def __init__(self): Path("made").write_text("")
            def load(self): ...
            def save(self, data): ...
            def _describe(self): return {}
            _load, _save = load, save

        def work(): Path("ran").write_text("")
    """
    project = project_of_one(tmp_path, nodes, catalog={"result": {"type": "demo.nodes.Loud"}})
    picture = snapshot(project)
    assert dataset(picture, "result").is_persisted
    assert not (project / "made").exists()
    assert not (project / "ran").exists()
