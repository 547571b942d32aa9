"""What is shipped around the code: the image, the compose file, the lock, the gate."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sysconfig.get_path("scripts"))
LOCKS = ("requirements.txt", "requirements-dev.txt")


def run(tool: str, *words: str) -> subprocess.CompletedProcess[str]:
    if not (TOOLS / tool).exists():
        pytest.skip(f"{tool} is not installed")
    return subprocess.run([TOOLS / tool, *words], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_dockerfile_follows_practice() -> None:
    ended = run("hadolint", "Dockerfile")
    assert ended.returncode == 0, ended.stdout


def test_the_image_runs_without_root_and_without_a_shell() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER 10001:10001" in lines and "STOPSIGNAL SIGTERM" in lines
    assert all('["' in line for line in lines if line.startswith(("ENTRYPOINT", "CMD")))


def test_all_that_the_image_copies_is_let_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )?(\S+) ", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert set(copied) <= let_in
    assert all((ROOT / name).exists() for name in copied)


def test_the_compose_file_is_one() -> None:
    ended = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")
    assert ended.returncode == 0, ended.stdout


def test_compose_starts_every_role() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert {"postgres", "redis", "prepare", "web", "worker", "beat"} <= services.keys()
    assert [services[role]["command"] for role in ("web", "worker", "beat")] == [["web"], ["worker"], ["beat"]]


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_says_how_it_was_made_and_where_nothing_comes_from(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "#    make lock" in text.splitlines()[:3]
    assert "index-url" not in text and "find-links" not in text and "://" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_has_its_version_and_hashes(lock: str) -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text())
    for entry in entries:
        if not entry.startswith("#"):
            assert re.match(r"[a-z0-9][a-z0-9._-]*(\[[a-z,]+\])?==\S+", entry), entry
            assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("lock", LOCKS)
def test_what_was_asked_for_is_locked(lock: str) -> None:
    asked = (ROOT / lock).with_suffix(".in").read_text()
    names = re.findall(r"^([A-Za-z][A-Za-z0-9._-]*)", asked, re.MULTILINE)
    text = (ROOT / lock).read_text()
    missing = [name for name in names if not re.search(rf"^{re.escape(name.lower())}(\[|==)", text, re.MULTILINE)]
    assert names and not missing


@pytest.mark.parametrize("script", [".ci/run", ".ci/check"])
def test_the_gate_is_a_program(script: str) -> None:
    file = ROOT / script
    assert file.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", file], check=False).returncode == 0


def test_make_lists_its_commands() -> None:
    ended = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert {"make up", "make test", "make check", "make fix"} <= {
        " ".join(row.split()[:2]) for row in ended.stdout.splitlines()
    }


def test_what_the_demo_needs_is_installed_with_the_console() -> None:
    wanted = re.findall(r"^([\w-]+)", (ROOT / "pipelines/demo/requirements.txt").read_text(), re.MULTILINE)
    locked = re.findall(r"^([\w-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert set(wanted) <= set(locked)
