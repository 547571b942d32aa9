"""What a node's outputs follow from, besides its inputs."""

from __future__ import annotations

from pathlib import Path

from kedro_projects import make_project
from snapshots import snapshot

from kedro_console import wire

NODES = """
import functools
from . import tables
from .deep.words import spell

def plain(a): return spell(tables.read(a))
def late(a):
    from .deep import lazy
    return lazy.make(a)
def alone(a): return a
def made(times):
    def inner(a): return a * times
    return inner
def kept(function):
    @functools.wraps(function)
    def wrapper(*given): return function(*given)
    return wrapper
@kept
def decorated(a): return a
class Machine:
    def __call__(self, a): return a
def yields(a): yield a
"""

PIPELINES = """
import json
from functools import partial
from kedro.pipeline import Pipeline, node
from . import nodes as f

def register_pipelines():
    functions = {"plain": f.plain, "late": f.late, "two": f.made(%s), "three": f.made(3), "decorated": f.decorated,
                 "machine": f.Machine(), "partial": partial(f.alone, a=1), "library": json.dumps, "yields": f.yields}
    return {"__default__": Pipeline([
        node(function, None if name == "partial" else "a", name, name=name)
        for name, function in functions.items()
    ])}
"""


def write_project(folder: Path, times: int = 2) -> Path:
    project = make_project(folder, nodes=NODES, pipelines=PIPELINES % times, catalog={"a": {"type": "MemoryDataset"}})
    source = project / "src" / "demo"
    (source / "deep").mkdir()
    for name, text in {
        "tables.py": "import json\nfrom demo.deep.words import spell\ndef read(a): return a",
        "query.sql": "select 1",
        "deep/__init__.py": "",
        "deep/words.py": "def spell(a): return a",
        "deep/lazy.py": "def make(a): return a",
        "stranger.py": "",
    }.items():
        (source / name).write_text(text)
    return project


def nodes_of(project: Path) -> dict[str, wire.SnapshotNode]:
    return {node.name: node for node in snapshot(project).pipelines[0].nodes}


def test_the_files_of_a_function_are_those_of_its_module_and_of_what_that_imports(tmp_path: Path) -> None:
    found = nodes_of(write_project(tmp_path / "p"))
    names = [file.removeprefix("src/demo/") for file in found["plain"].files]
    assert names == ["__init__.py", "deep/__init__.py", "deep/lazy.py", "deep/words.py", "nodes.py", "query.sql",
                     "tables.py"]  # fmt: skip
    assert found["library"].files == []
    assert found["yields"].is_generator and not found["plain"].is_generator


def test_what_a_function_carries_tells_two_of_one_text_apart(tmp_path: Path) -> None:
    found, again = nodes_of(write_project(tmp_path / "p")), nodes_of(write_project(tmp_path / "q"))
    assert found["two"].bound != found["three"].bound and found["partial"].bound not in ("", wire.UNKNOWN)
    assert {name: node.bound for name, node in found.items()} == {name: node.bound for name, node in again.items()}
    assert found["decorated"].bound != wire.UNKNOWN == found["machine"].bound
    other = nodes_of(write_project(tmp_path / "r", times=5))
    assert other["two"].bound != found["two"].bound and other["plain"].bound == found["plain"].bound


def test_the_digests_are_those_of_the_sources_and_of_the_configuration_without_credentials(tmp_path: Path) -> None:
    project = write_project(tmp_path / "p")
    (project / "conf/local/credentials.yml").write_text("s3: {key: secret}\n")
    found = snapshot(project)
    assert found.folders == ["src", "conf"]
    assert {"conf/base/catalog.yml", "src/demo/stranger.py", "src/demo/query.sql"} < set(found.files)
    assert not any("credentials" in file for file in found.files)
    assert all(found.files[file] == wire.sha256_of(project / file) for file in found.files)
