"""The host from outside: requests in, events out, nothing left behind."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from host_client import PIPELINES, Conversation, HostProcess, until
from kedro_projects import PLAYGROUND, THREE_FUNCTIONS, make_project, one_node

from kedro_console import wire


def is_alive(pid: int) -> bool:
    try:
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError:
        return False


def test_a_run_is_told_from_its_start_to_its_exit(playground):
    said = playground.run("chain", free_outputs=["c"])
    started, run, ended = said.messages[0], said.one(wire.RunStarted), said.messages[-1]
    assert isinstance(started, wire.ChildStarted) and started.mode == "fork" and started.kedro_version
    assert run.nodes == ["first", "second", "third"] and "kedro" in run.versions
    assert [m.node for m in said.all(wire.NodeStarted)] == ["first", "second", "third"]
    assert [m.node for m in said.all(wire.NodeFinished)] == ["first", "second", "third"]
    assert [m.dataset for m in said.all(wire.DatasetLoaded)] == ["a", "b"]
    saved = said.all(wire.DatasetSaved)[-1]
    assert (saved.dataset, saved.has_value, saved.value) == ("c", True, 3)
    assert isinstance(ended, wire.ChildExited) and ended.exit_code == 0 and ended.signal is None
    assert ended.peak_memory_bytes > 1_000_000 and said.kinds.index("run_finished") < said.kinds.index("child_exited")


def test_only_the_asked_nodes_run(playground):
    said = playground.run("chain", nodes=["first", "second"])
    assert said.one(wire.RunStarted).nodes == ["first", "second"]


def test_the_socket_is_for_its_owner_only(playground):
    mode = playground.socket.stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600


STRANGER = """
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(60)
    connection.connect(sys.argv[1])
    print(connection.recv(1))
"""


def test_only_who_started_it_may_speak_to_it(playground):
    """Code of another project may be of the same user, and knows the names of all sockets from /proc/net/unix."""
    command = [sys.executable, "-c", STRANGER, str(playground.socket)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert ended.stdout.strip() == "b''" or "ConnectionResetError" in ended.stderr
    assert playground.run("chain").one(wire.RunFinished)


def test_a_supervisor_may_connect_before_the_warm_up_is_over(host_of):
    host = host_of(nodes="import time\ntime.sleep(0.5)\n" + THREE_FUNCTIONS)
    assert host.run().one(wire.RunFinished)


def test_concurrent_runs_each_see_their_own_parameters(run_body):
    def run(number: int) -> object:
        return run_body(f"return 'mine {number}'").one(wire.DatasetSaved).value

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(40))) == [f"mine {number}" for number in range(40)]


def test_two_projects_with_the_same_package_name_do_not_disturb_each_other(tmp_path, start_host):
    hosts = []
    for number in (1, 2):
        nodes = f"def work():\n    return 'project {number}'"
        hosts.append(start_host(make_project(tmp_path / str(number), package="same", **one_node(nodes))))
    for _ in range(2):
        values = [host.run(free_outputs=["result"]).one(wire.DatasetSaved).value for host in hosts]
        assert values == ["project 1", "project 2"]


def test_an_unknown_pipeline_is_refused_with_the_nearest_names(playground):
    refused = playground.run("chian").one(wire.StepRefused)
    assert refused.reason == "unknown_pipeline" and "Did you mean chain?" in refused.sentence


def test_a_project_that_cannot_be_imported_is_told_to_everyone_who_asks(host_of):
    host = host_of(nodes="import no_such_library\n")
    for _ in range(2):
        refused = host.run().one(wire.StepRefused)
        assert refused.reason == "broken" and "no_such_library" in refused.sentence
        assert refused.failure and any(f.is_project and f.file.endswith("nodes.py") for f in refused.failure.frames)


@pytest.mark.parametrize("mode", ["standby", "cold"])
def test_a_broken_project_is_told_by_a_process_of_its_own_too(host_of, mode):
    said = host_of("--mode", mode, nodes="import no_such_library\n").run()
    assert said.one(wire.StepRefused).reason == "broken" and said.kinds[-1] == "child_exited"


@pytest.mark.parametrize("mode", ["standby", "cold"])
def test_a_process_of_its_own_does_the_same_work(host_of, mode):
    host = host_of("--mode", mode)
    for _ in range(2):
        said = host.run(free_outputs=["c"])
        assert said.one(wire.ChildStarted).mode == mode
        assert said.all(wire.DatasetSaved)[-1].value == 3 and said.one(wire.ChildExited).exit_code == 0


# ---- freshness and leaving -------------------------------------------------------------------------


def test_changed_code_is_refused_and_the_host_leaves(host_of):
    host = host_of()
    assert host.run().one(wire.RunFinished)
    nodes = host.project / "src/demo/nodes.py"
    nodes.write_text(THREE_FUNCTIONS + "\n# changed\n")
    until(lambda: host.process.poll() is not None or _reason(host) == "stale")
    until(lambda: host.process.poll() is not None)
    assert not host.socket.exists()


def _reason(host: HostProcess) -> str:
    try:
        refused = host.run().all(wire.StepRefused)
    except (ConnectionError, FileNotFoundError):
        return "gone"
    return refused[0].reason if refused else ""


def test_a_host_of_another_revision_than_the_launch_saw_looks_at_the_files_at_once(host_of):
    host = host_of(nodes=THREE_FUNCTIONS)
    assert host.run(expected_revision="0000000").one(wire.RunFinished), "nothing has changed: the launch was mistaken"
    (host.project / "src/demo/nodes.py").write_text(THREE_FUNCTIONS + "\n# changed\n")
    assert host.run(expected_revision="0000000").one(wire.StepRefused).reason == "stale"


VALUE = """
from . import data
def work():
    return data.VALUE
"""


def value_of(host: HostProcess) -> object:
    """What the pipeline gives, by the next host when this one has to go."""
    if host.process.poll() is None and _reason(host) != "stale":
        return host.run(free_outputs=["result"]).one(wire.DatasetSaved).value
    host.stop()
    return host.start().run(free_outputs=["result"]).one(wire.DatasetSaved).value


@pytest.fixture
def host_with_data(tmp_path, start_host) -> HostProcess:
    """A host whose node returns the value of a package named data."""
    project = make_project(tmp_path / "releases/1", **one_node(VALUE))
    (project / "src/demo/data").mkdir()
    (project / "src/demo/data/__init__.py").write_text("VALUE = 1")
    (tmp_path / "current").symlink_to("releases/1")
    return start_host(tmp_path / "current", environment={"PYTHONDONTWRITEBYTECODE": ""})


def test_each_edit_counts_for_the_very_next_step(host_with_data):
    for number in range(2, 6):  # of one size, and within one second of each other
        (host_with_data.project / "src/demo/data/__init__.py").write_text(f"VALUE = {number}")
        assert value_of(host_with_data) == number


def test_an_edit_of_the_same_size_whose_time_is_put_back_counts(host_with_data):
    assert value_of(host_with_data) == 1
    source = host_with_data.project / "src/demo/data/__init__.py"
    before = source.stat()
    source.write_text("VALUE = 2")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert value_of(host_with_data) == 2


def test_the_link_to_a_release_is_followed_anew(host_with_data, tmp_path):
    assert value_of(host_with_data) == 1
    shutil.copytree(tmp_path / "releases/1", tmp_path / "releases/2")
    (tmp_path / "releases/2/src/demo/data/__init__.py").write_text("VALUE = 2")
    (tmp_path / "next").symlink_to("releases/2")
    (tmp_path / "next").replace(tmp_path / "current")
    assert value_of(host_with_data) == 2


def test_a_broken_host_notices_what_is_installed(tmp_path, start_host):
    site = tmp_path / "env/site-packages"
    site.mkdir(parents=True)
    nodes = "import missing_library\ndef work():\n    return missing_library.VALUE"
    project = make_project(tmp_path / "project", **one_node(nodes))
    host = start_host(project, environment={"PYTHONPATH": f"{PIPELINES}:{site}"})
    assert host.run().one(wire.StepRefused).reason == "broken"
    (site / "missing_library").mkdir()
    (site / "missing_library/__init__.py").write_text("VALUE = 7")
    assert value_of(host) == 7


def test_a_project_that_failed_to_load_for_no_file_is_tried_again(host_of, monkeypatch):
    host = host_of(nodes="raise ConnectionError('the warehouse does not answer')")
    assert host.run().one(wire.StepRefused).reason == "broken"
    until(lambda: _reason(host) in ("stale", "gone"))


REWRITES = """
import json, pathlib
LAST = pathlib.Path(__file__).parents[2] / "data/last.json"
COUNT = json.loads(LAST.read_text()) if LAST.exists() else 0
def work():
    LAST.write_text(json.dumps(COUNT + 1))
    return COUNT
"""


def test_a_project_whose_runs_rewrite_what_it_is_loaded_from_is_started_anew_each_time(host_of):
    host = host_of(**one_node(REWRITES))
    (host.project / "data/last.json").write_text("0")
    host.stop()
    host.start()
    for number in range(6):
        if host.process.poll() is not None:
            host.stop()
            host.start()
        said = host.run(free_outputs=["result"])
        if said.all(wire.StepRefused):
            host.stop()
            said = host.start().run(free_outputs=["result"])
        assert said.one(wire.DatasetSaved).value == number
    started = said.one(wire.ChildStarted)
    assert started.mode == "standby" and "reads data/last.json while it is loaded" in started.note


PARTS_NODES = """
from pathlib import Path
VERSION = "one"

def first():
    return VERSION

def second(a, word):
    from demo import later
    return [a, VERSION, later.VERSION, word]

def breaks(a):
    from demo import later
    later.fails()

def newer(a):
    from demo import new
"""
PARTS = """
from kedro.pipeline import Pipeline, node
from . import nodes

def register_pipelines():
    return {"__default__": Pipeline([
        node(nodes.first, None, "a", name="first"),
        node(nodes.second, ["a", "params:word"], "b", name="second"),
        node(nodes.breaks, "a", None, name="breaks"),
        node(nodes.newer, "a", None, name="newer"),
    ])}
"""
LATER = 'VERSION = "one"\n\ndef fails():\n    raise ValueError("of the old code")\n'


@pytest.fixture
def parted(tmp_path, start_host) -> HostProcess:
    """A host with which a run of several steps has begun; since then its code and parameters have changed."""
    project = make_project(tmp_path / "project", nodes=PARTS_NODES, pipelines=PARTS, parameters={"word": "old"})
    source = project / "src/demo"
    (source / "later.py").write_text(LATER)
    (source / "doomed.py").write_text("X = 1")
    host = start_host(project)
    started = part(host, "first").one(wire.ChildStarted)
    host.code = wire.code_of(started.revision, started.packages)
    (source / "nodes.py").write_text(PARTS_NODES.replace('"one"', '"two"'))
    (source / "later.py").write_text("\n\n\n" + LATER.replace("old", "new").replace("one", "two"))
    (source / "new.py").write_text("")
    (project / "conf/base/parameters.yml").write_text("word: new")
    return host


def part(host: HostProcess, node: str, **request: object) -> Conversation:
    """A step of a run that is divided over processes."""
    store = str(host.socket.parent / "store")
    said = host.begin(nodes=[node], store_folder=store, free_outputs=["b"], may_go_on=True, **request)
    while said.kinds[-1:] not in (["child_waited"], ["child_exited"], ["step_refused"]):
        assert said.read()
    if said.kinds[-1] == "child_waited":
        wire.send(said.connection, wire.LeaveAsked())
    return said.finish()


def test_a_run_goes_on_with_the_code_and_configuration_that_it_began_with(parted):
    said = part(parted, "second", begun_with=parted.code)
    assert said.one(wire.DatasetSaved).value == ["one", "one", "one", "old"]
    assert wire.code_of(said.one(wire.ChildStarted).revision, said.one(wire.ChildStarted).packages) == parted.code


def test_a_module_that_is_gone_by_now_is_imported_all_the_same(parted):
    (parted.project / "src/demo/later.py").unlink()
    assert part(parted, "second", begun_with=parted.code).one(wire.DatasetSaved).value[2] == "one"


def test_a_traceback_shows_the_lines_of_the_code_that_ran(parted):
    failure = part(parted, "breaks", begun_with=parted.code).one(wire.NodeFailed).failure
    assert failure.message == "of the old code"
    assert [frame.code for frame in failure.frames][-1] == 'raise ValueError("of the old code")'


def test_a_module_that_came_later_is_refused(parted):
    failure = part(parted, "newer", begun_with=parted.code).one(wire.NodeFailed).failure
    assert "new.py came after this run began; run again." in failure.message


def test_new_runs_need_a_new_host_and_the_old_one_leaves_when_it_is_told(parted):
    assert part(parted, "second", begun_with=parted.code).one(wire.RunFinished)
    assert part(parted, "first").one(wire.StepRefused).reason == "stale"
    assert part(parted, "second", begun_with=parted.code).one(wire.RunFinished)
    kept = [place for place in parted.socket.parent.glob("kept-*") if place.is_dir()]
    assert [place.stat().st_mode & 0o777 for place in kept] == [0o700]
    connection = parted.connect()
    wire.send(connection, wire.LeaveAsked(is_for_host=True))
    connection.close()
    until(lambda: parted.process.poll() is not None)
    assert not kept[0].exists() and not parted.socket.exists()


def test_a_node_that_is_gone_is_said_in_words(playground):
    refused = playground.run("chain", nodes=["first", "fourth"], begun_with="other").one(wire.StepRefused)
    assert refused.reason == "unknown_node"
    assert refused.sentence == (
        "The node fourth is not in the code any more: it was renamed or removed after this run began."
    )


def test_running_steps_are_finished_before_a_stale_host_leaves(host_of):
    host = host_of(**PLAYGROUND)
    slow = begin(host, "import time\nprint('begun')\ntime.sleep(3)", "begun")
    (host.project / "conf/base/parameters.yml").write_text("code: changed")
    until(lambda: _reason(host) in ("stale", "gone"))
    assert slow.finish().one(wire.RunFinished)
    until(lambda: host.process.poll() is not None)


def test_an_idle_host_leaves_and_takes_its_socket_away(host_of):
    host = host_of("--idle-seconds", "1")
    assert host.run().one(wire.RunFinished)
    assert host.process.wait(20) == 0
    assert not host.socket.exists()


def test_a_host_ends_with_its_lifeline_and_takes_everything_with_it(host_of):
    host = host_of(**PLAYGROUND)
    said = begin(host, ASLEEP, "asleep")
    pid = said.one(wire.ChildStarted).pid
    assert host.process.stdin
    host.process.stdin.close()
    assert host.process.wait(20) == 0
    assert not is_alive(pid) and not host.socket.exists()


def test_a_host_ends_with_its_lifeline_in_the_warm_up(host_of, tmp_path):
    mark = tmp_path / "importing"
    host = host_of(
        nodes=f"import pathlib, time\npathlib.Path({str(mark)!r}).touch()\ntime.sleep(600)\n" + THREE_FUNCTIONS
    )
    assert host.process.stdin
    until(mark.exists)
    host.process.stdin.close()
    host.process.wait(20)


def test_a_killed_host_takes_its_children_with_it(host_of):
    host = host_of(**PLAYGROUND)
    said = begin(host, ASLEEP, "asleep")
    host.process.kill()
    pid = said.one(wire.ChildStarted).pid
    until(lambda: not is_alive(pid))


# ---- cancelling ------------------------------------------------------------------------------------

FAMILY = """
import os, subprocess, sys, time
shell = subprocess.Popen(["sleep", "600"])
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(PATH, "w") as file:
            file.write(f"{shell.pid} {os.getpid()}")
        os.rename(PATH, PATH + ".ready")
        time.sleep(600)
    os._exit(0)
while not os.path.exists(PATH + ".ready"):
    time.sleep(0.01)
print("all are born", flush=True)
time.sleep(END)
"""
ASLEEP = "import time\nprint('asleep', flush=True)\ntime.sleep(600)"


def begin(playground: HostProcess, body: str, word: str) -> Conversation:
    """A run of these lines that has written `word`."""
    said = playground.begin(parameters={"code": body.strip("\n")})
    said.wait_for_text(word)
    return said


def family(playground: HostProcess, path: Path, end: int) -> tuple[Conversation, list[int]]:
    """A run whose node has a program and a daemon of its own; (its conversation, all their pids)."""
    body = f"PATH, END = {str(path)!r}, {end}{FAMILY}"
    said = begin(playground, body, "all are born")
    return said, [said.one(wire.ChildStarted).pid, *map(int, Path(f"{path}.ready").read_text().split())]


def test_when_the_supervisor_closes_the_whole_tree_goes_with_a_double_forked_daemon(playground, tmp_path):
    said, pids = family(playground, tmp_path / "pids", 600)
    assert all(map(is_alive, pids))
    said.connection.close()
    until(lambda: not any(map(is_alive, pids)), 5)


def test_child_exited_is_said_when_nothing_of_the_step_is_left(playground, tmp_path):
    said, pids = family(playground, tmp_path / "pids", 0)
    assert said.finish().one(wire.ChildExited)
    assert not any(map(is_alive, pids))


def test_an_interrupted_run_says_so(playground):
    said = begin(playground, ASLEEP, "asleep")
    said.stop("interrupt")
    failed = said.finish().one(wire.RunFailed)
    assert failed.reason == "interrupted" and failed.node == "work"
    assert said.one(wire.NodeFailed).failure.exception == "KeyboardInterrupt"


def test_an_interrupt_in_the_moment_of_its_birth_reaches_the_child(playground):
    """As for a run that is cancelled while its host is still loading the project."""
    for _ in range(10):
        said = playground.begin(parameters={"code": ASLEEP})
        said.stop("interrupt")
        assert said.finish().one(wire.RunFailed).reason == "interrupted"


@pytest.mark.parametrize("mode", ["standby", "cold"])
def test_an_interrupt_in_the_moment_of_its_birth_reaches_a_process_of_its_own(host_of, mode):
    nodes = f"def work():\n{textwrap.indent(ASLEEP, '    ')}\n"
    host = host_of("--mode", mode, **one_node(nodes))
    for _ in range(3):
        said = host.begin()
        said.stop("interrupt")
        said.finish()
        assert said.all(wire.RunFailed) or said.one(wire.StepRefused).failure.exception == "KeyboardInterrupt"
        assert "asleep" not in said.text


@pytest.mark.parametrize(("stage", "number"), [("terminate", signal.SIGTERM), ("kill", signal.SIGKILL)])
def test_a_stop_ends_the_child_by_its_signal(playground, stage, number):
    said = begin(playground, ASLEEP, "asleep")
    asked = time.monotonic()
    said.stop(stage)
    assert said.finish().one(wire.ChildExited).signal == number
    assert time.monotonic() - asked < 3


def test_a_child_ends_with_the_lease_of_a_supervisor_that_says_nothing_more(playground):
    said = playground.begin(parameters={"code": ASLEEP}, held_until=time.monotonic() + 1.5)
    exited = said.finish().one(wire.ChildExited)
    assert (exited.signal, exited.is_unheld) == (signal.SIGKILL, True)


def test_a_renewed_lease_keeps_the_child(playground):
    begun = time.monotonic()
    said = playground.begin(parameters={"code": "import time\ntime.sleep(3)"}, held_until=begun + 2)
    wire.send(said.connection, wire.LeaseRenewed(begun + 60))
    assert not said.finish().one(wire.ChildExited).is_unheld
    assert said.one(wire.RunFinished)


def test_a_busy_c_loop_dies_by_kill(playground):
    said = begin(playground, "print('busy', flush=True)\nreturn sum(range(10**13))", "busy")
    said.stop("kill")
    assert said.finish().one(wire.ChildExited).signal == signal.SIGKILL


# ---- bad manners -----------------------------------------------------------------------------------


def test_nonsense_on_one_connection_harms_no_other(playground):
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", wire.frame(wire.JSON_FRAME, b"{}"), b""):
        with playground.connect() as connection:
            connection.sendall(nonsense)
    assert playground.run("chain").one(wire.RunFinished)


def test_a_second_request_on_a_connection_is_refused(playground):
    said = begin(playground, ASLEEP, "asleep")
    wire.send(said.connection, wire.StepStarted(run_id="2", step_id="2", pipeline="chain"))
    assert said.wait_for(wire.StepRefused).reason == "bad_request"
    said.connection.close()


def test_the_last_words_arrive_though_the_supervisor_spoke_meanwhile(playground):
    said = playground.begin("chain")
    until(lambda: _is_readable(said))
    for _ in range(100):
        said.stop("interrupt")
    assert said.finish().one(wire.ChildExited)


def _is_readable(said: Conversation) -> bool:
    return bool(select.select([said.connection], [], [], 0)[0])


def test_a_supervisor_that_does_not_read_stalls_only_its_own_child(playground):
    lazy = playground.begin(parameters={"code": "for _ in range(20_000):\n    print('x' * 1000)"})
    lazy.wait_for(wire.NodeStarted)
    assert playground.run("chain").one(wire.RunFinished)
    assert lazy.finish().one(wire.RunFinished)
    assert sum(line.stream == "stdout" for line in lazy.lines()) == 20_000


# ---- falling back ----------------------------------------------------------------------------------


def test_a_project_that_hangs_after_a_fork_is_run_in_standby_and_that_is_remembered(host_of):
    hang = "import os, time\nos.register_at_fork(after_in_child=lambda: time.sleep(600))\n"
    host = host_of("--first-event-seconds", "3", nodes=hang + THREE_FUNCTIONS)
    said = host.run()
    assert [m.mode for m in said.all(wire.ChildStarted)] == ["fork", "standby"]
    assert said.one(wire.RunFinished) and said.one(wire.ChildExited).exit_code == 0
    assert [m.mode for m in host.run().all(wire.ChildStarted)] == ["standby"]
    host.stop()
    again = HostProcess(host.project, host.socket, host.options).start()
    try:
        assert [m.mode for m in again.run().all(wire.ChildStarted)] == ["standby"]
    finally:
        again.stop()


def test_a_child_that_is_slow_but_works_is_not_taken_for_hung(host_of):
    work = (
        "import os, time\ndef busy():\n    end = time.process_time() + 1.5\n    while time.process_time() < end: pass\n"
    )
    host = host_of(
        "--first-event-seconds", "0.5", nodes=f"{work}os.register_at_fork(after_in_child=busy)\n{THREE_FUNCTIONS}"
    )
    said = host.run()
    assert [m.mode for m in said.all(wire.ChildStarted)] == ["fork"]
    assert said.one(wire.RunFinished) and not said.one(wire.ChildExited).is_hung


def test_a_project_that_never_starts_is_given_up_after_every_mode(host_of):
    hook = (
        "from kedro.framework.hooks import hook_impl\nimport time\nclass Slow:\n    @hook_impl\n"
        "    def after_context_created(self, context):\n        time.sleep(600)\nHOOKS = (Slow(),)\n"
    )
    host = host_of("--first-event-seconds", "0.5", settings=hook)
    said = host.run()
    assert [m.mode for m in said.all(wire.ChildStarted)] == ["fork", "standby", "cold"]
    assert said.one(wire.ChildExited).is_hung


def test_threads_at_import_make_the_host_stand_by_instead_of_forking(host_of):
    threads = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    assert host_of(nodes=threads + THREE_FUNCTIONS).run().one(wire.ChildStarted).mode == "standby"


def test_what_a_run_imported_is_preloaded_by_the_next_host(host_of):
    nodes = """
import sys
def work():
    is_known = "xmlrpc.client" in sys.modules
    import xmlrpc.client
    return is_known
"""
    host = host_of(**one_node(nodes))
    assert host.run(free_outputs=["result"]).one(wire.DatasetSaved).value is False
    host.stop()
    again = HostProcess(host.project, host.socket).start()
    try:
        assert again.run(free_outputs=["result"]).one(wire.DatasetSaved).value is True
    finally:
        again.stop()


def test_the_project_does_not_import_from_the_folder_of_whoever_started_the_host(run_body):
    path = run_body("import sys\nreturn sys.path").one(wire.DatasetSaved).value
    assert str(Path.cwd()) not in path and "" not in path


def test_a_socket_of_a_newer_host_is_left_alone(host_of):
    host = host_of()
    host.socket.unlink()
    newer = socket.socket(socket.AF_UNIX)
    newer.bind(str(host.socket))
    host.stop()
    assert host.socket.exists()
    newer.close()
