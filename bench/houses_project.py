"""A Kedro project of nine nodes: two models of house prices, trained beside each other, and a report of both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bench.lay_out import lay_out

NODES = '''
import time

import numpy as np
import pandas as pd


def load(rows, seed):
    """Houses whose price is known to depend on size, age and distance."""
    random = np.random.default_rng(seed)
    size, age, far = random.uniform(30, 200, rows), random.uniform(0, 90, rows), random.uniform(0, 30, rows)
    price = 900 * size - 400 * age - 1500 * far + random.normal(0, 4000, rows)
    price[::97] = np.nan
    return pd.DataFrame({"size": size, "age": age, "far": far, "price": price})


def clean(houses):
    return houses.dropna().reset_index(drop=True)


def split(clean_houses, seed):
    chosen = np.random.default_rng(seed).random(len(clean_houses)) < 0.8
    return clean_houses[chosen].reset_index(drop=True), clean_houses[~chosen].reset_index(drop=True)


def plain_features(train, test):
    return [table[["size", "age", "far"]].to_numpy() for table in (train, test)]


def crossed_features(train, test):
    tables = (train, test)
    return [np.column_stack([t["size"], t["age"], t["far"], t["size"] * t["far"], t["age"] ** 2]) for t in tables]


def train_least_squares(features, train):
    return np.linalg.lstsq(with_one(features[0]), train["price"].to_numpy(), rcond=None)[0]


def train_ridge(features, train, penalty):
    matrix = with_one(features[0])
    square = matrix.T @ matrix + penalty * np.eye(matrix.shape[1])
    return np.linalg.solve(square, matrix.T @ train["price"].to_numpy())


def with_one(matrix):
    return np.column_stack([np.ones(len(matrix)), matrix])


def r2(model, features, test):
    truth = test["price"].to_numpy()
    return float(1 - ((truth - with_one(features[1]) @ model) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def evaluate(model_a, features_a, model_b, features_b, test):
    return {"least_squares": r2(model_a, features_a, test), "ridge": r2(model_b, features_b, test)}


def report(scores, model_a, model_b):
    return {"scores": scores, "models": {"least_squares": model_a.tolist(), "ridge": model_b.tolist()}}
'''

REGISTRY = """
from kedro.pipeline import node, pipeline

from houses import nodes as f


def register_pipelines():
    return {"__default__": pipeline([
        node(f.load, ["params:rows", "params:seed"], "houses", name="load"),
        node(f.clean, "houses", "clean_houses", name="clean"),
        node(f.split, ["clean_houses", "params:seed"], ["train", "test"], name="split"),
        node(f.plain_features, ["train", "test"], "features_a", name="features_a"),
        node(f.crossed_features, ["train", "test"], "features_b", name="features_b"),
        node(f.train_least_squares, ["features_a", "train"], "model_a", name="train_a"),
        node(f.train_ridge, ["features_b", "train", "params:penalty"], "model_b", name="train_b"),
        node(f.evaluate, ["model_a", "features_a", "model_b", "features_b", "test"], "scores", name="evaluate"),
        node(f.report, ["scores", "model_a", "model_b"], "report", name="report"),
    ])}
"""

CATALOG = """
report:
  type: json.JSONDataset
  filepath: data/report.json
"""


def write(folder: Path) -> Path:
    """The project in this folder; its path."""
    configuration = {"parameters": "rows: 20000\nseed: 7\npenalty: 3.5\n", "catalog": CATALOG}
    modules = {"nodes": NODES, "pipeline_registry": REGISTRY}
    return lay_out(folder, "houses", modules=modules, configuration=configuration)


def kedro_run(project: Path) -> dict[str, object]:
    """The report of an ordinary `kedro run`, which is taken away again."""
    environment = {**os.environ, "KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    command = [sys.executable, "-m", "kedro", "run"]
    subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True, timeout=150)
    return take_report(project)


def take_report(project: Path) -> dict[str, object]:
    """What the last run has written, taken away."""
    path = project / "data" / "report.json"
    found: dict[str, object] = json.loads(path.read_text())
    path.unlink()
    return found
