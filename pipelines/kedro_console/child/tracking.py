"""One tracking run of MLflow for a run whose steps have processes of their own, where a project uses kedro-mlflow."""

from __future__ import annotations

import fcntl
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

VARIABLE = "MLFLOW_RUN_ID"


class OneTrackingRun:
    """Tells kedro-mlflow which tracking run to go on with: the one that the first step of this run has opened.

    `place` is a file that all steps see. The variable of MLflow itself counts when the project has set it.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._own = ""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self) -> None:
        if os.environ.get(VARIABLE, self._own) != self._own:
            return
        with _alone(self._place) as file:
            known = file.read().strip()
            if not known:
                known = _opened()
                file.write(known)
        self._own = os.environ[VARIABLE] = known


@contextmanager
def _alone(place: Path) -> Iterator[Any]:
    """The file, which no other step reads or writes meanwhile."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        yield file


def _opened() -> str:
    """A new tracking run in the experiment that kedro-mlflow has chosen by now."""
    client = importlib.import_module("mlflow").MlflowClient()
    experiment = importlib.import_module("mlflow.tracking.fluent")._get_experiment_id()
    return str(client.create_run(experiment_id=experiment).info.run_id)
