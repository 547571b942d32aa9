"""The wheel: built from a copy of the tree that is then gone, installed into a fresh venv, used from elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import pytest

import kedro_console
from console.env import embedded_socket
from console.tree import processes
from tests.kedro_console.kedro_projects import make_project
from tests.live import ROOT, until
from tests.up import OURS, PATIENCE_SECONDS, Up

pytest.importorskip("hatchling", reason="needs hatchling to build the wheel")
pytestmark = [pytest.mark.live, pytest.mark.long, pytest.mark.timeout(600)]

NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".*_cache", "var", "dist", "tests", "bench", "__pycache__")
NO_INDEX = ("Retrying (", "ConnectionError", "NewConnectionError", "--no-index", "No network")
LOOK = """
import importlib.util, json, os, sys
from pathlib import Path

def look():
    names = ["console", "jobs", "kedro_console"]
    seen = [name for name in names if importlib.util.find_spec(name)]
    given = [sorted(p.name for p in Path(f).iterdir()) for f in os.environ["PYTHONPATH"].split(os.pathsep)]
    Path("data/seen.json").write_text(json.dumps([seen, given]))
    return 1
"""
ONE = """
from kedro.pipeline import node, pipeline
from .nodes import look

def register_pipelines():
    return {"__default__": pipeline([node(look, None, "one", name="look")])}
"""


@dataclass(frozen=True)
class Venv:
    folder: Path

    @property
    def command(self) -> Path:
        return self.folder / "bin" / "kedro-console"

    def says(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return subprocess.run(
            [self.command, *words],
            cwd=self.folder, env={**clean, **environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def files(self) -> dict[str, int]:
        """All that is installed, with the time of its last change; bytecode apart."""
        found = (file for file in self.folder.rglob("*") if file.is_file() and file.suffix != ".pyc")
        return {str(file.relative_to(self.folder)): file.stat().st_mtime_ns for file in found}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    copy = shutil.copytree(ROOT, folder / "another name", ignore=NOT_COPIED)
    (copy / "pipelines/demo/conf/local/credentials.yml").write_text("secret: of the one who builds\n")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    ended = subprocess.run(build, cwd=copy, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    shutil.rmtree(copy)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def venv(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Venv:
    found = Venv(tmp_path_factory.mktemp("venv") / "of a person")
    subprocess.run([sys.executable, "-m", "venv", found.folder], check=True)
    install = [found.folder / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", str(wheel)]
    ended = subprocess.run(install, cwd=found.folder, capture_output=True, text=True, check=False)
    said = ended.stdout + ended.stderr
    if ended.returncode and any(sign in said for sign in NO_INDEX):
        pytest.skip("needs the package index")
    assert ended.returncode == 0, said[-3000:]
    return found


@pytest.fixture
def up(venv: Venv, tmp_path: Path) -> Iterator[Up]:
    tree = Up(tmp_path / "an empty folder", [str(venv.command)])
    yield tree
    processes.end(tree.living, patience_seconds=20)
    if (sockets := embedded_socket(tree.var).parent) != tree.var:
        shutil.rmtree(sockets, ignore_errors=True)


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_one_folder_holds_all_that_is_tracked_and_nothing_else(wheel: Path) -> None:
    asked = ["git", "ls-files", "console", "jobs", "templates", "pipelines/kedro_console", "pipelines/demo"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs a clone")
    tracked = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    wanted = {f"kedro_console_app/{name}".replace("app/pipelines/demo/", "app/demo/") for name in tracked}
    found = {name for name in names_in(wheel) if ".dist-info/" not in name}
    assert wanted - found == set()
    untracked = {name for name in found - wanted if not (ROOT / name.removeprefix("kedro_console_app/")).exists()}
    assert untracked == {"kedro_console_app/__init__.py"}


def test_it_depends_on_exactly_what_is_locked(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = Parser().parsestr(archive.read(name).decode())
    assert (said["Name"], said["Version"]) == ("kedro-console", kedro_console.__version__)
    locked = re.findall(r"^(\S+==\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert sorted(re.split("[; ]", each)[0] for each in said.get_all("Requires-Dist", [])) == sorted(locked)


def test_the_version_is_said_once() -> None:
    said = re.compile(rf'(?i)^(__)?version.*"{re.escape(kedro_console.__version__)}"', re.MULTILINE)
    files = [ROOT / "pyproject.toml", *(ROOT / "pipelines").glob("*.toml"), *(ROOT / "console").glob("*.py")]
    assert not [file for file in files if said.search(file.read_text())]


def test_in_an_empty_folder_up_serves_and_runs_the_report(venv: Venv, up: Up) -> None:
    before = venv.files()
    parent = up.started()
    status, job = up.ask("POST", "/jobs", json.dumps({"pipeline_name": "reporting", "parameters": {}}))
    assert status == 201, job
    ends = {"succeeded", "completed", "failed", "crashed", "cancelled"}
    until(lambda: up.ask("GET", f"/jobs/{job['id']}")[1].get("status") in ends, seconds=PATIENCE_SECONDS, what="an end")
    ended = up.ask("GET", f"/jobs/{job['id']}")[1]
    assert ended["status"] in ("succeeded", "completed"), ended
    assert len(up.ask("GET", f"/jobs/{job['id']}/artifacts")[1]) >= 3
    assert not list(up.folder.iterdir())
    assert venv.files() == before

    refused = venv.says("run", "reprting", CONSOLE_VAR=str(up.var))
    assert refused.returncode == 2 and "reporting" in refused.stderr
    token = venv.says("token", "create", "admin", "--var", str(up.var))
    assert token.returncode == 0 and token.stdout.strip()
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(PATIENCE_SECONDS) == 0
    until(lambda: not up.living, seconds=PATIENCE_SECONDS, what="nothing is left behind")


def test_in_the_folder_of_a_project_up_registers_it_and_its_python_sees_nothing_of_ours(venv: Venv, up: Up) -> None:
    make_project(up.folder, package="shop", nodes=LOOK, pipelines=ONE)
    before = {file for file in up.folder.rglob("*") if file.is_file()}
    up.started(".", "--no-demo")
    name = up.folder.name.replace(" ", "-")
    listed = venv.says("project", "list", CONSOLE_VAR=str(up.var))
    assert name in listed.stdout and "__default__" in listed.stdout, listed.stdout + up.said
    ran = venv.says("run", "__default__", "--wait", CONSOLE_VAR=str(up.var))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    seen, given = json.loads((up.folder / "data/seen.json").read_text())
    assert seen == ["kedro_console"]
    assert given[-1] == ["kedro_console"] and not any({"console", "jobs"} & {*folder} for folder in given)
    made = {file for file in up.folder.rglob("*") if file.is_file()} - before
    assert {file for file in made if file.suffix != ".pyc"} == {up.folder / "data/seen.json"}


def test_a_folder_that_is_no_project_is_named(up: Up) -> None:
    assert "is not a Kedro project: it has no pyproject.toml" in up.refused(".")
    assert not up.living


def test_the_commands_are_those_of_the_clone(venv: Venv, tmp_path: Path) -> None:
    ours = venv.says("help", "--commands", "--var", str(tmp_path / "a"))
    theirs = subprocess.run(
        [sys.executable, "manage.py", "help", "--commands", "--var", str(tmp_path / "b")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ours.stdout == theirs.stdout and {"up", "run", "project", "token", "prepare"} <= set(ours.stdout.split())
    assert venv.says("--version").stdout.strip() == kedro_console.__version__


def test_without_a_word_the_state_lies_where_the_users_state_does(venv: Venv, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    before = venv.files()
    assert venv.says("check", HOME=str(home)).returncode == 0
    assert (home / ".local/state/kedro-console/secret_key").is_file()
    assert venv.says("check", HOME=str(home), XDG_STATE_HOME=str(tmp_path / "state")).returncode == 0
    assert (tmp_path / "state/kedro-console/secret_key").is_file()
    assert venv.files() == before


def test_a_state_that_cannot_be_made_is_said_in_a_sentence(venv: Venv, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = venv.says("check", "--var", str(tmp_path / "file" / "state"))
    assert ended.returncode == 1 and "name a folder of yours in CONSOLE_VAR, or with --var" in ended.stderr
    assert "Traceback" not in ended.stderr
