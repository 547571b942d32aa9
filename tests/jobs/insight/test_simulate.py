"""What is due is played out: starts, waits, skips, cancels, followers; each said why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.insight.simulate import Due, Follows, Foreseen, Line, Play, Pool
from jobs.states import Overlap
from tests.factories import AT

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def line(pipeline: int = 1, minutes: float = 10, **facts: Any) -> Line:
    return Line(pipeline, f"p{pipeline}", minutes * MINUTE, **facts)


def due(minutes: float, pipeline: int = 1, **facts: Any) -> Due:
    return Due(AT + minutes * MINUTE, pipeline, ("schedule", pipeline), **facts)


def play(
    lines: list[Line], dues: list[Due], slots: int | None = 4, follows: list[Follows] | None = None
) -> list[Foreseen]:
    pools = [] if slots is None else [Pool(slots, frozenset({"default"}))]
    return Play({each.pipeline: each for each in lines}, follows or [], pools, AT + DAY).run(dues)


def told(runs: list[Foreseen]) -> list[tuple[float | None, float | None, list[str]]]:
    """Start and end in minutes, and the kinds of flags."""
    return [
        (
            (run.starts_at - AT) / MINUTE if run.starts_at else None,
            (run.ends_at - AT) / MINUTE if run.ends_at else None,
            [flag.kind for flag in run.flags],
        )
        for run in runs
    ]


def test_what_has_room_starts_when_it_is_due() -> None:
    assert told(play([line()], [due(0), due(30)])) == [(0, 10, []), (30, 40, [])]


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (Overlap.BOTH, [(0, 10, []), (5, 15, ["overlap"])]),
        (Overlap.WAIT, [(0, 10, []), (10, 20, ["overlap"])]),
        (Overlap.SKIP, [(0, 10, []), (None, None, ["overlap"])]),
        (Overlap.CANCEL, [(0, 5, ["overlap"]), (5, 15, ["overlap"])]),
    ],
)
def test_two_runs_of_one_pipeline_do_as_its_policy_says(overlap: str, expected: Any) -> None:
    assert told(play([line(overlap=overlap)], [due(0), due(5)])) == expected
    assert told(play([line()], [due(0), due(5, overlap=overlap)])) == expected


def test_with_too_few_slots_they_wait_and_who_goes_first_goes_first() -> None:
    runs = play([line(1), line(2), line(3, priority=1)], [due(0, 1), due(1, 2), due(2, 3)], slots=1)
    assert told(runs) == [(0, 10, []), (20, 30, ["busy"]), (10, 20, ["busy"])]
    assert runs[1].flags[0].sentence == "It waits 19 min for a free slot of the queue default."


def test_without_a_worker_nothing_waits_for_a_slot_and_of_an_unheard_queue_nothing_starts() -> None:
    assert told(play([line()], [due(0), due(1)], slots=None))[1][0] == 1
    (run,) = play([line(queue="gpu")], [due(0)])
    assert run.is_skipped and run.flags[0].sentence == "No worker listens to the queue gpu."


def test_two_pipelines_that_write_one_file_wait_for_each_other() -> None:
    lines = [line(1, writes={"a.csv": "sales"}), line(2, writes={"a.csv": "sales", "b.csv": "b"}), line(3)]
    runs = play(lines, [due(0, 1), due(4, 2), due(5, 3)])
    assert told(runs) == [(0, 10, []), (10, 20, ["collision"]), (5, 15, [])]
    assert runs[1].flags[0].sentence == "It waits for p1, which writes sales too." and runs[1].flags[0].other == 1


def test_a_rule_starts_what_follows_and_a_join_waits_for_all() -> None:
    rules = [
        Follows(1, frozenset({1}), 3, is_sure=False),
        Follows(2, frozenset({1, 2}), 4, wants_all=True, by_tick=True),
    ]
    lines = [line(1), line(2, 20), line(3), line(4)]
    runs = play(lines, [due(0, 1, tick=AT), due(0, 2, tick=AT)], follows=rules)
    found = {run.due.pipeline: (run.starts_at, run.due.is_sure) for run in runs}
    assert found[3] == (AT + 10 * MINUTE, False) and found[4] == (AT + 20 * MINUTE, True)


def test_a_circle_of_rules_ends() -> None:
    rules = [Follows(1, frozenset({1}), 2), Follows(2, frozenset({2}), 1)]
    assert len(play([line(1, 1), line(2, 1)], [due(0)], follows=rules)) == 21


def test_where_more_is_due_than_can_run_it_breaks_off() -> None:
    dues = [due(number) for number in range(1400)]
    runner = Play({1: line(1, 60)}, [], [Pool(1, frozenset({"default"}))], AT + DAY)
    assert len(runner.run(dues)) < 700 and runner.is_flooded
