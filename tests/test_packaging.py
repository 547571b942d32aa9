"""What is shipped around the code: the image, the compose file, the lock, the gate."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from kedro_console import __version__
from tests.shipped.manifests import manifests

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


def test_the_dockerfile_of_kedro_viz_follows_practice() -> None:
    ended = run("hadolint", "deploy/kubernetes/kedro-viz.Dockerfile")
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("file", manifests(), ids=lambda file: file.name)
def test_a_manifest_is_one_of_kubernetes(file: Path) -> None:
    checked = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")
    for document in yaml.safe_load_all(file.read_text()):
        checked.validate(document, checked.latest_version(), strict=True)


def test_a_manifest_with_a_mistake_is_noticed() -> None:
    checked = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")
    document = next(iter(yaml.safe_load_all((ROOT / "deploy/kubernetes/beat.yaml").read_text())))
    document["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(checked.ValidationError):
        checked.validate(document, checked.latest_version(), strict=True)


def test_kustomize_takes_every_manifest() -> None:
    said = yaml.safe_load((ROOT / "deploy/kubernetes/kustomization.yaml").read_text())
    assert sorted(said["resources"]) == [file.name for file in manifests()]


def named_images() -> list[tuple[str, str]]:
    """Every image that a file to deploy names, with the file."""
    files = [ROOT / "Dockerfile", ROOT / "compose.yaml", *sorted((ROOT / "deploy").rglob("*.*"))]
    pattern = re.compile(
        r"(?:^FROM |image: |CONSOLE_IMAGE=|docker build -t )([\w./-]+(?::[\w.-]+)?)(?!\})", re.MULTILINE
    )
    return [(str(file.relative_to(ROOT)), image) for file in files for image in pattern.findall(file.read_text())]


@pytest.mark.parametrize(("file", "image"), sorted(set(named_images())))
def test_an_image_has_a_tag_and_ours_has_our_version(file: str, image: str) -> None:
    name, _, tag = image.partition(":")
    assert tag and tag != "latest", f"{file} names {image}"
    if name.startswith("kedro-console"):
        assert tag == __version__, f"{file} names {image}"


def test_kustomize_gives_our_images_our_version() -> None:
    said = yaml.safe_load((ROOT / "deploy/kubernetes/kustomization.yaml").read_text())
    assert {each["name"]: each["newTag"] for each in said["images"]} == {
        "kedro-console": __version__,
        "kedro-console-viz": __version__,
    }


def test_every_role_of_compose_is_watched() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for role in ("worker", "beat"):
        assert services[role]["healthcheck"]["test"] == ["CMD", "python", "manage.py", "alive", role]
    assert "healthcheck" not in services["web"]  # the image's own


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


def step_of_the_image(word: str) -> str:
    """The command of a RUN line that has this word."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    commands = [part for line in text.splitlines() if line.startswith("RUN ") for part in line[4:].split(" && ")]
    return next(command.strip() for command in commands if word in command)


def test_the_image_compiles_what_is_installed_templates_of_projects_or_not(tmp_path: Path) -> None:
    import kedro

    venv = tmp_path / "venv"
    shutil.copytree(Path(kedro.__file__).parent, venv / "kedro", ignore=shutil.ignore_patterns("__pycache__"))
    command = step_of_the_image("compileall").replace("/opt/venv/bin/python", shlex.quote(sys.executable))
    ended = subprocess.run(
        command.replace("/opt/venv", str(venv)), shell=True, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout
    assert list(venv.glob("kedro/__pycache__/*.pyc")) and list(venv.glob("kedro/framework/**/*.pyc"))


def test_a_syntax_error_still_stops_the_image(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def")
    command = step_of_the_image("compileall").replace("/opt/venv/bin/python", shlex.quote(sys.executable))
    ended = subprocess.run(command.replace("/opt/venv", str(tmp_path)), shell=True, capture_output=True, check=False)
    assert ended.returncode != 0


def containers_of_kedro_viz() -> list[tuple[Path, dict[str, str]]]:
    """Its working folder and environment, as the manifest and the image say them; paths of the image are ours here."""
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes/kedro-viz.yaml").read_text())
    deployment = next(document for document in documents if document["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    said = {entry["name"]: entry["value"] for entry in container["env"]}
    text = (ROOT / "deploy/kubernetes/kedro-viz.Dockerfile").read_text()
    built = dict(re.findall(r"^ENV (\w+)=(\S+)$", text, re.MULTILINE))
    (folder,) = re.findall(r"^WORKDIR (\S+)$", text, re.MULTILINE)
    here = [(container["workingDir"], said), (folder, built)]
    return [
        (
            Path(place.replace("/app", str(ROOT))),
            {name: value.replace("/app", str(ROOT)) for name, value in environment.items()},
        )
        for place, environment in here
    ]


@pytest.mark.parametrize("which", [0, 1], ids=["manifest", "image"])
def test_kedro_viz_finds_all_pipelines_of_the_demo_where_it_is_started(which: int) -> None:
    folder, environment = containers_of_kedro_viz()[which]
    code = (
        "from pathlib import Path; from kedro.framework.startup import bootstrap_project as start;"
        "from kedro.framework.project import pipelines; start(Path.cwd());"
        "import kedro_console, demo.hooks; print(*sorted(pipelines))"
    )
    bare = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "KEDRO_DISABLE_TELEMETRY": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, env={**bare, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert {"keyword_metrics", "upload_texts", "daily_rows"} <= set(ended.stdout.split()), ended.stdout


@pytest.mark.parametrize("which", [0, 1], ids=["manifest", "image"])
def test_the_command_of_kedro_viz_is_understood(which: int) -> None:
    pytest.importorskip("kedro_viz", reason="needs Kedro-Viz")
    folder, environment = containers_of_kedro_viz()[which]
    ended = subprocess.run(
        [TOOLS / "kedro", "viz", "run", "--help"],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0 and all(option in ended.stdout for option in ("--host", "--port", "--no-browser"))
