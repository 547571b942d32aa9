"""Whether two copies of a project hold the same after the same runs: files by their bytes, tables by their values."""

from __future__ import annotations

import fnmatch
import functools
import itertools
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.cases.described import Case
from tests.cases.plain import Ended

VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3,6}Z")
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
STAMP = re.compile(r"^(?:\[\d\d/\d\d/\d\d \d\d:\d\d:\d\d\]|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})")
RICH = re.compile(r"(?:^|\s)\s*(DEBUG|INFO|WARNING|ERROR|CRITICAL)\s+(.*?)\s+(\w+\.py:\d+)\s*$")
LEVELLED = re.compile(r"^(.*?)\b(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b[\s\]|:-]*(.*)$")
UNSAID = ("register_new_resolver", "register_resolver", "/issues/426", "/site-packages/")
"""What Kedro and libraries say of themselves, to nobody who runs a project."""
KEDROS_FILES = """
import json, pathlib
from importlib.util import find_spec
found = set()
for name in ("kedro", "kedro_datasets", "kedro_telemetry"):
    spec = find_spec(name)
    if spec: found |= {path.name for path in pathlib.Path(spec.origin).parent.rglob("*.py")}
print(json.dumps(sorted(found | {"warnings.py"})))
"""
BY_VALUE = """
import json, sys
import pandas
def read(path):
    end = path.rpartition(".")[2].lower()
    if end in ("parquet", "pq"): return {"": pandas.read_parquet(path)}
    if end in ("xlsx", "xls"): return pandas.read_excel(path, sheet_name=None)
    if end in ("csv", "tsv"): return {"": pandas.read_csv(path, sep=None, engine="python")}
    if end in ("feather",): return {"": pandas.read_feather(path)}
    if end in ("h5", "hdf", "hdf5"):
        with pandas.HDFStore(path, "r") as store: return {name: store[name] for name in store.keys()}
    if end in ("pkl", "pickle"):
        found = pandas.read_pickle(path)
        return {"": found if isinstance(found, (pandas.DataFrame, pandas.Series)) else pandas.Series([repr(found)])}
    raise ValueError(end)
answers = []
for one, other in json.load(sys.stdin):
    try:
        a, b = read(one), read(other)
        answers.append(list(a) == list(b) and all(a[name].equals(b[name]) for name in a))
    except Exception as error:
        answers.append(False)
print(json.dumps(answers))
"""


def files(case: Case, project: Path) -> dict[str, Path]:
    """Path in the project → file; the version of a versioned dataset is the time of its run, and left out."""
    found: dict[str, Path] = {}
    for path in sorted(project.rglob("*")):
        name = path.relative_to(project).as_posix()
        if (path.is_file() or path.is_symlink()) and not _matches(name, case.left_alone):
            key, number = VERSION.sub("<version>", name), 2
            while key in found:
                key, number = VERSION.sub(f"<version {number}>", name), number + 1
            found[key] = path
    return found


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatch(name, each) or fnmatch.fnmatch(f"/{name}", each) for each in patterns)


def different(case: Case, plain: Path, ours: Path) -> list[str]:
    """A sentence for each file that is not the same in both."""
    one, other = files(case, plain), files(case, ours)
    problems = [f"{name} is missing" for name in one if name not in other]
    problems += [f"{name} is there beside what `kedro run` leaves" for name in other if name not in one]
    unlike = [
        name
        for name in one
        if name in other and not _matches(name, case.fresh) and _held(one[name]) != _held(other[name])
    ]
    answers = _by_value(case, [(str(one[name]), str(other[name])) for name in unlike])
    problems += [
        _sizes(name, one[name], other[name]) for name, is_same in zip(unlike, answers, strict=True) if not is_same
    ]
    return problems


def _sizes(name: str, one: Path, other: Path) -> str:
    return f"{name} differs ({len(_held(one)):,} bytes by `kedro run`, {len(_held(other)):,} here)"


def _held(path: Path) -> bytes:
    """What the file holds; of a link to a folder or to nothing, where it leads."""
    return path.read_bytes() if path.is_file() else bytes(path.readlink())


def _by_value(case: Case, pairs: list[tuple[str, str]]) -> list[bool]:
    """Tables whose bytes differ are read by the project's own pandas; without one they differ."""
    if not pairs:
        return []
    done = subprocess.run(
        [case.python, "-c", BY_VALUE], input=json.dumps(pairs), capture_output=True, text=True, check=False
    )
    return list(json.loads(done.stdout)) if done.returncode == 0 else [False] * len(pairs)


def stale(case: Case, before: dict[str, bytes], project: Path) -> Iterator[str]:
    """A sentence for each file that should hold something new after a run, and does not."""
    for name, content in fresh(case, project).items():
        if before.get(name) == content:
            yield f"{name} holds what it held before the run"


def fresh(case: Case, project: Path) -> dict[str, bytes]:
    return {name: _held(path) for name, path in files(case, project).items() if _matches(name, case.fresh)}


def unsaid(case: Case, plain: Ended, ours: Ended) -> list[str]:
    """The project's own lines that the console's log has not: (level and) text, as often as `kedro run` wrote them."""
    kedros = _files_of_kedro(case.python)
    before = itertools.takewhile(lambda line: "Traceback (most recent call last)" not in line, plain.lines)
    lines = (line for raw in before for line in _own_lines(raw, kedros))
    wanted = Counter(line for line in lines if not any(part in line.text for part in (*UNSAID, *case.unsaid)))
    said = Counter(_folded(line.partition(" ")[2]) for line in ours.lines)
    levelled = Counter(_folded(line) for line in ours.lines)
    return [
        f"not in the log: {line.text[:200]}"
        for line, count in wanted.items()
        if max(said[_folded(line.text)], levelled[_folded(f"{line.level} {line.message}")]) < count
    ]


def _folded(text: str) -> str:
    """Without how it is spaced, and where in memory an object lay."""
    return ADDRESS.sub("0x…", " ".join(text.split()))


@functools.cache
def _files_of_kedro(python: str) -> frozenset[str]:
    """The names of Kedro's own source files: rich writes one behind each line that is logged."""
    done = subprocess.run([python, "-c", KEDROS_FILES], capture_output=True, text=True, check=True)
    return frozenset(json.loads(done.stdout))


class Said(NamedTuple):
    """A line of the terminal, and what it says when a logger wrote it."""

    text: str
    level: str = ""
    message: str = ""


def _own_lines(line: str, kedros: frozenset[str]) -> Iterator[Said]:
    """Printed and logged lines; none for Kedro's own and for what is drawn around a traceback."""
    text = STAMP.sub("", ANSI.sub("", line).rstrip())
    if found := RICH.search(text):
        level, message, place = found.groups()
        if printed := text[: found.start()].strip():  # it had no end of line
            yield Said(printed)
        if place.partition(":")[0] not in kedros:
            yield Said(f"{level} {message}", level, message)
    elif found := LEVELLED.match(text):
        before, level, message = found.groups()
        if "kedro." not in before:
            yield Said(text, level, message)
    elif text.strip() and not text.startswith((" ", "╭", "│", "╰", "❱")):
        yield Said(text)
