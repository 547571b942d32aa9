"""A large file that lies in S3 is downloaded through the console: what it costs the web process, and the store.

Usage: python -m bench.store_download [MEGABYTES]
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from bench.lay_out import lay_out
from bench.stage import Console, conditions, console, free_port, table
from tests.flaky_s3 import Proxy, bucket, environment

WRITES = """
import os
from kedro.pipeline import Pipeline, node


def write(megabytes):
    path = "data/large.bin"
    os.makedirs("data", exist_ok=True)
    with open(path, "wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(1_000_000))
    return path


def register_pipelines():
    return {"__default__": Pipeline([node(write, "params:megabytes", "large", name="write")])}
"""
MB = 1_000_000
PIECE = 1 << 20
WARM = 40


def main(megabytes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="kc-bench-") as folder:
        port = free_port()
        moto = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL
        )
        try:
            _answers(port)
            proxy = Proxy(port)
            name = bucket(port).name
            os.environ.update(environment(name, proxy.url))
            project = lay_out(
                Path(folder) / "large", "large", modules={"pipeline_registry": WRITES},
                configuration={"parameters": f"megabytes: {megabytes}\n"},
            )  # fmt: skip
            with console("--no-demo") as stage:
                stage.manage("project", "add", str(project), "--name", "large")
                measure(stage, proxy, name, project / "data" / "large.bin", megabytes)
        finally:
            moto.terminate()
            moto.wait()


def _answers(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("moto's server does not answer")


def measure(stage: Console, proxy: Proxy, name: str, large: Path, megabytes: int) -> None:
    """`name` is the bucket's, `large` the file as its project wrote it."""
    job = stage.ended(stage.call("POST", "/jobs", {"pipeline_name": "__default__", "project": "large"}))
    begun = time.monotonic()
    while stage.call("GET", f"/jobs/{job['id']}")["not_in_store"]:
        time.sleep(0.2)
    sent = time.monotonic() - begun
    (file,) = stage.call("GET", f"/jobs/{job['id']}/artifacts")
    with large.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    proxy.files[f"/{name}/console/{sha256[:2]}/{sha256[2:4]}/{sha256}"] = large
    for place in range(WARM):  # each thread of web has its connections and its caches then
        fetch(file["url"], {"Range": f"bytes={place * 1000}-{place * 1000 + PIECE}"})
    rows = []
    for what, headers in (
        ("whole", {}),
        ("whole, again", {}),
        ("100 bytes of its middle", {"Range": "bytes=1000000-1000099"}),
    ):
        pids = web_processes(stage)
        before = {pid: memory(pid) for pid in pids}
        proxy.calls.clear()
        begun = time.monotonic()
        size = fetch(file["url"], headers)
        seconds = time.monotonic() - begun
        growth = max(memory(pid, "VmHWM") - before[pid] for pid in pids)
        cost = sum(call.sent for call in proxy.calls if call.method == "GET")
        rows.append(
            [what, f"{size:,}", f"{cost:,}", f"{len(proxy.calls)}", f"{growth / MB:.1f} MB", f"{seconds:.1f} s"]
        )
    print(f"{megabytes} MB in S3 (moto), sent in parts within {sent:.1f} s of the run's end; {conditions()}\n")
    print(table(["download", "bytes given", "bytes from S3", "calls", "web grew by", "took"], rows))


def fetch(url: str, headers: dict[str, str]) -> int:
    """Read it all, piece by piece; how many bytes came."""
    count = 0
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        while data := answer.read(PIECE):
            count += len(data)
    return count


def web_processes(stage: Console) -> list[int]:
    """The processes of the tree, their peaks forgotten: web is the only one that a download makes grow."""
    found, parents = [], {stage.pid}
    while parents:
        children = {pid for parent in parents for pid in _children(parent)}
        found += children
        parents = children
    for pid in found:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return found


def _children(pid: int) -> list[int]:
    tasks: Any = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def memory(pid: int, name: str = "VmRSS") -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.partition(f"{name}:")[2].split()[0])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
