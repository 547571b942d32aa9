"""Real hosts on real projects; each is stopped at the end of its test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from host_client import Conversation, HostProcess
from kedro_projects import PLAYGROUND, make_project

StartHost = Callable[..., HostProcess]
RunBody = Callable[..., Conversation]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="kc"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start_host(short_folder: Path) -> Iterator[StartHost]:
    """`start_host(project, "--mode", "cold")` starts a host that ends with the test."""
    hosts: list[HostProcess] = []

    def start(project: Path, *options: str, name: str = "", **more: Any) -> HostProcess:
        path = short_folder / f"{name or len(hosts)}.sock"
        hosts.append(HostProcess(project, path, list(options), **more).start())
        return hosts[-1]

    yield start
    for host in hosts:
        host.stop()


@pytest.fixture
def host_of(tmp_path: Path, start_host: StartHost) -> StartHost:
    """`host_of(nodes=…, catalog=…)` makes a project and starts its host."""

    def make(*options: str, **project: Any) -> HostProcess:
        return start_host(make_project(tmp_path / "project", **project), *options)

    return make


@pytest.fixture(scope="session")
def playground() -> Iterator[HostProcess]:
    """One host for all tests that need no project of their own."""
    folder = Path(tempfile.mkdtemp(prefix="kc"))
    host = HostProcess(make_project(folder / "project", **PLAYGROUND), folder / "h.sock").start()
    yield host
    host.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def run_body(playground: HostProcess) -> RunBody:
    """`run_body("print('x')")` runs these lines as the body of a node named `work`."""

    def run(body: str, **request: Any) -> Conversation:
        return playground.run(parameters={"code": body.strip("\n")}, free_outputs=["result"], **request)

    return run
