"""The steps of a run go on with one tracking run of MLflow; what the project itself has set counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kedro_console.child.tracking import VARIABLE, OneTrackingRun


def test_the_steps_are_told_of_the_run_that_the_first_one_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "run" / "tracking"
    place.parent.mkdir()
    place.write_text("the first one's")
    monkeypatch.delenv(VARIABLE, raising=False)
    hook = OneTrackingRun(place)
    for _ in range(2):  # the child goes on with the next step: MLflow has taken the variable by then
        hook.before_pipeline_run()
        assert os.environ.pop(VARIABLE) == "the first one's"
    hook.before_pipeline_run()
    hook.before_pipeline_run()
    assert os.environ[VARIABLE] == place.read_text() == "the first one's"


def test_a_tracking_run_that_the_project_names_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "its own")
    OneTrackingRun(tmp_path / "tracking").before_pipeline_run()
    assert os.environ[VARIABLE] == "its own"
    assert not (tmp_path / "tracking").exists()


def test_the_first_step_opens_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.delenv(VARIABLE, raising=False)
    OneTrackingRun(tmp_path / "tracking").before_pipeline_run()
    assert mlflow.MlflowClient().get_run(os.environ[VARIABLE]).info.status == "RUNNING"
