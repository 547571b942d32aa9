"""The end-to-end tests where everything is at hand and where it fails: no run fails for a store, and no file is lost.

Usage: python -m bench.store_faults [SECONDS] [TEST …]      (such as `60 runs resume`; without names: SUITE)
First on SQLite, the embedded Redis and a folder; then on PostgreSQL, a Redis with TLS and a password, and an S3 server
of whose calls 5 % fail, which is away once and hangs once, for so long. At last the tests of the store itself, in which
runs go on, a cancel works and Home answers meanwhile, and the store has every file in the end. Home is asked over HTTP
all the time, first for as long without the fault: every answer counts, the slowest too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.stage import ROOT, conditions, table

SUITE = (
    "runs", "distributed", "resume", "retries", "reuse_content", "going_on", "choices", "cancelled", "hooks", "unkept",
    "rules", "batches", "store_elsewhere",
)  # fmt: skip
FAILING = 0.05
QUIET_SECONDS = 20.0
ELSEWHERE = "CONSOLE_TRIED_ELSEWHERE"
"""Set, tests keep the servers that the environment names."""


def main(seconds: float, names: Sequence[str]) -> int:
    print(f"The store is away, then hangs, for {seconds:g} s each; {conditions()}", flush=True)
    suite = [f"tests/e2e/test_{name}.py" for name in names]
    rows = [["SQLite, embedded Redis, folder", *_tried(suite)]]
    with tempfile.TemporaryDirectory(prefix="kc-bench-") as folder, _elsewhere(Path(folder), seconds) as settings:
        rows.append(["PostgreSQL, Redis with TLS, failing S3", *_tried(suite, "tests/on_postgres.py", **settings)])
    faults = ["tests/e2e/test_store_faults.py"]
    with tempfile.NamedTemporaryFile("r", prefix="kc-bench-") as figures:
        settings = {"STORE_AWAY_SECONDS": f"{seconds:g}", "STORE_FIGURES": figures.name}
        rows.append(["the store's own tests", *_tried(faults, **settings)])
        home = [line.rstrip().split("\t") for line in figures]
    print(table(["", "tests", "took", ""], rows))
    print(table(["Home while", "meanwhile", "99 % of the answers came in"], home))
    print(conditions())
    return int(any(row[-1] != "good" for row in rows))


def _tried(tests: list[str], *before: str, **settings: str) -> tuple[str, str, str]:
    """What pytest says of them, how long it took, and whether that is good."""
    command = [sys.executable, *before, "-m", "pytest", "-q", "-p", "no:randomly", *tests]
    began = time.monotonic()
    said = ""
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout or ():
            print(line, end="", flush=True)
            said = line.partition(" in ")[0].strip() or said
    return said, f"{time.monotonic() - began:.0f} s", "BAD" if run.returncode else "good"


@contextmanager
def _elsewhere(folder: Path, seconds: float) -> Iterator[dict[str, str]]:
    """Redis and S3, with their faults under way."""
    os.environ.update(CONSOLE_VAR=str(folder), DJANGO_SETTINGS_MODULE="console.settings")
    import django

    django.setup()
    from tests.flaky_s3 import environment, flaky_s3
    from tests.tls_redis import served

    (folder / "redis").mkdir()
    is_over = threading.Event()
    with served(folder / "redis") as redis, flaky_s3(folder / "moto.log") as (proxy, bucket):
        proxy.failing = FAILING

        def fail() -> None:
            for begin in (lambda: setattr(proxy, "is_away", True), proxy.hang):
                is_over.wait(QUIET_SECONDS)
                begin()
                is_over.wait(seconds)
                proxy.go_on()

        faults = threading.Thread(target=fail)
        faults.start()
        try:
            yield {ELSEWHERE: "1", **redis.environment(), **environment(bucket.name, proxy.url)}
        finally:
            is_over.set()
            faults.join()
            print(f"{proxy.failed} of {len(proxy.calls) + proxy.failed} calls of the store failed", flush=True)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60, sys.argv[2:] or SUITE))
