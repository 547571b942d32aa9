from kedro.pipeline import node, pipeline

from . import nodes as n


def register_pipelines():
    one = lambda f: pipeline([node(f, None, "value", name="node")])
    return {"green_lie": one(n.green_lie), "red_child": one(n.red_child), "__default__": one(n.red_child)}
