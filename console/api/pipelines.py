"""What can be run: projects, their pipelines, nodes and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import Asked
from console.api.door import MISPUT, MISSING, REFUSED, Door
from console.api.shapes import Moment, ParametersField
from jobs.models import Pipeline, Project, Snapshot
from jobs.runs.fallbacks import plan_of
from jobs.runs.find import find_pipeline
from jobs.runs.keep_copies import WAYS, copies_of, keep_copies
from jobs.states import Grouping, Runner
from jobs.structure.paths import named, text_of
from jobs.structure.plan import Plan
from jobs.structure.values import kinds, without_defaults
from kedro_console.wire import SnapshotPipeline

K = TypeVar("K")
V = TypeVar("V")


class PipelineShape(serializers.Serializer[Any]):
    """A pipeline: `parameters` are the project's values of what its nodes read, `schemas` their types where typed."""

    project = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    nodes = serializers.ListField(child=serializers.CharField(), help_text="In topological order.")
    inputs = serializers.ListField(child=serializers.CharField())
    outputs = serializers.ListField(child=serializers.CharField())
    parameters = ParametersField(help_text="Secrets are `***`, and what JSON cannot hold is text.")
    kinds = serializers.DictField(
        child=serializers.CharField(), help_text="Parameter → the kind of its value, where JSON cannot hold it."
    )
    schemas = serializers.DictField(help_text="Parameter → JSON schema.")
    default_parameters = ParametersField(help_text="Runtime parameters that every job of it starts from.")
    runner = serializers.ChoiceField(Runner.choices)
    grouping = serializers.ChoiceField(Grouping.choices, help_text="Which nodes of a distributed job share a step.")
    reuses_content = serializers.BooleanField(help_text="Only what changed runs again.")
    steps = serializers.IntegerField(help_text="Into how many steps a job of all its nodes is divided.")
    plan_reason = serializers.CharField(help_text="Why these are fewer than `grouping` asks for; empty: they are not.")


class GraphNodeShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    function = serializers.CharField()
    namespace = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    inputs = serializers.ListField(child=serializers.CharField())
    outputs = serializers.ListField(child=serializers.CharField())


class WholePipelineShape(PipelineShape):
    """…with its graph."""

    graph = GraphNodeShape(many=True)


class ProblemShape(serializers.Serializer[Any]):
    severity = serializers.ChoiceField(["error", "warning"])
    subject = serializers.CharField()
    sentence = serializers.CharField()


class ProjectShape(serializers.Serializer[Any]):
    """A Kedro project as it was last read; its environment variables are nobody's to see."""

    name = serializers.CharField()
    path = serializers.CharField()
    interpreter = serializers.CharField()
    kedro_env = serializers.CharField()
    kedro_version = serializers.CharField()
    python_version = serializers.CharField()
    revision = serializers.CharField()
    checked_at = Moment(allow_null=True)
    pipelines = serializers.ListField(child=serializers.CharField())
    problems = ProblemShape(many=True)


class Pipelines(Door):
    needs = {"GET": "jobs.view_pipeline"}

    @extend_schema(operation_id="pipelines_list", responses={200: PipelineShape(many=True), **REFUSED})
    def get(self, request: Request) -> Response:
        """All pipelines that can be started, of all projects."""
        return Response(PipelineShape(list(_all()), many=True).data)


class PipelineOfProject(Door):
    needs = {"GET": "jobs.view_pipeline"}

    @extend_schema(operation_id="pipelines_show", responses={200: WholePipelineShape, **REFUSED, **MISSING})
    def get(self, request: Request, project: str, name: str) -> Response:
        """One pipeline with its graph."""
        pipeline = find_pipeline(name, project)
        snapshot = pipeline.project.snapshot
        facts = _facts(pipeline, snapshot)
        structure = snapshot.pipeline(pipeline.name) if snapshot else None
        return Response(WholePipelineShape({**facts, "graph": structure.nodes if structure else []}).data)


class CopiesAsked(Asked):
    copies = serializers.ChoiceField(WAYS, help_text="`automatic`: while that costs little.")


class Copies(Door):
    needs = {"PUT": "jobs.change_pipeline"}

    @extend_schema(
        operation_id="pipelines_copies",
        request=CopiesAsked,
        responses={200: CopiesAsked, **REFUSED, **MISSING, **MISPUT},
    )
    def put(self, request: Request, project: str, name: str) -> Response:
        """Whether its next runs keep what passes between nodes, so that a failed one can be resumed."""
        given = CopiesAsked(data=request.data)
        given.is_valid(raise_exception=True)
        pipeline = find_pipeline(name, project)
        keep_copies(pipeline, given.validated_data["copies"])
        return Response({"copies": copies_of(pipeline)})


class Projects(Door):
    needs = {"GET": "jobs.view_project"}

    @extend_schema(operation_id="projects_list", responses={200: ProjectShape(many=True), **REFUSED})
    def get(self, request: Request) -> Response:
        """The Kedro projects that the console knows, with what stands in their way."""
        return Response(ProjectShape([_project(project) for project in Project.objects.all()], many=True).data)


def _all() -> Iterator[dict[str, Any]]:
    for project in Project.objects.prefetch_related("pipelines"):
        snapshot = project.snapshot
        for pipeline in project.pipelines.all():
            if pipeline.is_registered:
                pipeline.project = project
                yield _facts(pipeline, snapshot)


def _facts(pipeline: Pipeline, snapshot: Snapshot | None) -> dict[str, Any]:
    picture, structure = (snapshot.picture, snapshot.pipeline(pipeline.name)) if snapshot else (None, None)
    plan = plan_of(pipeline, snapshot, structure.nodes, pipeline.runner) if snapshot and structure else Plan([])
    parameters = _read_by(structure, picture.parameters) if picture and structure else {}
    return {
        "project": pipeline.project.name,
        "name": pipeline.name,
        "description": pipeline.description,
        "nodes": [node.name for node in structure.nodes] if structure else [],
        "inputs": structure.inputs if structure else [],
        "outputs": structure.outputs if structure else [],
        "parameters": parameters,
        "kinds": {named(path, parameters): kind for path, kind in kinds(parameters).items()},
        "schemas": without_defaults(_read_by(structure, picture.schemas)) if picture and structure else {},
        "default_parameters": pipeline.default_parameters,
        "runner": pipeline.runner,
        "grouping": pipeline.grouping,
        "reuses_content": pipeline.reuses_content,
        "steps": len(plan.steps),
        "plan_reason": plan.reason,
    }


def _read_by(structure: SnapshotPipeline, values: Mapping[K, V]) -> dict[K, V]:
    """Those of these parameters (or of their types) that the pipeline's nodes read."""
    read = structure.parameters
    return {key: value for key, value in values.items() if "*" in read or any(_is_part(key, name) for name in read)}


def _is_part(key: object, name: str) -> bool:
    """Whether one of these names is the other, or leads on from it."""
    text = text_of(key)
    return f"{name}.".startswith(f"{text}.") or f"{text}.".startswith(f"{name}.")


def _project(project: Project) -> dict[str, Any]:
    snapshot = project.snapshot
    return {
        "name": project.name,
        "path": project.path,
        "interpreter": project.interpreter,
        "kedro_env": project.kedro_env,
        "kedro_version": snapshot.kedro_version if snapshot else "",
        "python_version": snapshot.python_version if snapshot else "",
        "revision": snapshot.revision if snapshot else "",
        "checked_at": project.checked_at,
        "pipelines": [pipeline.name for pipeline in project.pipelines.filter(is_registered=True)],
        "problems": project.problems,
    }
