"""The picture of a project: what is in it, and each thing that stands in the way of a run as one sentence."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from kedro_projects import make_project, one_node

from kedro_console import wire

PIPELINES = Path(__file__).parents[2] / "pipelines"
OMEGA = "from kedro.config import OmegaConfigLoader\nCONFIG_LOADER_CLASS = OmegaConfigLoader\n"
WORK = "def work(*values): return values\n"


def run_snapshot(
    project: Path, *options: str, python: str = sys.executable, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KEDRO", "DJANGO"))}
    return subprocess.run(
        [python, "-m", "kedro_console.snapshot", "--project", str(project), *options],
        env={**kept, "PYTHONPATH": str(PIPELINES), **(environ or {})},
        cwd=project if project.is_dir() else None,
        capture_output=True,
        timeout=120,
        check=False,
    )


def snapshot(project: Path, *options: str, **how: Any) -> wire.ProjectSnapshot:
    """What is printed, exactly one JSON object; the exit status is 0."""
    ended = run_snapshot(project, *options, **how)
    assert ended.returncode == 0, ended.stderr.decode()
    return wire.parse_snapshot(json.loads(ended.stdout))


def write(project: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(dedent(text))
    return project


def project_of_one(folder: Path, nodes: str = WORK, **more: Any) -> Path:
    return make_project(folder / "project", **one_node(nodes, **more))


def problem(picture: wire.ProjectSnapshot, subject: str) -> wire.Problem:
    found = [each for each in picture.problems if each.subject == subject]
    assert len(found) == 1, picture.problems
    return found[0]


def dataset(picture: wire.ProjectSnapshot, name: str) -> wire.SnapshotDataset:
    return next(each for each in picture.datasets if each.name == name)


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
    assert picture.datasets == [
        wire.SnapshotDataset("cars_table", "pandas.CSVDataset", "data/cars.csv", True, True),
        wire.SnapshotDataset("kept", "MemoryDataset"),
        wire.SnapshotDataset("result", "json.JSONDataset", "data/result.json", True),
    ]


def test_a_dataset_that_no_catalog_names_is_in_memory(tmp_path: Path) -> None:
    assert snapshot(make_project(tmp_path / "project")).datasets[0] == wire.SnapshotDataset("a", "MemoryDataset")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("https://ann:secret@example.org/x.csv?token=secret", "https://example.org/x.csv"),
        ("ftp://ann:se/cr@et@example.org/x.csv", "ftp://example.org/x.csv"),
        ("http://localhost:8000/a@1/x.csv", "http://localhost:8000/a@1/x.csv"),
        ("data/a@b.csv", "data/a@b.csv"),
    ],
)
def test_paths_are_shown_without_secrets(tmp_path: Path, path: str, shown: str) -> None:
    catalog = {"result": {"type": "pandas.CSVDataset", "filepath": path}}
    ended = run_snapshot(project_of_one(tmp_path, catalog=catalog))
    assert dataset(wire.parse_snapshot(json.loads(ended.stdout)), "result").path == shown
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


# ---- schemas -------------------------------------------------------------------------------------


def schemas(tmp_path: Path, nodes: str, inputs: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    return snapshot(project_of_one(tmp_path, nodes, inputs=inputs, parameters=parameters)).schemas


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("str", {"type": "string"}),
        ("'int'", {"type": "integer"}),
        ("Literal['a', 'b']", {"enum": ["a", "b"], "type": "string"}),
        ("Colour", {"enum": ["red", "blue"], "type": "string", "title": "Colour"}),
        ("List[int]", {"type": "array", "items": {"type": "integer"}}),
        ("Dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        ("Optional[str]", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ("datetime.date", {"type": "string", "format": "date"}),
    ],
)
def test_a_plain_annotation_gives_a_schema(tmp_path: Path, annotation: str, schema: dict[str, Any]) -> None:
    nodes = f"""
import datetime, enum
from typing import Dict, List, Literal, Optional

class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

def work(x: {annotation}):
    return x
"""
    assert schemas(tmp_path, nodes, "params:x", {"x": 1}) == {"x": schema}


def test_a_pydantic_model_gives_its_whole_schema(tmp_path: Path) -> None:
    nodes = """
        from pydantic import BaseModel, Field

        class Options(BaseModel):
            size: float = Field(0.2, gt=0, lt=1, description="share of the rows")

        def work(options: Options):
            return 1
    """
    schema = schemas(tmp_path, nodes, "params:options", {"options": {"size": 0.3}})["options"]
    size = schema["properties"]["size"]
    assert (size["exclusiveMinimum"], size["default"], size["description"]) == (0, 0.2, "share of the rows")


def test_a_dataclass_gives_an_object_with_defaults(tmp_path: Path) -> None:
    nodes = """
        from dataclasses import dataclass, field

        @dataclass
        class Inner:
            deep: bool = True

        @dataclass
        class Options:
            name: str
            sizes: list = field(default_factory=lambda: [1])
            inner: Inner = field(default_factory=Inner)

        def work(options: Options):
            return 1
    """
    schema = schemas(tmp_path, nodes, "params:options", {"options": {"name": "x"}})["options"]
    assert schema["required"] == ["name"]
    assert schema["properties"]["sizes"] == {"type": "array", "default": [1]}
    assert schema["properties"]["inner"]["properties"] == {"deep": {"type": "boolean", "default": True}}


def test_nested_parameters_and_inputs_by_name_have_schemas_too(tmp_path: Path) -> None:
    nodes = "def work(share: float, rest: 'NoSuchName'):\n    return 1\n"
    inputs = {"rest": "params:other", "share": "params:options.test_size"}
    found = schemas(tmp_path, nodes, inputs, {"options": {"test_size": 0.2}, "other": 1})
    assert found == {"options.test_size": {"type": "number"}}


def test_a_type_without_a_schema_is_named(tmp_path: Path) -> None:
    nodes = """
        from typing import Callable
        from pydantic import BaseModel

        class Options(BaseModel):
            call: Callable[[int], int]

        def work(options: Options):
            return 1
    """
    picture = snapshot(project_of_one(tmp_path, nodes, inputs="params:options", parameters={"options": {}}))
    assert picture.schemas == {}
    assert problem(picture, "parameter:options").severity == "warning"


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


# ---- problems: the project and its interpreter ---------------------------------------------------


@pytest.mark.parametrize("pyproject", [None, "[project]\nname = 'x'\n", "[tool.kedro]\n[other]\npackage_name = 'x'\n"])
def test_a_folder_that_is_no_kedro_project_is_named(tmp_path: Path, pyproject: str | None) -> None:
    if pyproject is not None:
        (tmp_path / "pyproject.toml").write_text(pyproject)
    found = problem(snapshot(tmp_path), "project")
    assert found.severity == "error"
    assert "is not a Kedro project" in found.sentence
    assert "[tool.kedro]" in found.sentence


def test_a_folder_that_is_missing_is_no_kedro_project(tmp_path: Path) -> None:
    assert problem(snapshot(tmp_path / "nowhere"), "project").severity == "error"


def test_a_python_without_kedro_is_named_with_the_command_to_install_it(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    python = str(tmp_path / "venv/bin/python")
    picture = snapshot(make_project(tmp_path / "project"), python=python)
    assert problem(picture, "dependency:kedro").sentence == (
        f"Kedro is not installed for {python}: install it there with {python} -m pip install kedro."
    )
    assert (picture.package_name, picture.kedro_version) == ("demo", "")


@pytest.mark.parametrize("version", ["0.18.13", "0.17.7", "2.0.0"])
def test_a_kedro_out_of_range_is_named(tmp_path: Path, version: str) -> None:
    project = make_project(tmp_path / "project")
    write(tmp_path, {"other/kedro/__init__.py": f"__version__ = {version!r}\n"})
    picture = snapshot(project, environ={"PYTHONPATH": f"{PIPELINES}{os.pathsep}{tmp_path / 'other'}"})
    found = problem(picture, "kedro")
    assert f"Kedro {version} is installed" in found.sentence
    assert "0.18.14 or newer, below 2" in found.sentence


def test_a_project_of_another_kedro_generation_is_named(tmp_path: Path) -> None:
    found = problem(snapshot(make_project(tmp_path / "project", version="0.17.3")), "kedro")
    assert "The project was made for Kedro 0.17.3" in found.sentence
    assert "kedro_init_version" in found.sentence


# ---- problems: imports ---------------------------------------------------------------------------


def test_a_missing_package_is_named_with_the_command_to_install_it(tmp_path: Path) -> None:
    found = problem(snapshot(project_of_one(tmp_path, "import nosuchpackage.part\n" + WORK)), "import")
    assert found.sentence == (
        "The package 'nosuchpackage' is missing in the project's interpreter: "
        f"{sys.executable} -m pip install nosuchpackage."
    )
    assert found.failure is not None
    assert [frame.file for frame in found.failure.frames if frame.is_project][-1] == "src/demo/nodes.py"


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [
        (
            "import demo.nothing",
            "the project has no module 'demo.nothing'; correct the import (src/demo/nodes.py, line 1)",
        ),
        ("def work(:\n    pass", "(src/demo/nodes.py, line 1)"),
        ("x = 1\nraise RuntimeError('no\\nluck')", "RuntimeError: no luck (src/demo/nodes.py, line 2)"),
        ("import sys\nsys.exit('bye')", "SystemExit: bye (src/demo/nodes.py, line 2)"),
        ("import json.nothing", "The installed package 'json' has no module 'json.nothing'"),
    ],
)
def test_what_goes_wrong_at_import_is_named_with_its_line(tmp_path: Path, nodes: str, sentence: str) -> None:
    picture = snapshot(project_of_one(tmp_path, nodes))
    found = problem(picture, "import")
    assert sentence in found.sentence
    assert found.failure is not None
    assert picture.pipelines == []


def test_settings_that_cannot_be_imported_are_named(tmp_path: Path) -> None:
    found = problem(snapshot(make_project(tmp_path / "project", settings="import nosuchpackage")), "import")
    assert "The package 'nosuchpackage' is missing" in found.sentence


def test_one_broken_pipeline_does_not_hide_the_healthy_ones(tmp_path: Path) -> None:
    registry = """
        from kedro.framework.project import find_pipelines

        def register_pipelines():
            return find_pipelines()
    """
    project = write(
        make_project(tmp_path / "project", pipelines=registry),
        {
            "src/demo/pipelines/__init__.py": "",
            "src/demo/pipelines/good/__init__.py": """
                from kedro.pipeline import node, Pipeline
                def create_pipeline(): return Pipeline([node(lambda: 1, None, "x", name="one")])
            """,
            "src/demo/pipelines/broken/__init__.py": "import nosuchpackage\n",
            "src/demo/pipelines/empty/__init__.py": "",
        },
    )
    picture = snapshot(project)
    assert [each.name for each in picture.pipelines] == ["__default__", "good"]
    errors = [each for each in picture.problems if each.severity == "error"]
    assert ["The package 'nosuchpackage' is missing" in each.sentence for each in errors] == [True]
    assert errors[0].failure is not None
    assert [each.failure for each in picture.problems if "demo.pipelines.empty" in each.sentence] == [None]


# ---- problems: the catalog -----------------------------------------------------------------------


def test_a_type_whose_package_is_missing_names_dataset_and_package(tmp_path: Path) -> None:
    catalog = {"result": {"type": "demo.tables.Table"}}
    project = write(project_of_one(tmp_path, catalog=catalog), {"src/demo/tables.py": "import nosuchpackage\n"})
    found = problem(snapshot(project), "dependency:nosuchpackage")
    assert found.severity == "error"
    assert found.sentence == (
        "The dataset 'result' (demo.tables.Table) needs the package 'nosuchpackage', which is missing: "
        f"{sys.executable} -m pip install nosuchpackage."
    )


def test_a_type_of_kedro_datasets_whose_package_is_missing_names_it(tmp_path: Path) -> None:
    pytest.importorskip("kedro_datasets")
    write(tmp_path, {"blocked/sitecustomize.py": "import sys\nsys.modules['PIL'] = None\n"})
    project = project_of_one(tmp_path, catalog={"result": {"type": "pillow.ImageDataset", "filepath": "x.png"}})
    picture = snapshot(project, environ={"PYTHONPATH": f"{tmp_path / 'blocked'}{os.pathsep}{PIPELINES}"})
    assert "pip install pillow" in problem(picture, "dependency:pillow").sentence


def test_a_package_that_the_dataset_loads_only_when_used_is_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("kedro_datasets")
    if importlib.util.find_spec("openpyxl"):
        pytest.skip("openpyxl is installed here")
    catalog = {"result": {"type": "pandas.ExcelDataset", "filepath": "x.xlsx"}}
    found = problem(snapshot(project_of_one(tmp_path, catalog=catalog)), "dependency:openpyxl")
    assert found.severity == "warning"
    assert "(pandas.ExcelDataset) usually needs the package 'openpyxl'" in found.sentence


def test_a_misspelt_type_is_named(tmp_path: Path) -> None:
    found = problem(
        snapshot(project_of_one(tmp_path, catalog={"result": {"type": "kedro.io.MemoryDatset"}})), "dataset:result"
    )
    assert "'kedro.io.MemoryDatset'" in found.sentence
    assert "correct the type in the catalog" in found.sentence


def test_a_type_inside_another_dataset_is_checked_too(tmp_path: Path) -> None:
    catalog = {"result": {"type": "CachedDataset", "dataset": {"type": "demo.Nothing"}}}
    assert "demo.Nothing" in problem(snapshot(project_of_one(tmp_path, catalog=catalog)), "dataset:result").sentence


def test_a_path_whose_file_system_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"blocked/sitecustomize.py": "import sys\nsys.modules['gcsfs'] = None\n"})
    catalog = {"result": {"type": "pandas.CSVDataset", "filepath": "gs://bucket/x.csv"}}
    picture = snapshot(
        project_of_one(tmp_path, catalog=catalog),
        environ={"PYTHONPATH": f"{tmp_path / 'blocked'}{os.pathsep}{PIPELINES}"},
    )
    assert "(gs://bucket/x.csv) needs the package 'gcsfs'" in problem(picture, "dependency:gcsfs").sentence


def test_an_entry_without_a_type_is_named(tmp_path: Path) -> None:
    found = problem(snapshot(project_of_one(tmp_path, catalog={"result": {"filepath": "x"}})), "dataset:result")
    assert "add one" in found.sentence


def test_credentials_that_nobody_defines_are_named_with_the_file(tmp_path: Path) -> None:
    catalog = {"result": {"type": "pandas.CSVDataset", "filepath": "x.csv", "credentials": "dev_s3"}}
    project = project_of_one(tmp_path, catalog=catalog)
    found = problem(snapshot(project), "credentials:dev_s3")
    assert found.severity == "error"
    assert found.sentence == (
        "The dataset 'result' asks for the credentials 'dev_s3', which are not defined: "
        "add 'dev_s3' to conf/local/credentials.yml."
    )
    write(project, {"conf/local/credentials.yml": "dev_s3: {key: geheim}\n"})
    assert snapshot(project).problems == []
    assert b"geheim" not in run_snapshot(project).stdout


def test_credentials_that_a_hook_may_bring_are_only_a_warning(tmp_path: Path) -> None:
    settings = """
        from kedro.framework.hooks import hook_impl
        class Vault:
            @hook_impl
            def after_context_created(self, context): raise AssertionError("no hook runs")
        HOOKS = (Vault(),)
    """
    catalog = {"result": {"type": "pandas.CSVDataset", "filepath": "x.csv", "credentials": "dev_s3"}}
    picture = snapshot(project_of_one(tmp_path, catalog=catalog, settings=settings))
    assert problem(picture, "credentials:dev_s3").severity == "warning"


def test_an_environment_variable_that_credentials_need_is_named(tmp_path: Path) -> None:
    catalog = {"result": {"type": "pandas.CSVDataset", "filepath": "x.csv", "credentials": "dev"}}
    project = project_of_one(tmp_path, catalog=catalog, settings=OMEGA)
    credentials = """
        # ${oc.env:NOT_ME}
        dev:
          key: ${oc.env:NO_SUCH_KEY}
          other: ${oc.env:WITH_DEFAULT, x}
    """
    write(project, {"conf/local/credentials.yml": credentials})
    (found,) = snapshot(project).problems
    assert found.subject == "variable:NO_SUCH_KEY"
    assert "(conf/local/credentials.yml, line 4)" in found.sentence
    assert snapshot(project, environ={"NO_SUCH_KEY": "1"}).problems == []


# ---- problems: configuration ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["catalog", "parameters", "credentials"])
def test_a_yaml_error_is_named_with_file_and_line(tmp_path: Path, name: str) -> None:
    project = write(project_of_one(tmp_path), {f"conf/base/{name}.yml": "a: 1\nb: [1, 2\nc: 3\n"})
    picture = snapshot(project)
    assert f"conf/base/{name}.yml, line 3" in problem(picture, "configuration").sentence
    assert [each.name for each in picture.pipelines] == ["__default__", "one"]


def test_a_parameter_that_nobody_defines_is_named(tmp_path: Path) -> None:
    project = project_of_one(
        tmp_path, inputs=["params:model.depth", "params:rate"], parameters={"model": {}, "rate": 1}
    )
    (found,) = snapshot(project).problems
    assert (found.severity, found.subject) == ("error", "parameter:model.depth")
    assert found.sentence == (
        "The node 'work' reads the parameter 'model.depth', which no file defines: add it to conf/base/parameters.yml."
    )


@pytest.mark.parametrize("env", ["prod", "local"])
def test_an_environment_without_a_folder_is_named_and_the_rest_is_still_read(tmp_path: Path, env: str) -> None:
    project = project_of_one(tmp_path, parameters={"x": 1})
    (project / "conf/local").rmdir()
    picture = snapshot(project, *(["--env", env] if env != "local" else []))
    found = problem(picture, f"environment:{env}")
    assert f"create conf/{env}" in found.sentence
    assert "base" in found.sentence
    assert picture.parameters == {"x": 1}


def test_a_file_of_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    project = project_of_one(tmp_path)
    (project / "conf/base/parameters.yml").write_bytes(b"a: \xff\xfe\n")
    assert "conf/base/parameters.yml" in problem(snapshot(project), "configuration").sentence


def test_duplicate_keys_are_named_with_their_files(tmp_path: Path) -> None:
    project = write(project_of_one(tmp_path, parameters={"x": 1}), {"conf/base/parameters_more.yml": "x: 2\n"})
    sentence = problem(snapshot(project), "configuration").sentence
    assert "parameters.yml" in sentence
    assert "parameters_more.yml" in sentence
    assert str(tmp_path) not in sentence


def test_an_input_that_nothing_makes_is_named(tmp_path: Path) -> None:
    picture = snapshot(project_of_one(tmp_path, inputs="raw", outputs="result"))
    found = [each for each in picture.problems if each.subject == "pipeline:one"]
    assert [each.severity for each in found] == ["error"]
    assert "'raw', which nothing makes: add it to the catalog" in found[0].sentence


def test_a_pipeline_that_cannot_run_alone_is_a_warning(tmp_path: Path) -> None:
    registry = """
        from kedro.pipeline import Pipeline, node
        from .nodes import *
        def register_pipelines():
            make = Pipeline([node(first, None, "a", name="first")])
            use = Pipeline([node(second, "a", "b", name="second")])
            return {"__default__": make + use, "make": make, "use": use}
    """
    (found,) = snapshot(make_project(tmp_path / "project", pipelines=registry)).problems
    assert (found.severity, found.subject) == ("warning", "pipeline:use")


def test_a_healthy_project_has_no_problems(tmp_path: Path) -> None:
    project = project_of_one(
        tmp_path,
        inputs=["raw", "params:x"],
        catalog={"raw": {"type": "pandas.CSVDataset", "filepath": "data/raw.csv"}},
        parameters={"x": yaml.safe_load("2024-01-31")},
    )
    assert snapshot(project).problems == []
