"""What a console remembers, as JSON: run in a process of its own, with the settings of that console."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

import django

django.setup()

from django.apps import apps  # noqa: E402

from jobs.errors import ConsoleError  # noqa: E402
from jobs.interpreters.artifacts import open_file  # noqa: E402
from jobs.models import Act, Artifact, Project, Run, Step, Transition, Upload  # noqa: E402
from jobs.runs.preview_reuse import preview  # noqa: E402
from jobs.schema import missing  # noqa: E402


def whole(artifact: Artifact) -> bool:
    with open_file(artifact) as file:
        return hashlib.sha256(file.read()).hexdigest() == artifact.sha256


def resumable(run: Run) -> bool:
    try:
        return bool(preview(run).rerun)
    except ConsoleError:
        return False


def look() -> dict[str, Any]:
    runs = list(Run.objects.select_related("pipeline__project").order_by("pk"))
    return {
        "runs": {run.pk: [run.status, run.error, run.parameters] for run in runs},
        "resumable": [run.pk for run in runs if run.status == "crashed" and resumable(run)],
        "steps": Counter(Step.objects.values_list("status", flat=True)),
        "leases": Step.objects.filter(status="running").count(),
        "nodes": Counter(run.node_runs.filter(status="running").count() for run in runs if run.is_final),
        "files": {str(each.uuid): whole(each) for each in Artifact.objects.all()},
        "uploads": Upload.objects.count(),
        "environment": {project.name: project.environment for project in Project.objects.all()},
        "tables": {model._meta.label_lower: model._base_manager.count() for model in apps.get_models(True)},
        "restored_by": sorted(set(Transition.objects.filter(by__startswith="restore").values_list("by", flat=True))),
        "acts": [[act.actor, act.verb, act.door] for act in Act.objects.filter(kind="console").order_by("pk")],
        "missing": missing(),
    }


if __name__ == "__main__":
    print(json.dumps(look()))
