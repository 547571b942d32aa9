"""Run every case three ways and print the table: plain `kedro run`, the console in one process and distributed.

python -m tests.cases                    the product's own cases
python -m tests.cases FOLDER             each Kedro project in FOLDER, with NAME.toml beside it where it needs one
python -m tests.cases --only NAME …      some of them
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.cases import compare, plain, steps
from tests.cases.console import Console, ConsoleError
from tests.cases.described import Case, CaseError, Command, cases_in
from tests.cases.plain import Ended

OWN = Path(__file__).with_name("projects")
WORDS = {"sequential": "in one process", "threads": "in threads", "distributed": "distributed"}
SHOWN = 12


@dataclass
class Row:
    """One line of the table. What is not equal has a sentence in `problems`."""

    name: str
    plain: str = "–"
    answers: dict[str, str] = field(default_factory=dict)  # runner → what came of it
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


def judge(case: Case, console: Console, folder: Path) -> Row:
    """All commands in three copies of the project; equal when exits, files and lines are."""
    row = Row(case.name)
    home = plain.copy(case, folder / "plain" / case.name)
    copies = {runner: plain.copy(case, folder / runner / case.name) for runner in case.runners}
    for runner, copy in copies.items():
        added = console.add(case, copy, f"{case.name}-{runner}")
        if added.exit_code not in (0, 1):
            row.problems.append(f"{WORDS[runner]}: project add ended {added.exit_code}: {' '.join(added.lines[-3:])}")
    wanted: list[int] = []
    got: dict[str, list[int]] = {runner: [] for runner in copies}
    for command in case.run:
        for each in (home, *copies.values()):
            plain.prepare(each, command)
        for _ in range(command.times):
            expected = plain.run(case, home, command)
            wanted.append(expected.exit_code)
            if command.exit not in (None, expected.exit_code):
                row.problems.append(f"kedro run ended {expected.exit_code}, not {command.exit}: {expected.lines[-3:]}")
            for runner, copy in copies.items():
                ended, problems = _once(case, console, copy, command, runner, expected)
                got[runner].append(ended.exit_code)
                row.problems += [f"{WORDS[runner]}: {problem}" for problem in problems]
    row.plain = _exits(wanted)
    for runner, copy in copies.items():
        found = compare.different(case, home, copy)
        row.problems += [f"{WORDS[runner]}: {problem}" for problem in found]
        row.answers[runner] = _exits(got[runner]) + (f", {len(found)} files differ" if found else "")
    return row


def _once(
    case: Case, console: Console, copy: Path, command: Command, runner: str, expected: Ended
) -> tuple[Ended, list[str]]:
    before = compare.fresh(case, copy)
    ended = console.run(f"{case.name}-{runner}", copy, command, runner)
    problems = list(compare.stale(case, before, copy)) + compare.unsaid(case, expected, ended)
    if (ended.exit_code == 0) != (expected.exit_code == 0):
        said = ended.error or "; ".join(" ".join(line.split()) for line in expected.lines[-3:])
        problems.insert(0, f"ended {ended.exit_code}, kedro run {expected.exit_code}: {said}")
    return ended, problems


def _exits(codes: list[int]) -> str:
    return f"exit {codes[0]}" if len(set(codes)) == 1 else "exits " + " ".join(map(str, codes))


def trials(folder: Path | None) -> dict[str, Callable[[Console, Path], Row]]:
    """Name → what tries it. Of our own cases, some are questions to the console that no `kedro run` can answer."""
    found: dict[str, Callable[[Console, Path], Row]] = {
        case.name: lambda console, place, case=case: judge(case, console, place)  # type: ignore[misc]
        for case in cases_in(folder or OWN)
    }
    return found if folder else {**found, **{name: _asked(name, step) for name, step in steps.STEPS.items()}}


def _asked(name: str, step: steps.Step) -> Callable[[Console, Path], Row]:
    def ask(console: Console, place: Path) -> Row:
        place.mkdir(parents=True, exist_ok=True)
        problems = list(step(console, place))
        said = "as expected" if not problems else "not as expected"
        return Row(name, answers=dict.fromkeys(("sequential", "distributed"), said), problems=problems)

    return ask


def tried(name: str, trial: Callable[[Console, Path], Row], console: Console, folder: Path) -> Row:
    """The row of one case; what stops it is its problem, not the end of the others."""
    started = time.monotonic()
    try:
        row = trial(console, folder / name)
    except (ConsoleError, OSError, subprocess.SubprocessError, AssertionError, KeyError) as error:
        row = Row(name, problems=[f"{type(error).__name__}: {error}"])
    row.seconds = time.monotonic() - started
    return row


def write(row: Row, width: int) -> None:
    one, many = (row.answers.get(name, "–") for name in ("sequential", "distributed"))
    verdict = "NOT equal" if row.problems else "equal"
    print(
        f"{row.name:<{width}}  {row.plain:<14}  {one:<26}  {many:<26}  {verdict:<9}  {row.seconds:5.1f} s", flush=True
    )
    for problem in row.problems[:SHOWN]:
        print(f"{'':<{width}}    {problem}", flush=True)
    if len(row.problems) > SHOWN:
        print(f"{'':<{width}}    … and {len(row.problems) - SHOWN} more", flush=True)


def _line(width: int, name: str, judge: str, one: str, many: str, verdict: str, seconds: str) -> str:
    return f"{name:<{width}}  {judge:<14}  {one:<26}  {many:<26}  {verdict:<9}  {seconds}".rstrip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cases", description=__doc__, add_help=True,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("folder", nargs="?", type=Path, help="of Kedro projects; without one, the product's own cases")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these cases")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave all copies and the console's files there")
    given = parser.parse_args()
    try:
        chosen = trials(given.folder.absolute() if given.folder else None)
    except CaseError as error:
        print(error)
        return 2
    if unknown := set(given.only or ()) - set(chosen):
        print(f"There is no case {', '.join(sorted(unknown))}; there are {', '.join(sorted(chosen))}.")
        return 2
    chosen = {name: trial for name, trial in chosen.items() if not given.only or name in given.only}
    folder = given.keep.absolute() if given.keep else Path(tempfile.mkdtemp(prefix="kedro-cases-"))
    (folder / "console").mkdir(parents=True, exist_ok=True)
    console = Console(folder / "console")
    try:
        console.start()
        return _all(chosen, console, folder)
    except ConsoleError as error:
        print(error)
        return 2
    finally:
        console.stop()
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _all(chosen: dict[str, Callable[[Console, Path], Row]], console: Console, folder: Path) -> int:
    width = max(len(name) for name in chosen)
    print(
        f"{'case':<{width}}  {'plain Kedro':<14}  {'console in one process':<26}  {'console distributed':<26}  equal?"
    )
    rows = []
    for name, trial in sorted(chosen.items()):
        rows.append(tried(name, trial, console, folder))
        write(rows[-1], width)
    unlike = sum(bool(row.problems) for row in rows)
    print(f"{len(rows)} cases, {unlike} of them not equal." if unlike else f"{len(rows)} cases, all equal.")
    return 1 if unlike else 0


if __name__ == "__main__":
    sys.exit(main())
