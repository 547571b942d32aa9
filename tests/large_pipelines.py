"""Pipelines as large as people have them: many nodes, namespaces three deep, hundreds of parameters."""

from __future__ import annotations

from typing import Any

from jobs.models import Pipeline, Snapshot
from tests.factories import AT, content, make_project, node


def a_pipeline(nodes: list[dict[str, Any]], **facts: Any) -> Pipeline:
    """The only one of its project."""
    project = make_project()
    inputs = {name.removeprefix("params:") for each in nodes for name in each["inputs"] if name.startswith("params:")}
    only = {"name": "large", "nodes": nodes, "inputs": [], "outputs": [], "parameters": sorted(inputs)}
    Snapshot.objects.create(project=project, revision="r", taken_at=AT, content=content(pipelines=[only], **facts))
    return Pipeline.objects.create(project=project, name="large")


def sixty_nodes() -> Pipeline:
    """60 nodes in namespaces three deep, and 400 parameters, some nested, some with dots in their names."""
    parameters: dict[str, Any] = {"2014.preprocessing.scouts:": {"top": 5}, "plain": 1}
    nodes = []
    for region in ("emea", "apac"):
        for place in ("dach", "uk", "anz"):
            inside = f"{region}.{place}"
            for step in range(10):
                space = f"{inside}.{('load', 'model')[step // 5]}"
                name = f"{space}.step_{step}"
                options = {f"option_{n}": n for n in range(5)} | {"deep": {"a.b": step, "c": {"d": 1}}}
                parameters.setdefault(inside, {})[f"step_{step}"] = options
                before = f"{inside}.table_{step - 1}" if step else "raw"
                read = [before, f"params:{inside}.step_{step}"]
                nodes.append(
                    node(name, read, [f"{inside}.table_{step}"], namespace=space, tags=[region], source=SOURCE)
                )
    return a_pipeline(nodes, parameters=parameters)


SOURCE = '''def step(table, options):
    """Keep the rows that count."""
    return table.head(options["top"])
'''


def five_hundred() -> Pipeline:
    """Without namespaces or tags."""
    rest = [node(f"node_{i:03}", [f"n{i // 3}"], [f"n{i}"]) for i in range(1, 500)]
    return a_pipeline([node("start", [], ["n0"]), *rest])


def five_hundred_in_namespaces() -> Pipeline:
    """Ten regions of five places of ten nodes."""
    nodes = []
    for region in range(10):
        for place in range(5):
            space = f"region_{region}.place_{place}"
            for i in range(10):
                before = f"{space}.t{i - 1}" if i else (f"region_{region}.place_{place - 1}.t9" if place else "raw")
                nodes.append(node(f"{space}.node_{i}", [before], [f"{space}.t{i}"], namespace=space))
    return a_pipeline(nodes)


def two_hundred() -> Pipeline:
    """Ten namespaces of twenty nodes each, eight of which may run at once."""
    nodes = []
    for lane in range(10):
        for i in range(20):
            before = f"lane_{lane}.t{i - 1}" if i else "raw"
            nodes.append(node(f"lane_{lane}.node_{i}", [before], [f"lane_{lane}.t{i}"], namespace=f"lane_{lane}"))
    return a_pipeline(nodes)
