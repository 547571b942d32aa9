"""What resuming a job comes to, and whether a pipeline keeps what that needs."""

from __future__ import annotations

import pytest
from django.test import Client

from jobs.models import Act, Pipeline, Run
from tests.api.conftest import Caller, get
from tests.views.scenes import failed_in_a_node, running

pytestmark = pytest.mark.django_db


def test_the_preview_of_resuming_starts_nothing(operator: Client, viewer: Client) -> None:
    run = failed_in_a_node()
    told = get(operator, f"/jobs/{run.uuid}/resume").json()
    assert (
        told["reused"] + told["rerun"] == run.node_runs.count() == len(told["rerun_nodes"]) + len(told["reused_nodes"])
    )
    assert told["copies"] == "automatic" and told["namespaces"] and Run.objects.count() == 1
    assert get(viewer, f"/jobs/{run.uuid}/resume").status_code == 403
    assert get(operator, f"/jobs/{running().uuid}/resume").status_code == 409


def test_copies_are_set_by_whoever_may_change_the_pipeline(caller: Caller, operator: Client) -> None:
    pipeline = failed_in_a_node().pipeline
    path = f"/api/v1/pipelines/{pipeline.project.name}/{pipeline.name}/copies"
    asked = {"data": {"copies": "never"}, "content_type": "application/json"}
    assert operator.put(path, **asked).status_code == 403
    admin = caller("admin")
    assert admin.put(path, **asked).json() == {"copies": "never"}
    assert Pipeline.objects.get(pk=pipeline.pk).copies_mb == 0
    assert Act.objects.filter(verb="changed").exists()
    assert admin.put(path, {"copies": "often"}, content_type="application/json").status_code == 422
