from kedro.pipeline import node, pipeline

from . import nodes as n


def register_pipelines():
    p = pipeline([node(n.show, None, "value", name="show")])
    return {"__default__": p}
