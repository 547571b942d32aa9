from kedro.pipeline import node, pipeline

from . import nodes as n


def register_pipelines():
    return {"__default__": pipeline([node(n.show, "params:limit", "value", name="show")])}
