import numpy as np
from kedro.pipeline import Pipeline, node

RNG = np.random.default_rng()
AUDIT = open("data/audit.txt", "a")


def write(size):
    AUDIT.write("audit\n")
    return "line %d" % size


def draw_a(x):
    return {"a": float(RNG.random())}


def draw_b(x):
    return {"b": float(RNG.random())}


def secret(s, where):
    return {"token": s["token"][:1], "where": where}


def register_pipelines():
    p = Pipeline(
        [
            node(write, "params:size", "table", name="write"),
            node(draw_a, "params:size", "draw_a_out", name="draw_a"),
            node(draw_b, "params:size", "draw_b_out", name="draw_b"),
            node(secret, ["vaulted", "params:where"], "secret_out", name="secret"),
        ]
    )
    return {"__default__": p}
