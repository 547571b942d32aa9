"""The last release's code works on the schema of this one: so an upgrade may take its time, part by part."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from tests import live
from tests.toys import write_toy

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


def git(*words: str) -> bytes:
    return subprocess.run(["git", "-C", str(live.ROOT), *words], capture_output=True, check=True).stdout


def last_release() -> str:
    """The commit that wrote the newest release into the changelog; skips by name where there is no history."""
    found = re.search(r"^## (\d+\.\d+\.\d+)", (live.ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found
    try:
        if git("rev-parse", "--is-shallow-repository").strip() == b"true":
            pytest.skip("this clone has no history to take the last release from")
        commits = git("log", f"-S## {found[1]}", "--format=%H", "--", "CHANGELOG.md").split()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git repository: there is no last release to try")
    if not commits:
        pytest.skip(f"the history here does not reach to the release {found[1]}")
    return commits[-1].decode()


@pytest.fixture
def old_tree(tmp_path: Path) -> Path:
    tree = tmp_path / "old"
    with tarfile.open(fileobj=io.BytesIO(git("archive", last_release()))) as tar:
        tar.extractall(tree, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # since Python 3.11.4
    return tree


@pytest.fixture
def old_worker(
    old_tree: Path, redis_server: object, transactional_db: None, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """A worker of the last release on this release's tables; the environment for its commands."""
    environment = {name: value for name, value in live.environment().items() if name != "PYTHONPATH"}
    environment |= {"CONSOLE_WORKER_QUEUES": "default", "PYTHONPATH": f"{old_tree}:{old_tree / 'pipelines'}"}
    with (tmp_path / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "console", "worker"]
        process = subprocess.Popen(command, env=environment, cwd=old_tree, stdout=log, stderr=log)
    from jobs.models import Worker

    try:
        alive = Worker.objects.filter(stopped_at=None, pid=process.pid)
        live.until(lambda: alive.exists() or process.poll() is not None, what="the old worker's heartbeat")
        assert process.poll() is None, (tmp_path / "worker.log").read_text()[-3000:]
        yield environment
    finally:
        live.end(process, 40)


def test_the_last_release_runs_on_this_schema(old_worker: dict[str, str], old_tree: Path, tmp_path: Path) -> None:
    def old(*words: str) -> str:
        ended = subprocess.run(
            [sys.executable, "manage.py", *words], env=old_worker, cwd=old_tree, capture_output=True, text=True,
            check=False, timeout=150,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    old("project", "add", str(write_toy(tmp_path / "toy")))
    assert "succeeded" in old("run", "toy/chain", "--wait")
    assert "succeeded" in old("run", "toy/fan", "--runner", "distributed", "--wait")
    assert "succeeded" in old("run", "toy/writes", "--wait")
    old("prune")
    connection.close()
