"""Which nodes share a step."""

import random
import time
from dataclasses import replace

from jobs.states import Grouping, Runner
from jobs.structure.plan import Bond, PlannedStep
from jobs.structure.plan import plan as planned
from kedro_console.wire import SnapshotNode


def node(name: str, inputs: str = "", outputs: str = "", namespace: str = "", tags: str = "") -> SnapshotNode:
    return SnapshotNode(name, f"m.{name}", namespace, tags.split(), inputs.split(), outputs.split())


def plan(nodes: list[SnapshotNode], runner: Runner) -> list[PlannedStep]:
    return planned(nodes, runner).steps


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


def grouped(nodes: list[SnapshotNode], grouping: Grouping) -> list[tuple[str, list[int]]]:
    return [(" ".join(step.nodes), step.needs) for step in planned(nodes, Runner.DISTRIBUTED, grouping).steps]


def test_a_namespace_is_a_step_and_what_has_none_is_as_by_node() -> None:
    nodes = [
        node("load", "", "raw"),
        node("a.one", "raw", "a.x", namespace="a"),
        node("b.one", "raw", "b.x", namespace="b"),
        node("a.two", "a.x", "a.y", namespace="a.inner"),
        node("a.three", "a.x", "a.z", namespace="a"),
        node("join", "a.y a.z b.x", "out"),
        node("save", "out", "done"),
    ]
    assert grouped(nodes, Grouping.NAMESPACE) == [
        ("load", []), ("a.one a.two a.three", [0]), ("b.one", [0]), ("join save", [1, 2])
    ]  # fmt: skip


def test_a_tag_names_the_step() -> None:
    nodes = [
        node("a", "", "a", tags="step-first io"),
        node("b", "", "b", tags="step-first"),
        node("c", "a", "c"),
        node("d", "b c", "d", tags="step-last"),
        node("e", "c", "e", tags="step:last"),
    ]
    assert grouped(nodes, Grouping.TAG) == [("a b", []), ("c", [0]), ("d e", [0, 1])]
    assert len(grouped(nodes, Grouping.NODE)) == 4


def test_a_group_that_would_wait_for_itself_goes_on_in_a_new_step() -> None:
    nodes = [
        node("a1", "", "a1", namespace="a"),
        node("other", "a1", "o"),
        node("a2", "o", "a2", namespace="a"),
        node("a3", "a1", "a3", namespace="a"),
    ]
    assert grouped(nodes, Grouping.NAMESPACE) == [("a1 a3", []), ("other", [0]), ("a2", [1])]


def test_two_groups_never_wait_for_each_other() -> None:
    nodes = [
        node("a1", "", "x", namespace="a"),
        node("b1", "", "y", namespace="b"),
        node("b2", "x", "p", namespace="b"),
        node("a2", "y", "q", namespace="a"),
    ]
    assert grouped(nodes, Grouping.NAMESPACE) == [("a1", []), ("b1 b2", [0]), ("a2", [1])]


def test_nodes_of_one_group_with_different_queues_do_not_share_a_step() -> None:
    nodes = [node("a", "", "x", namespace="n"), node("b", "", "y", namespace="n", tags="queue-gpu")]
    steps = planned(nodes, Runner.DISTRIBUTED, Grouping.NAMESPACE).steps
    assert [(step.nodes, step.queue) for step in steps] == [(["a"], ""), (["b"], "gpu")]


def test_what_is_bound_shares_a_step_with_all_that_lies_between() -> None:
    bond = Bond(frozenset({"clean", "join"}), "They use one file.")
    found = planned(DIAMOND, Runner.DISTRIBUTED, bonds=[bond])
    assert [step.nodes for step in found.steps] == [[n.name for n in DIAMOND]]
    assert found.reason == "1 step instead of 4. They use one file."
    part = planned(DIAMOND, Runner.DISTRIBUTED, bonds=[Bond(frozenset({"left", "right"}), "They use one file.")])
    assert [(step.nodes, step.needs) for step in part.steps] == [
        (["load", "clean"], []), (["left", "left2", "right"], [0]), (["join", "save"], [1])
    ]  # fmt: skip


def test_a_bond_that_asks_for_nothing_new_has_no_reason() -> None:
    found = planned(DIAMOND, Runner.DISTRIBUTED, bonds=[Bond(frozenset({"load", "clean"}), "They use one file.")])
    assert (len(found.steps), found.reason) == (4, "")


def test_any_plan_runs_each_node_once_after_all_that_it_reads() -> None:
    chance = random.Random(7)
    for _ in range(150):
        nodes: list[SnapshotNode] = []
        for number in range(chance.randrange(2, 25)):
            read = " ".join(f"d{chance.randrange(number)}" for _ in range(min(number, chance.randrange(4))))
            names = {"namespace": chance.choice(["", "a", "b", "c"]), "tags": chance.choice(["", "queue-q"])}
            nodes.append(node(f"n{number}", read, f"d{number}", **names))
        bound = frozenset(chance.sample([n.name for n in nodes], 2))
        found = planned(nodes, Runner.DISTRIBUTED, Grouping.NAMESPACE, [Bond(bound, "b")] * chance.randrange(2))
        place = {name: step.position for step in found.steps for name in step.nodes}
        assert sorted(place) == sorted(n.name for n in nodes)
        for step in found.steps:
            assert all(need < step.position for need in step.needs)
            read_from = {place[f"n{name[1:]}"] for n in nodes if n.name in step.nodes for name in n.inputs}
            assert read_from - {step.position} == set(step.needs)


def test_a_thousand_nodes_are_planned_in_a_moment() -> None:
    nodes = [node(f"n{i}", f"d{i // 2}" if i else "", f"d{i + 1}", namespace=f"s{i % 7}") for i in range(1000)]
    began = time.process_time()
    assert planned(nodes, Runner.DISTRIBUTED, Grouping.NAMESPACE, [Bond(frozenset({"n3", "n900"}), "b")]).steps
    assert time.process_time() - began < 5
