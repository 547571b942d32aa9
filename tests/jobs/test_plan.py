"""Which nodes share a step."""

from dataclasses import replace

from jobs.plan import PlannedStep, plan
from jobs.states import Runner
from kedro_console.wire import SnapshotNode


def node(name: str, inputs: str = "", outputs: str = "") -> SnapshotNode:
    return SnapshotNode(name, f"m.{name}", "", [], inputs.split(), outputs.split())


DIAMOND = [
    node("load", "params:x", "raw"),
    node("clean", "raw", "tidy"),
    node("left", "tidy", "l1"),
    node("left2", "l1", "l2"),
    node("right", "tidy", "r1"),
    node("join", "l2 r1", "out"),
    node("save", "out", "done"),
]


def test_one_process_has_one_step_with_all_nodes() -> None:
    for runner in (Runner.SEQUENTIAL, Runner.THREADS):
        assert plan(DIAMOND, runner) == [PlannedStep(0, [n.name for n in DIAMOND])]


def test_a_distributed_run_fuses_chains_and_keeps_the_order() -> None:
    assert plan(DIAMOND, Runner.DISTRIBUTED) == [
        PlannedStep(0, ["load", "clean"]),
        PlannedStep(1, ["left", "left2"], [0]),
        PlannedStep(2, ["right"], [0]),
        PlannedStep(3, ["join", "save"], [1, 2]),
    ]


def test_nodes_without_edges_are_steps_of_their_own() -> None:
    nodes = [node(f"n{number}", "", f"o{number}") for number in range(5)]
    assert [step.needs for step in plan(nodes, Runner.DISTRIBUTED)] == [[]] * 5


def test_a_transcoded_dataset_is_one_dataset() -> None:
    nodes = [node("a", "", "cars@pandas"), node("b", "cars@spark", "x"), node("c", "cars@pandas", "y")]
    assert [step.needs for step in plan(nodes, Runner.DISTRIBUTED)] == [[], [0], [0]]


def test_two_parents_that_a_choice_of_nodes_left_out_are_not_waited_for() -> None:
    chosen = [replace(DIAMOND[5]), DIAMOND[6]]
    assert plan(chosen, Runner.DISTRIBUTED) == [PlannedStep(0, ["join", "save"])]
