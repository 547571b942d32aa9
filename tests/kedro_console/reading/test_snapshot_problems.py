"""Each thing that stands in the way of a run is one sentence that says what to do."""

from __future__ import annotations

import datetime
import importlib.util
import os
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from kedro_projects import make_project
from snapshots import OMEGA, PIPELINES, WORK, problem, project_of_one, run_snapshot, snapshot, write

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


@pytest.mark.parametrize(
    ("source", "is_told"),
    [
        ("@cli.command()\ndef run(): pass\n", True),
        ("@cli.command('run')\n@click.option('--x')\ndef start(x): pass\n", True),
        ("@click.command(name='run')\ndef start(): pass\n", True),
        ("@cli.command\ndef run(): pass\n", True),
        ("@cli.command('report')\ndef run(): pass\n", False),
        ("def run(): pass\n", False),
    ],
)
def test_a_run_command_of_the_projects_own_is_told(tmp_path: Path, source: str, is_told: bool) -> None:
    project = make_project(tmp_path / "project")
    write(project, {"src/demo/cli.py": f"import click\n\n@click.group()\ndef cli(): pass\n\n{source}"})
    found = [each for each in snapshot(project).problems if each.subject == "command:run"]
    assert [each.severity for each in found] == (["warning"] if is_told else [])
    assert all("(src/demo/cli.py)" in each.sentence for each in found)


# ---- problems: imports ---------------------------------------------------------------------------


def test_a_missing_package_is_named_and_no_name_is_proposed_that_anybody_may_own(tmp_path: Path) -> None:
    found = problem(snapshot(project_of_one(tmp_path, "import nosuchpackage.part\n" + WORK)), "import")
    assert found.sentence == (
        "The package 'nosuchpackage' is missing in the project's interpreter (src/demo/nodes.py, line 1): "
        f"install it for {sys.executable} by the name that the project's requirements give it."
    )
    assert found.failure is not None
    assert [frame.file for frame in found.failure.frames if frame.is_project][-1] == "src/demo/nodes.py"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "# ours\nnosuch_package>=1.0\n"),
        ("src/requirements.txt", "numpy\nnosuch-package[all]==2 ; python_version > '3'\n"),
        ("pyproject.toml", '[project]\nname = "demo"\ndependencies = [\n  "nosuch.package~=1.0",\n]\n'),
    ],
)
def test_a_package_that_the_project_asks_for_is_proposed(tmp_path: Path, name: str, text: str) -> None:
    project = project_of_one(tmp_path, "import nosuch_package\n" + WORK)
    before = (project / name).read_text() if (project / name).exists() else ""
    write(project, {name: before + text})
    assert f"{sys.executable} -m pip install nosuch" in problem(snapshot(project), "import").sentence


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [
        ("x = {'a': 1}['b']", "key 'b' is missing (src/demo/nodes.py, line 1); add that key to what is read there"),
        (
            "import os\nx = os.environ['NOT_SET']",
            "the environment variable 'NOT_SET' is not set (src/demo/nodes.py, line 2)",
        ),
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
        "The dataset 'result' (demo.tables.Table) needs the package 'nosuchpackage', which is missing: install it "
        f"for {sys.executable} by the name that the project's requirements give it."
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


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("kedro_mlflow.io.artifacts.MlflowArtifactDataset", "the package 'kedro-mlflow' is not installed"),
        ("nosuchpackage.Thing", "nothing that is installed brings 'nosuchpackage'"),
        ("panda.CSVDataset", "nothing that is installed brings 'panda' (did you mean pandas?)"),
        ("demo.tables.Table", "the project has no module 'demo.tables'"),
        ("demo.nodes.Table", "demo.nodes has no such class"),
        ("MemoryDatset", "kedro.io has no such class (did you mean MemoryDataset?)"),
    ],
)
def test_a_type_that_is_not_found_says_what_of_it_is_missing(tmp_path: Path, kind: str, why: str) -> None:
    picture = snapshot(project_of_one(tmp_path, catalog={"result": {"type": kind}}))
    assert f"has the type '{kind}', but {why}:" in problem(picture, "dataset:result").sentence


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "pickle.PickleDataset", "filepath": "x.pkl"},
        {"type": "yaml.YAMLDataset", "filepath": "x.yml"},
        {"type": "partitions.PartitionedDataset", "path": "x", "dataset": {"type": "pickle.PickleDataset"}},
    ],
)
def test_what_only_an_option_needs_is_not_missed_without_it(tmp_path: Path, entry: dict[str, Any]) -> None:
    pytest.importorskip("kedro_datasets")
    hidden = "import sys\nfor name in ('compress_pickle', 'joblib'): sys.modules[name] = None\n"
    write(tmp_path, {"hidden/sitecustomize.py": hidden})
    how = {"environ": {"PYTHONPATH": f"{tmp_path / 'hidden'}{os.pathsep}{PIPELINES}"}}
    assert snapshot(project_of_one(tmp_path, catalog={"result": entry}), **how).problems == []


def test_a_backend_that_is_chosen_and_missing_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("kedro_datasets")
    catalog = {"result": {"type": "pickle.PickleDataset", "filepath": "x.pkl", "backend": "nosuchbackend"}}
    found = problem(snapshot(project_of_one(tmp_path, catalog=catalog)), "dependency:nosuchbackend")
    assert (found.severity, "pip install" in found.sentence) == ("error", False)


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
        parameters={"x": datetime.date(2024, 1, 31)},
    )
    assert snapshot(project).problems == []


# ---- problems: hooks, logging, TOML ----------------------------------------------------------------

VAULT = """
    from kedro.framework.hooks import hook_impl
    from omegaconf import OmegaConf

    class Vault:
        @hook_impl
        def after_context_created(self, context):
            if not OmegaConf.has_resolver("folder"):
                OmegaConf.register_new_resolver("folder", lambda name: f"folder-{name}")
            context.config_loader["credentials"] = {"vault": {"token": "x"}}
"""
HOOKED = OMEGA + "from demo.hooks import Vault\nHOOKS = (Vault(),)\n"


def test_what_a_hook_does_before_the_catalog_is_read_is_respected(tmp_path: Path) -> None:
    catalog = {"result": {"type": "MemoryDataset"}, "kept": {"type": "demo.nodes.Kept", "credentials": "vault"}}
    project = project_of_one(tmp_path, WORK + "class Kept: pass\n", catalog=catalog, settings=HOOKED)
    write(project, {"src/demo/hooks.py": VAULT, "conf/base/parameters.yml": "where: ${folder:x}\n"})
    picture = snapshot(project)
    assert (picture.problems, picture.parameters) == ([], {"where": "folder-x"})


def test_a_hook_that_raises_is_named_with_its_line(tmp_path: Path) -> None:
    project = project_of_one(tmp_path, settings=HOOKED)
    write(
        project, {"src/demo/hooks.py": VAULT.replace("context.config_loader[", "raise RuntimeError('no vault')  # [")}
    )
    found = problem(snapshot(project), "hooks")
    assert "RuntimeError: no vault (src/demo/hooks.py, line " in found.sentence


def test_an_input_that_a_hook_may_add_before_the_run_is_no_error(tmp_path: Path) -> None:
    hook = VAULT.replace("after_context_created(self, context)", "before_pipeline_run(self, catalog)")
    project = project_of_one(tmp_path, inputs="raw", settings=HOOKED)
    assert snapshot(write(project, {"src/demo/hooks.py": hook})).problems == []


def test_without_a_catalog_no_run_starts(tmp_path: Path) -> None:
    project = project_of_one(tmp_path)
    (project / "conf/base/catalog.yml").unlink()
    found = problem(snapshot(project), "configuration")
    assert "There is no catalog in conf/base or conf/local" in found.sentence
    assert "create conf/base/catalog.yml" in found.sentence
    write(project, {"conf/local/catalog_more.yml": "x: {type: MemoryDataset}\n"})
    assert snapshot(project).problems == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: ${_root}/x\n", "conf/base/parameters.yml, line 2 refers to '_root', which is not defined"),
        ("a: ${globals:root}\n", "conf/base/parameters.yml, line 1 takes 'root' from the globals"),
        ("a: ${nosuch:b}\n", "conf/base/parameters.yml, line 1 uses the resolver 'nosuch', which nothing registers"),
    ],
)
def test_a_reference_to_what_is_not_there_is_named_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    project = write(project_of_one(tmp_path, settings=OMEGA), {"conf/base/parameters.yml": text})
    assert sentence in problem(snapshot(project), "configuration").sentence


@pytest.mark.parametrize(
    ("text", "place"),
    [("[tool.kedro\n", "line 1, column 12"), ('[tool.kedro]\npackage_name = "demo"\n\n[x]\ny = [1,\n', "line 5")],
)
def test_a_toml_error_is_named_with_its_line(tmp_path: Path, text: str, place: str) -> None:
    pytest.importorskip("tomllib")
    project = write(project_of_one(tmp_path), {"pyproject.toml": text})
    assert f"pyproject.toml, {place}" in problem(snapshot(project), "project").sentence
    assert "is not valid TOML" in problem(snapshot(project), "project").sentence


def test_a_logging_configuration_that_kedro_cannot_use_is_named_with_its_file(tmp_path: Path) -> None:
    text = """
        version: 1
        formatters: {json: {class: nosuchlogger.JsonFormatter}}
        handlers: {all: {class: logging.StreamHandler, formatter: json}}
        root: {handlers: [all]}
    """
    found = problem(snapshot(write(project_of_one(tmp_path), {"conf/logging.yml": text})), "logging")
    assert found.severity == "error"
    assert "nosuchlogger" in found.sentence
    assert "correct conf/logging.yml" in found.sentence
