"""Small, real Kedro projects for the tests."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

PYPROJECT = """
[tool.kedro]
package_name = "{package}"
project_name = "{package}"
kedro_init_version = "{version}"
"""

THREE_NODES = """
from kedro.pipeline import Pipeline, node
from .nodes import *

def register_pipelines():
    chain = Pipeline([
        node(first, None, "a", name="first"),
        node(second, "a", "b", name="second"),
        node(third, "b", "c", name="third"),
    ])
    return {"__default__": chain, "chain": chain}
"""

THREE_FUNCTIONS = """
def first():
    return 1

def second(a):
    return a + 1

def third(b):
    return b + 1
"""

ONE_NODE = """
from kedro.pipeline import Pipeline, node
from . import nodes

def register_pipelines():
    one = Pipeline([node(nodes.work, {inputs!r}, {outputs!r}, name="work")])
    return {{"__default__": one, "one": one}}
"""


def make_project(
    folder: Path,
    package: str = "demo",
    nodes: str = THREE_FUNCTIONS,
    pipelines: str = THREE_NODES,
    catalog: dict[str, Any] | str | None = None,
    parameters: dict[str, Any] | None = None,
    settings: str = "",
    version: str = "",
) -> Path:
    """Writes a whole Kedro project below `folder`; its path."""
    if not version:
        import kedro

        version = kedro.__version__
    source = folder / "src" / package
    source.mkdir(parents=True)
    for name in ("conf/base", "conf/local", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(package=package, version=version))
    (source / "__init__.py").write_text("")
    (source / "settings.py").write_text(dedent(settings))
    (source / "nodes.py").write_text(dedent(nodes))
    (source / "pipeline_registry.py").write_text(dedent(pipelines))
    text = catalog if isinstance(catalog, str) else yaml.safe_dump(catalog or {})
    (folder / "conf/base/catalog.yml").write_text(dedent(text))
    (folder / "conf/base/parameters.yml").write_text(yaml.safe_dump(parameters or {}))
    return folder


def one_node(nodes: str, inputs: Any = None, outputs: Any = "result", **more: Any) -> dict[str, Any]:
    """The arguments of `make_project` for a pipeline of one node that calls `work`."""
    return {"nodes": nodes, "pipelines": ONE_NODE.format(inputs=inputs, outputs=outputs), **more}


PLAYGROUND_NODES = """
from pydantic import BaseModel, Field

def work(code):
    scope = {}
    exec("def body():\\n" + "".join(f"    {line}\\n" for line in code.splitlines()), scope)
    return scope["body"]() or 1

def first():
    return 1

def second(a):
    return a + 1

def third(b):
    return b + 1

def save():
    return object()

def stream():
    for number in range(5):
        yield [{"number": number}]

class Model(BaseModel):
    test_size: float = Field(gt=0, lt=1)

def read_model(model: Model):
    return model.test_size
"""

PLAYGROUND_PIPELINES = """
from kedro.pipeline import Pipeline, node
from . import nodes

def one(function, inputs, outputs):
    return Pipeline([node(function, inputs, outputs, name="work")])

def register_pipelines():
    return {
        "__default__": one(nodes.work, "params:code", "result"),
        "chain": Pipeline([
            node(nodes.first, None, "a", name="first"),
            node(nodes.second, "a", "b", name="second"),
            node(nodes.third, "b", "c", name="third"),
        ]),
        "loads": one(nodes.second, "absent_table", "result"),
        "saves": one(nodes.save, None, "refused_table"),
        "unmade": one(nodes.second, "nobody_made_this", "result"),
        "streams": one(nodes.stream, None, "result"),
        "typed": one(nodes.read_model, "params:model", "result"),
        "versioned_save": one(nodes.first, None, "versioned"),
        "versioned_load": one(nodes.second, "versioned", "result"),
        "by_path": one(nodes.first, None, "by_path"),
        "by_type": one(nodes.first, None, "by_type"),
        "by_template": one(nodes.first, None, "by_template"),
    }
"""

PLAYGROUND_CATALOG = """
absent_table: {type: pandas.CSVDataset, filepath: data/none/none.csv}
refused_table: {type: pandas.CSVDataset, filepath: data/refused.csv}
versioned: {type: json.JSONDataset, filepath: data/result.json, versioned: true}
by_path: {type: json.JSONDataset, filepath: "data/${runtime_params:day, none}.json"}
by_type: {type: "${runtime_params:kind, MemoryDataset}"}
_kind: "${runtime_params:other_kind, MemoryDataset}"
by_template: {type: "${_kind}"}
"""

PLAYGROUND: dict[str, Any] = {
    "nodes": PLAYGROUND_NODES,
    "pipelines": PLAYGROUND_PIPELINES,
    "catalog": PLAYGROUND_CATALOG,
    "parameters": {"code": "", "model": {"test_size": 0.2}},
}
"""A project for everything that needs no project of its own: `work` runs the code it is given."""
