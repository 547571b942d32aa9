"""Every change of what a warm process read is seen before the next step, and nothing else is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from host_client import PIPELINES
from kedro_projects import make_project, one_node

from kedro_console.project import freshness

NODES = """
import json, logging, pathlib, sqlite3
import sibling, spaces.inner, lib_by_hand, linked
from editable import VALUE
from .data import loader
from .build.rules import RULES

HERE = pathlib.Path(__file__).parent
TEMPLATE = (HERE / "page.j2").read_text()
DAYS = sorted(each.name for each in (HERE.parent.parent / "data/days").iterdir())
LAST = json.loads((HERE.parent.parent / "data/last.json").read_text())
try:
    EXTRA = (HERE / "extra.ini").read_text()
except FileNotFoundError:
    EXTRA = ""
logging.getLogger("own").addHandler(logging.FileHandler(HERE.parent.parent / "logs/own.log"))
STORE = sqlite3.connect(HERE.parent.parent / "data/store.db")

def work():
    return TEMPLATE
"""


@dataclass
class Watched:
    """A project with everything that a project may be loaded from, and the process that loaded it."""

    folder: Path
    process: subprocess.Popen[str]

    @property
    def project(self) -> Path:
        return self.folder / "current"

    @property
    def source(self) -> Path:
        return self.project / "src/demo"

    @property
    def site(self) -> Path:
        return self.folder / "env/site-packages"

    def changed(self) -> str:
        assert self.process.stdin and self.process.stdout
        print(file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def prepare(folder: Path) -> dict[str, str]:
    """Writes the project and what lies around it; the environment that its process needs."""
    project = make_project(folder / "releases/41", **one_node(NODES))
    for name, text in {"data/loader.py": "VALUE = 1", "data/__init__.py": "", "build/rules.py": "RULES = 1",
                       "page.j2": "old", "later.py": "X = 1", "query.sql": "select 1"}.items():  # fmt: skip
        write(project / "src/demo" / name, text)
    write(project / "data/days/monday")
    write(project / "data/last.json", "{}")
    write(project / "logs/own.log")
    write(project / "conf/prod/catalog.yml")
    (folder / "current").symlink_to("releases/41")
    write(folder / "beside/sibling.py", "X = 1")
    write(folder / "beside/spaces/inner/one.py", "X = 1")
    write(folder / "targets/linked.py", "X = 1")
    (folder / "beside/linked.py").symlink_to("../targets/linked.py")
    write(folder / "libs/editable/editable/__init__.py", "VALUE = 1")
    write(folder / "env/site-packages/lib_by_hand/__init__.py", "X = 1")
    write(folder / "env/site-packages/lib_by_hand-1.dist-info/METADATA", "Name: lib_by_hand\nVersion: 1\n")
    write(folder / "env/site-packages/editable.pth", str(folder / "libs/editable"))
    paths = (
        PIPELINES,
        folder / "beside",
        folder / "libs/editable",
        folder / "not/there/yet",
        folder / "env/site-packages",
    )
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": os.pathsep.join(map(str, paths))}


@contextmanager
def watch(folder: Path) -> Iterator[Watched]:
    environment = prepare(folder)
    command = [sys.executable, str(Path(__file__).with_name("watcher.py")), str(folder / "current")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout and process.stdout.readline().strip() == "loaded"
        yield Watched(folder, process)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watch(tmp_path_factory.mktemp("watched")) as process:
        yield process


Change = Callable[[Watched], None]


def edit(path: str) -> Change:
    return lambda w: write(w.folder / path, f"{(w.folder / path).read_text()}\n# changed")


def make(path: str, text: str = "") -> Change:
    def change(w: Watched) -> None:
        write(w.folder / path, text)

    return change


def take_away(path: str) -> Change:
    def change(w: Watched) -> None:
        whole = w.folder / path
        shutil.rmtree(whole) if whole.is_dir() else whole.unlink()

    return change


def edit_in_old_clothes(path: str) -> Change:
    """The same size, and the time of before put back."""

    def change(w: Watched) -> None:
        whole = w.folder / path
        before = whole.stat()
        whole.write_text(whole.read_text().replace("1", "2"))
        os.utime(whole, ns=(before.st_atime_ns, before.st_mtime_ns))

    return change


def swap_link(w: Watched) -> None:
    shutil.copytree(w.folder / "releases/41", w.folder / "releases/42")
    w.project.unlink()
    w.project.symlink_to("releases/42")


SOURCES = "releases/41/src/demo"
REAL: dict[str, Change] = {
    "a module": edit(f"{SOURCES}/nodes.py"),
    "a package named data": edit(f"{SOURCES}/data/loader.py"),
    "a package named build": edit(f"{SOURCES}/build/rules.py"),
    "its __init__": edit(f"{SOURCES}/data/__init__.py"),
    "a module that nobody has imported yet": edit(f"{SOURCES}/later.py"),
    "a new module": make(f"{SOURCES}/new.py"),
    "a new package": make(f"{SOURCES}/pipelines/new/__init__.py"),
    "a module that is gone": take_away(f"{SOURCES}/later.py"),
    "a package that is gone": take_away(f"{SOURCES}/build"),
    "a template": edit(f"{SOURCES}/page.j2"),
    "a query that nobody has read yet": edit(f"{SOURCES}/query.sql"),
    "a file that was looked for in vain": make(f"{SOURCES}/extra.ini"),
    "the same size and the old time": edit_in_old_clothes(f"{SOURCES}/data/loader.py"),
    "settings": edit(f"{SOURCES}/settings.py"),
    "pyproject.toml": edit("releases/41/pyproject.toml"),
    "the catalog": edit("releases/41/conf/base/catalog.yml"),
    "parameters": edit("releases/41/conf/base/parameters.yml"),
    "new parameters": make("releases/41/conf/local/parameters.yml", "a: 1"),
    "credentials": make("releases/41/conf/local/credentials.yml", "a: 1"),
    "a sibling": edit("beside/sibling.py"),
    "a part of a namespace package": make("beside/spaces/inner/two.py"),
    "a module of a namespace package": edit("beside/spaces/inner/one.py"),
    "what a link leads to": edit("targets/linked.py"),
    "an editable package": edit("libs/editable/editable/__init__.py"),
    "a folder of the path that appears": make("not/there/yet/module.py"),
    "a new .pth": make("env/site-packages/other.pth"),
    "a changed .pth": edit("env/site-packages/editable.pth"),
    "an installation": make("env/site-packages/fresh-1.dist-info/entry_points.txt"),
    "a removal": take_away("env/site-packages/lib_by_hand-1.dist-info"),
    "data that it is loaded from": make("releases/41/data/last.json", '{"a": 1}'),
    "a listed folder": make("releases/41/data/days/tuesday"),
    "the link to the release": swap_link,
}


def touch(w: Watched) -> None:
    os.utime(w.source / "nodes.py")


def replace_by_the_same(w: Watched) -> None:
    copy = w.folder / "copy"
    shutil.copyfile(w.source / "nodes.py", copy)
    copy.replace(w.source / "nodes.py")


def chmod(w: Watched) -> None:
    (w.source / "nodes.py").chmod(0o600)


def leave_and_return(w: Watched) -> None:
    for old, new in (("old", "new"), ("new", "old")):
        write(w.source / "page.j2", (w.source / "page.j2").read_text().replace(old, new))


HARMLESS: dict[str, Change] = {
    "a touch": touch,
    "other rights": chmod,
    "the same content in a new file": replace_by_the_same,
    "a branch that is left and taken again": leave_and_return,
    "data": make("releases/41/data/other.csv", "a,b"),
    "a table beside the code": make(f"{SOURCES}/rows.csv", "a,b"),
    "a log that it writes": edit("releases/41/logs/own.log"),
    "a database that it opened": make("releases/41/data/store.db", ""),
    "caches": make(f"{SOURCES}/__pycache__/nodes.pyc", ""),
    "what Viz keeps": make("releases/41/.viz/stats.json", "{}"),
    "another environment's configuration": edit("releases/41/conf/prod/catalog.yml"),
    "an editor's file": make(f"{SOURCES}/.nodes.py.swp", ""),
}


@pytest.fixture
def put_back(watched: Watched, tmp_path: Path) -> Iterator[None]:
    """What the test changed is as before; that too is seen, by the content."""
    shutil.copytree(watched.folder, tmp_path / "kept", symlinks=True)
    yield
    for path in sorted(watched.folder.rglob("*"), key=lambda each: -len(each.parts)):
        is_new = not os.path.lexists(tmp_path / "kept" / path.relative_to(watched.folder))
        if path.is_symlink() or (is_new and path.is_file()):
            path.unlink()
        elif is_new:
            path.rmdir()
    shutil.copytree(tmp_path / "kept", watched.folder, symlinks=True, dirs_exist_ok=True, copy_function=copy_if_other)


def copy_if_other(source: str, target: str) -> None:
    if not os.path.lexists(target) or Path(source).read_bytes() != Path(target).read_bytes():
        shutil.copyfile(source, target)


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize("change", REAL.values(), ids=REAL)
def test_a_change_is_seen(watched, change):
    assert watched.changed() == ""
    change(watched)
    assert watched.changed() != ""


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_changes_nothing_is_let_be(watched, change):
    assert watched.changed() == ""
    change(watched)
    assert watched.changed() == ""


def test_an_installed_package_that_is_edited_by_hand_is_seen(tmp_path):
    with watch(tmp_path) as process:
        assert process.changed() == ""
        edit("env/site-packages/lib_by_hand/__init__.py")(process)
        assert process.changed().endswith("lib_by_hand/__init__.py")


def test_an_installed_package_that_has_lain_there_for_long_is_seen_too(tmp_path):
    """Then its files are no longer looked at one by one: the kernel tells of what is written."""
    with watch(tmp_path) as process:
        written_at = (process.site / "lib_by_hand/__init__.py").stat().st_ctime_ns
        while time.time_ns() - written_at < 2 * freshness.YOUNG_NS:
            assert process.changed() == ""
        edit("env/site-packages/lib_by_hand/__init__.py")(process)
        assert process.changed().endswith("lib_by_hand/__init__.py")
