"""The walls of the house, each tried by breaking it: a bell that cannot ring is no bell."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SIDES = ("console", "jobs", "pipelines/kedro_console")
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"
READERS = {"environ", "environb", "getenv"}
MAY_READ_ENVIRONMENT = {"console/env.py"}


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", LINT, "--no-cache", "--no-logo"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'pipelines'}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The imports of the product, in a place where they may be spoilt."""
    for side in SIDES:
        shutil.copytree(ROOT / side, tmp_path / side, ignore=shutil.ignore_patterns("__pycache__", "static", "*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_walls_hold() -> None:
    ended = lint(ROOT)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    ("file", "line", "wall"),
    [
        ("jobs/runs/launch.py", "from console.roles import Role", "the console shows, jobs remember, pipelines work"),
        ("pipelines/kedro_console/wire/messages.py", "import jobs.states", "the console shows, jobs remember"),
        ("jobs/runs/launch.py", "import kedro_console.child.facts", "only the wire reaches across"),
        ("console/forms/forms.py", "import kedro_console.child.facts", "only the wire reaches across"),
        ("jobs/models/run.py", "from jobs.runs.launch import launch", "doors call stories"),
        ("jobs/states.py", "from jobs.models import Run", "doors call stories"),
        ("jobs/runs/launch.py", "from jobs import tasks", "doors call stories"),
        ("jobs/states.py", "import jobs.errors\n", None),
        ("jobs/steps/dispatch.py", "from jobs.runs.launch import launch", "no circles among siblings"),
        ("jobs/models/run.py", "import jobs.structure.plan", "doors call stories"),
        ("jobs/structure/plan.py", "import jobs.interpreters.hosts", "doors call stories"),
        ("jobs/quotas/turns.py", "import jobs.batches.parked", "doors call stories"),
        ("jobs/interpreters/call.py", "import jobs.steps.collect", "doors call stories"),
        ("jobs/steps/advance.py", "import jobs.runs.retry", "doors call stories"),
        ("jobs/runs/launch.py", "import jobs.schedules.schedules", "doors call stories"),
        ("jobs/schedules/due.py", "import jobs.resends.replay", "doors call stories"),
        ("jobs/resends/grants.py", "import jobs.child.answer", "doors call stories"),
        ("jobs/child/supervise.py", "import jobs.rules.fire", "doors call stories"),
        ("jobs/insight/explain.py", "import jobs.upkeep.reconcile", "doors call stories"),
        ("console/pages/run_page.py", "import console.views.home", "doors show pages"),
        ("console/views/home.py", "import console.api.jobs", "doors show pages"),
        ("console/drawing/graph.py", "import console.templatetags.console", "doors show pages"),
        ("console/files/zips.py", "import console.drawing.gantt", "doors show pages"),
        ("console/roles.py", "import console.groups", "doors show pages"),
        ("pipelines/kedro_console/child/work.py", "import kedro_console.host.start", "a host starts children"),
        ("pipelines/kedro_console/http.py", "import kedro_console.child.facts", "a host starts children"),
        ("pipelines/kedro_console/traffic/taps.py", "import kedro_console.http", "a host starts children"),
        ("pipelines/kedro_console/loading/load.py", "import kedro_console.reading.schemas", "a host starts children"),
        ("pipelines/kedro_console/project/warm.py", "import kedro_console.reading.registry", "a host starts children"),
        ("pipelines/kedro_console/line/talk.py", "import kedro_console.project.compat", "a host starts children"),
        ("pipelines/kedro_console/words/logs.py", "import kedro_console.line.here", "a host starts children"),
        ("pipelines/kedro_console/wire/digests.py", "import kedro_console.words.logs", "a host starts children"),
        ("jobs/runs/launch.py", "import kedro", "what a project needs stays out"),
        ("console/forms/forms.py", "import pandas", "what a project needs stays out"),
        ("pipelines/kedro_console/wire/messages.py", "import django.db", "what runs in a project's Python"),
    ],
)
def test_a_broken_wall_is_heard(copy: Path, file: str, line: str, wall: str | None) -> None:
    with (copy / file).open("a") as handle:
        handle.write(f"\n{line}\n")
    ended = lint(copy)
    if wall is None:
        assert ended.returncode == 0, ended.stdout
        return
    assert ended.returncode == 1
    assert any(row.startswith(wall) and "BROKEN" in row for row in ended.stdout.splitlines()), ended.stdout


def test_a_new_story_has_to_take_its_place(copy: Path) -> None:
    (copy / "jobs" / "mend.py").write_text('"""A story that nobody listed."""\n')
    ended = lint(copy)
    assert ended.returncode == 1
    assert "mend" in ended.stdout


def test_the_halls_stay_small() -> None:
    """What has no room of its own is what everybody knows by name."""
    assert len([file for file in (ROOT / "jobs").glob("*.py") if file.name != "__init__.py"]) <= 12


def test_no_function_is_longer_than_a_page() -> None:
    long = [
        f"{file.relative_to(ROOT)}: {node.name}"
        for side in SIDES
        for file in (ROOT / side).rglob("*.py")
        if "migrations" not in file.parts
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 40
    ]
    assert long == []


def found_by_a_made_up_name(source: str) -> list[int]:
    """The lines where something is looked up by a name that is put together, or called as soon as it is found."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    looks = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "getattr"]
    called = {id(node.func) for node in calls}
    plain = (ast.Constant, ast.Name)
    return [node.lineno for node in looks if id(node) in called or not isinstance(node.args[1], plain)]


def test_nothing_in_jobs_is_called_by_a_made_up_name() -> None:
    """A reader, a type checker and a search find what is said by `match`."""
    files = (ROOT / "jobs").rglob("*.py")
    found = {
        str(file.relative_to(ROOT)): lines for file in files if (lines := found_by_a_made_up_name(file.read_text()))
    }
    assert {file: lines for file, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("line", "is_heard"),
    [
        ('handler = getattr(self, f"_on_{message.kind}", None)', True),
        ('handler = getattr(self, "_on_" + kind)', True),
        ("getattr(self, name)(message)", True),
        ('error = getattr(found, "position", None)', False),
        ("value = getattr(pipeline, option)", False),
    ],
)
def test_a_call_by_a_made_up_name_is_heard(line: str, is_heard: bool) -> None:
    assert bool(found_by_a_made_up_name(line)) == is_heard


def test_the_wire_loads_nothing_beyond_the_standard_library() -> None:
    code = "import sys, kedro_console.wire as w; print('\\n'.join(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(ROOT / "pipelines")},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in ended.stdout.split()}
    assert loaded - set(sys.stdlib_module_names) - {"__main__"} == {"kedro_console"}


def reads_of_the_environment(source: str) -> list[int]:
    """The lines that reach for os.environ or os.getenv, except those that only name Django's settings."""
    tree = ast.parse(source)
    named = {
        id(node.func.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "setdefault"
        and [ast.unparse(word) for word in node.args] == ["'DJANGO_SETTINGS_MODULE'", "'console.settings'"]
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in READERS and id(node) not in named)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {alias.name for alias in node.names} & READERS)
    ]


def test_the_environment_is_read_in_one_file() -> None:
    files = [file for side in ("console", "jobs") for file in (ROOT / side).rglob("*.py")]
    reading = {
        str(file.relative_to(ROOT)): lines for file in files if (lines := reads_of_the_environment(file.read_text()))
    }
    assert reading.keys() <= MAY_READ_ENVIRONMENT, reading


def test_another_reader_of_the_environment_is_heard() -> None:
    source = textwrap.dedent(
        """
        import os
        from os import getenv
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
        debug = os.environ["DEBUG"]
        """
    )
    assert reads_of_the_environment(source) == [3, 5]


def younger_than_python_3_9(place: Path) -> subprocess.CompletedProcess[str]:
    vermin = Path(sys.executable).with_name("vermin")
    command = [vermin, "--target=3.9-", "--violations", "--no-tips", "--eval-annotations", place]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_runs_in_a_projects_python_needs_no_younger_one_than_3_9() -> None:
    ended = younger_than_python_3_9(ROOT / "pipelines" / "kedro_console")
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import UTC\n",
        "zip([], [], strict=True)\n",
        "match 1:\n    case 1:\n        pass\n",
    ],
)
def test_what_python_3_9_lacks_is_heard(tmp_path: Path, source: str) -> None:
    (tmp_path / "young.py").write_text(source)
    assert younger_than_python_3_9(tmp_path).returncode == 1


IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import kedro_console
for module in pkgutil.walk_packages(kedro_console.__path__, "kedro_console."):
    try:
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] != "kedro":
            raise
"""


def test_what_runs_in_a_projects_python_can_be_imported_by_3_9() -> None:
    if not (python := python_3_9()):
        pytest.skip("no Python 3.9 on this machine")
    command = [python, "-c", IMPORT_ALL, str(ROOT / "pipelines")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def python_3_9() -> str:
    """Where one is, by name or as uv finds them; "" for none."""
    uv = Path(sys.executable).with_name("uv")
    found = subprocess.run([uv, "python", "find", "--no-project", "3.9"], capture_output=True, text=True, check=False)
    return found.stdout.strip()
