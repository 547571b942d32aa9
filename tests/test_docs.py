"""The docs name everything that a person can set, call, meet or be told."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from kedro_console import __version__
from kedro_console.wire import MESSAGES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
LINKING = [*PAGES, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]
READERS = {"text", "flag", "number", "words", "choice", "url", "address", "zone", "user"}


def settings() -> list[str]:
    """Every name that console/env.py reads."""
    tree = ast.parse((ROOT / "console" / "env.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return sorted(
        {
            call.args[0].value
            for call in calls
            if call.func.attr in READERS  # type: ignore[attr-defined]
            and ast.unparse(call.func.value) == "reader"  # type: ignore[attr-defined]
            and isinstance(call.args[0], ast.Constant)
        }
    )


def commands() -> list[str]:
    files = [*ROOT.glob("console/management/commands/*.py"), *ROOT.glob("jobs/management/commands/*.py")]
    return sorted(file.stem for file in files if not file.stem.startswith("_"))


def check_ids() -> list[str]:
    sources = [file.read_text() for side in ("console", "jobs") for file in (ROOT / side).rglob("*.py")]
    return sorted({found for source in sources for found in re.findall(r'id="((?:console|jobs)\.[A-Z]\d{3})"', source)})


def make_targets() -> list[str]:
    return re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def in_docs(word: str) -> bool:
    return any(re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", page.read_text()) for page in PAGES)


@pytest.mark.parametrize("name", settings())
def test_a_setting_is_in_the_docs(name: str) -> None:
    assert in_docs(name), f"docs/configuration.md does not name {name}"


@pytest.mark.parametrize("name", commands())
def test_a_command_is_in_the_docs(name: str) -> None:
    assert in_docs(f"manage.py {name}"), f"docs/commands.md does not name manage.py {name}"


@pytest.mark.parametrize("name", [name for name in make_targets() if name != "help"])
def test_a_target_of_make_is_in_the_docs(name: str) -> None:
    assert in_docs(f"make {name}"), f"docs/commands.md does not name make {name}"


@pytest.mark.parametrize("kind", sorted(MESSAGES))
def test_a_kind_of_event_is_in_the_docs(kind: str) -> None:
    assert in_docs(kind), f"no page of docs/ names the event {kind}"


@pytest.mark.parametrize("check", check_ids())
def test_a_system_check_is_in_the_docs(check: str) -> None:
    assert in_docs(check), f"docs/operations.md does not name {check}"


def test_what_is_not_in_the_docs_is_noticed() -> None:
    assert settings() and commands() and check_ids()
    assert not in_docs("CONSOLE_VARIETY") and not in_docs("jobs.E999")


@pytest.mark.parametrize("file", LINKING, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(file: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", file.read_text())
    missing = [link for link in links if not (file.parent / link).exists()]
    assert not missing


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@pytest.mark.parametrize("file", LINKING, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_to_a_heading_find_it(file: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]*#[^)\s]+)\)", file.read_text()):
        name, _, wanted = link.partition("#")
        page = file.parent / name if name else file
        if page.suffix == ".md":
            assert wanted in map(anchor, re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)), link


STOP = re.compile(r"`([\w/]+\.py) ([\w.]+)`")


def walks() -> dict[str, list[tuple[str, str]]]:
    """Each way of the stranger's walk, and its stops: a file, and a function in it."""
    section = (ROOT / "docs/architecture.md").read_text().partition("## A stranger's walk")[2].partition("\n## ")[0]
    rows = [row for row in section.splitlines() if STOP.search(row)]
    return {row.split("|")[1].strip(): STOP.findall(row) for row in rows}


def functions(file: Path) -> set[str]:
    """Those of the file, a method with its class's name before it."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("way", walks())
def test_a_stranger_finds_every_stop_of_the_walk(way: str) -> None:
    stops = walks()[way]
    assert 3 <= len(stops) <= 8
    for file, name in stops:
        assert name in functions(ROOT / file), f"{file} has no {name}"


def test_the_walk_has_the_ways_that_matter() -> None:
    assert len(walks()) == 6


def test_the_newest_release_in_the_changelog_is_the_version() -> None:
    releases = re.findall(r"^## (\d+\.\d+\.\d+) – \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert releases[0] == __version__
    assert sorted(releases, key=lambda each: [int(part) for part in each.split(".")], reverse=True) == releases


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(file.name[:4]) for file in sorted((ROOT / "docs/decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
