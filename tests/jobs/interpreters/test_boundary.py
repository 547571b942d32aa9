"""What a project's processes see of the console, asked from inside one of them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as console

from console.env import RunAs
from jobs import clock
from jobs.checks import projects_are_kept_apart
from jobs.errors import PlatformError, ProjectError
from jobs.insight.examine import examine_workers
from jobs.interpreters import boundary
from jobs.interpreters.call import call
from jobs.interpreters.confine import LANDLOCK, NAMESPACES, NOTHING, Plan
from jobs.interpreters.hosts import HOSTS
from jobs.interpreters.snapshots import add_project
from jobs.models import Project, Worker
from tests.another_user import another_user
from tests.live import ROOT
from tests.toys import write_toy

SPY = """
import json, os, socket, sys
told = json.loads(sys.argv[1])
def tried(what, place):
    try:
        return str(what(place))
    except OSError as error:
        return f"refused: {type(error).__name__}"
def connect(place):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(place)
        return "connected"
def write(place):
    with open(place + "/new", "w") as file:
        file.write("x")
    os.rename(place + "/new", place + "/renamed")
    return "written"
acts = {"read": lambda place: open(place).read(), "list": lambda place: sorted(os.listdir(place)),
        "connect": connect, "write": write, "as": lambda _: os.getuid(),
        "escape": lambda place: open(os.path.relpath(place)).read(),
        "by_parent": lambda place: open(f"/proc/{os.getppid()}/root{place}").read()}
print(json.dumps({name: tried(acts[name.partition("/")[0]], place) for name, place in told.items()}))
"""


@pytest.fixture
def var(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """A console's folder with a key, a socket, two projects' runs; and a project beside it."""
    var, project = tmp_path / "var", tmp_path / "project"
    for folder in (var / "runs" / "1", var / "runs" / "2", project):
        folder.mkdir(parents=True)
    (var / "key").write_text("the key")
    (var / "runs" / "2" / "data").write_text("another's")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(var / "redis.sock"))
        listener.listen()
        yield {"var": var, "own": var / "runs" / "1", "other": var / "runs" / "2", "project": project}


def seen(plan: Plan, folder: Path, **asked: Path) -> dict[str, str]:
    words = {name.replace("__", "/"): str(place) for name, place in asked.items()}
    command = [*boundary.PROGRAM, plan.to_json(), sys.executable, "-c", SPY, json.dumps(words)]
    ended = subprocess.run(command, capture_output=True, cwd=folder, text=True, check=False)
    if "could not be hidden" in ended.stderr:
        pytest.skip(f"this kernel gives us no {' or '.join(plan.ways)}")
    assert ended.returncode == 0, ended.stderr
    told: dict[str, str] = json.loads(ended.stdout)
    return told


@pytest.mark.parametrize("way", [NAMESPACES, LANDLOCK])
def test_a_project_sees_its_own_runs_and_nothing_else_of_the_console(var: dict[str, Path], way: str) -> None:
    plan = Plan([str(var["var"])], [str(var["own"])], ways=(way,))
    key, data = var["var"] / "key", var["other"] / "data"
    told = seen(
        plan, var["project"], read__key=key, escape__key=key, by_parent__key=key, read__data=data, list__var=var["var"],
        list__other=var["other"], write__var=var["var"], write__own=var["own"], write__project=var["project"],
        write__tmp=Path("/dev/shm"),
    )  # fmt: skip
    (Path("/dev/shm") / "renamed").unlink()
    if way == NAMESPACES:
        assert told.pop("list/var") == "['runs']"  # the way to its own folder is all that is there
    assert {name for name, said in told.items() if not said.startswith("refused")} == {
        "write/own", "write/project", "write/tmp"
    }  # fmt: skip
    assert (var["own"] / "renamed").read_text() == "x"


def test_what_is_not_there_cannot_be_connected_to(var: dict[str, Path]) -> None:
    plan = Plan([str(var["var"])], [], ways=(NAMESPACES,))
    assert seen(plan, var["project"], connect=var["var"] / "redis.sock")["connect"].startswith("refused")
    assert seen(replace(plan, ways=()), var["project"], connect=var["var"] / "redis.sock")["connect"] == "connected"


def test_a_folder_that_the_project_was_started_in_is_no_way_around(var: dict[str, Path]) -> None:
    """A project that lies in the console's folder is shown, and its working folder is the one that is shown."""
    plan = Plan([str(var["var"])], [str(var["own"])], ways=(NAMESPACES,))
    told = seen(plan, var["own"], escape__key=var["var"] / "key", write__own=var["own"])
    assert told["escape/key"].startswith("refused") and told["write/own"] == "written"


def test_a_single_file_is_hidden_too(var: dict[str, Path], tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret")
    assert "s3cret" not in seen(Plan([str(secret)], [], ways=(NAMESPACES,)), tmp_path, read=secret)["read"]


def test_landlock_does_not_close_a_folder_in_which_people_make_files(var: dict[str, Path], tmp_path: Path) -> None:
    plan = Plan([str(var["var"])], [], ways=(LANDLOCK,), kept_open=(str(tmp_path),))
    ended = subprocess.run([*boundary.PROGRAM, plan.to_json()], capture_output=True, text=True, check=True)
    assert ended.stdout == NOTHING


@pytest.mark.parametrize("way", [NAMESPACES, LANDLOCK])
def test_a_project_is_read_as_if_nothing_were_hidden(tmp_path: Path, way: str) -> None:
    """Also where the folders above the console's own cannot be listed."""
    (tmp_path / "var").mkdir()
    (tmp_path / "own").mkdir()
    toy = write_toy(tmp_path / "toy")
    words = [sys.executable, "-m", "kedro_console.reading.snapshot", "--project", str(toy)]
    environment = {"PYTHONPATH": str(ROOT / "pipelines"), "PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path / "own")}
    plan = Plan([str(tmp_path / "var")], [str(tmp_path / "own")], ways=(way,))
    plain, kept_apart = (
        subprocess.run([*before, *words], capture_output=True, text=True, cwd=toy, env=environment, check=False)
        for before in ([], [*boundary.PROGRAM, plan.to_json()])
    )
    if "could not be hidden" in kept_apart.stderr:
        pytest.skip(f"this kernel gives us no {way}")
    assert (kept_apart.returncode, kept_apart.stderr) == (0, plain.stderr)
    assert kept_apart.stdout == plain.stdout


# ---- through a host


SPYING = """

def look(place):
    import os
    try:
        return {"uid": os.getuid(), "home": os.environ["HOME"], "found": sorted(os.listdir(place))}
    except OSError as error:
        return {"uid": os.getuid(), "home": os.environ["HOME"], "found": type(error).__name__}
"""


@pytest.fixture
def project(db: None, tmp_path: Path) -> Iterator[Project]:
    folder = write_toy(tmp_path / "toy")
    with (folder / "src/toy/nodes.py").open("a") as file:
        file.write(SPYING)
    yield add_project(folder, at=clock.now())
    HOSTS.stop_all()


def looked(project: Project) -> Any:
    return call(project, "toy.nodes:look", {"place": str(console.VAR)}, seconds=90)


def test_a_host_and_its_children_are_behind_the_boundary(project: Project, settings: Any) -> None:
    if boundary.way() != NAMESPACES:
        pytest.skip("this kernel gives us no namespaces")
    assert set(looked(project)["found"]) <= {"runs", "replays", "hosts"}
    HOSTS.stop_all()
    settings.CONSOLE_BOUNDARY = "off"
    assert "logs" in looked(project)["found"]


@pytest.fixture
def daemon(project: Project, tmp_path: Path) -> RunAs:
    found = another_user(project, tmp_path)
    return RunAs("daemon", found.pw_uid, found.pw_gid, (found.pw_gid,), "/nonexistent")


@pytest.mark.parametrize("setting", ["auto", "off"])
def test_hosts_run_as_another_user(project: Project, daemon: RunAs, settings: Any, setting: str) -> None:
    settings.CONSOLE_RUN_AS, settings.CONSOLE_BOUNDARY = daemon, setting
    Path(console.VAR).chmod(0o711)
    told = looked(project)
    assert (told["uid"], told["home"]) == (daemon.uid, "/nonexistent")
    assert "logs" not in told["found"]
    assert all(folder.stat().st_uid == daemon.uid for folder in boundary.own_folders(project))


def test_a_folder_that_the_user_may_not_enter_is_named(project: Project, daemon: RunAs, settings: Any) -> None:
    settings.CONSOLE_RUN_AS = daemon
    subprocess.run(["chown", "root:root", project.path], check=True)
    Path(project.path).chmod(0o700)
    with pytest.raises(ProjectError, match=r"cannot use .*toy .Permission denied.: give it the right to"):
        looked(project)


# ---- what is said


def test_who_cannot_switch_is_told_so(monkeypatch: pytest.MonkeyPatch, settings: Any, project: Project) -> None:
    settings.CONSOLE_RUN_AS = RunAs("kedro", 4711, 4711, (), "/home/kedro")
    for module in ("jobs.interpreters.boundary", "jobs.checks"):
        monkeypatch.setattr(f"{module}.may_switch", lambda: False)
    assert [found.id for found in projects_are_kept_apart()] == ["jobs.E002"]
    with pytest.raises(PlatformError, match=r"^CONSOLE_RUN_AS=kedro: only root"):
        boundary.behind(project, [project.interpreter])


@pytest.mark.parametrize(
    ("setting", "drawn", "ids"),
    [("auto", NOTHING, ["jobs.W002"]), ("required", NOTHING, ["jobs.E003"]), ("off", NOTHING, []),
     ("auto", LANDLOCK, []), ("required", NAMESPACES, [])],
)  # fmt: skip
def test_a_check_says_what_the_kernel_does_not_do(
    monkeypatch: pytest.MonkeyPatch, settings: Any, setting: str, drawn: str, ids: list[str]
) -> None:
    settings.CONSOLE_BOUNDARY = setting
    monkeypatch.setattr("jobs.interpreters.boundary.way", lambda: drawn)
    assert [found.id for found in projects_are_kept_apart()] == ids


def test_nothing_is_started_without_a_boundary_that_is_required(
    monkeypatch: pytest.MonkeyPatch, settings: Any, project: Project
) -> None:
    settings.CONSOLE_BOUNDARY = "required"
    monkeypatch.setattr("jobs.interpreters.boundary.way", lambda: NOTHING)
    with pytest.raises(PlatformError, match="Nothing of a project is started here"):
        boundary.behind(project, [project.interpreter])
    settings.CONSOLE_BOUNDARY = "auto"
    assert boundary.behind(project, [project.interpreter]) == [project.interpreter]


@pytest.mark.parametrize(
    ("told", "is_ok", "words"),
    [
        ("namespaces", True, "does not see the console's own folder"),
        ("none as kedro", True, "does not see the console's own folder"),
        ("landlock", True, "it can still reach sockets"),
        ("none", False, "can read the console's own folder, its keys among it: the kernel offers nothing"),
        ("off", False, "CONSOLE_BOUNDARY is off"),
        ("", True, "No worker has said yet"),
    ],
)
def test_the_page_of_workers_says_what_is_so(db: None, told: str, is_ok: bool, words: str) -> None:
    at = clock.now()
    Worker.objects.create(name="w", host="h", pid=1, slots=1, started_at=at, heartbeat_at=at, boundary=told)
    (finding,) = [found for found in examine_workers(at) if found.subject == "boundary"]
    assert finding.is_ok is is_ok and words in finding.sentence
