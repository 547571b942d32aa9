"""The list of pipelines, and the page of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import OuterRef, Subquery
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, path, reverse
from django.views.decorators.http import require_GET

from console.drawing.folds import Folds
from console.drawing.graph import Drawing, draw, element_id
from console.forms.schema_forms import Branch, plant
from console.views.access import ConsoleRequest, needs
from console.views.shell import page
from jobs import clock
from jobs.insight.durations import Lately, grid, lately
from jobs.models import Pipeline, Project, Snapshot, Subscription
from jobs.schedules.due import Fire, by_pipeline
from jobs.structure.parameters import settled
from jobs.structure.paths import merge
from kedro_console.wire import SnapshotNode, SnapshotPipeline


@dataclass(frozen=True)
class Entry:
    """A pipeline in the list."""

    pipeline: Pipeline
    lately: Lately
    fire: Fire | None
    is_refused: bool = False
    """The project cannot be read, so it cannot start now."""


@dataclass(frozen=True)
class Group:
    """A project with its pipelines and what stands in their way."""

    project: Project
    entries: list[Entry] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Code:
    """The source of one node, line by line as it stands in its file."""

    node: SnapshotNode
    id: str
    lines: list[tuple[int, str]]

    @property
    def place(self) -> str:
        """Where it stands; its function where no file is known."""
        return f"{self.node.file}:{self.node.line_start}" if self.node.file else self.node.function


@require_GET
@needs("jobs.view_pipeline")
def pipelines(request: ConsoleRequest) -> HttpResponse:
    groups = _groups(clock.now())
    return page(request, "pipelines/index.html", {"groups": groups, "admin": _admin_links()}, title="Pipelines")


def _groups(at: datetime) -> list[Group]:
    """All projects, each with its registered pipelines; the same few queries for any number of them."""
    projects = list(Project.objects.all())
    rows = list(Pipeline.objects.filter(is_registered=True).select_related("project"))
    figures, fires, problems = lately(rows, at=at), by_pipeline(at), _problems(projects)
    groups = {project.pk: Group(project, problems=problems.get(project.pk, [])) for project in projects}
    for pipeline in rows:
        fire = next((fire for fire in fires.get(pipeline.pk, []) if fire.next_at), None)
        is_refused = bool(pipeline.project.refusal(pipeline.name))
        groups[pipeline.project_id].entries.append(Entry(pipeline, figures[pipeline.pk], fire, is_refused))
    return list(groups.values())


def _problems(projects: list[Project]) -> dict[int, list[dict[str, str]]]:
    """The problems in each project's newest snapshot, read without the rest of it, which may be megabytes."""
    newest = Snapshot.objects.filter(project=OuterRef("pk"), kedro_env="").order_by("-id").values("id")[:1]
    ids = Project.objects.filter(pk__in=[project.pk for project in projects]).annotate(newest=Subquery(newest))
    found = Snapshot.objects.filter(pk__in=[pk for pk in ids.values_list("newest", flat=True) if pk])
    seen = {project: problems or [] for project, problems in found.values_list("project_id", "content__problems")}
    return {**seen, **{project.pk: project.trouble for project in projects if project.trouble}}


@require_GET
@needs("jobs.view_pipeline")
def pipeline(request: ConsoleRequest, pk: int) -> HttpResponse:
    """The page; for htmx its graph alone, with these boxes open, with or without the parameters."""
    row = get_object_or_404(Pipeline.objects.select_related("project"), pk=pk)
    snapshot = row.project.snapshot
    structure = snapshot.pipeline(row.name) if snapshot else None
    drawing = _drawing(structure, request.GET)
    if request.htmx:
        return render(request, "pipelines/_graph.html", {"drawing": drawing})
    at = clock.now()
    figures = lately([row], at=at)[row.pk]
    context = {
        "pipeline": row,
        "snapshot": snapshot,
        "problems": row.project.trouble or (snapshot.picture.problems if snapshot else []),
        "refusal": row.project.refusal(row.name),
        "structure": structure,
        "drawing": drawing,
        "lately": figures,
        "grid": grid([node.name for node in structure.nodes], figures.bars) if structure else [],
        "fires": by_pipeline(at, pipeline=row.pk).get(row.pk, []),
        "rules_in": row.rules_in.prefetch_related("sources").order_by("name"),
        "rules_out": row.rules_out.select_related("target").order_by("name"),
        "parameters": _parameters(row, snapshot, structure),
        "code": _code(structure),
        "admin": _admin_links(row),
        "my_subscription": Subscription.objects.filter(owner=request.user, pipeline=row, is_enabled=True).first(),
    }
    return page(request, "pipelines/show.html", context, title=row.name)


def _drawing(structure: SnapshotPipeline | None, query: QueryDict) -> Drawing | None:
    if structure is None:
        return None
    return draw(
        structure,
        with_parameters=query.get("parameters") == "1",
        link=lambda node: f"#code-{element_id(node.name)}",
        folds=Folds.asked(query),
    )


def _parameters(row: Pipeline, snapshot: Snapshot | None, structure: SnapshotPipeline | None) -> Branch | None:
    """What the pipeline reads, with the values that count when a run changes nothing."""
    if snapshot is None or structure is None or not structure.parameters:
        return None
    values = merge(snapshot.picture.parameters, settled(row.default_parameters, snapshot.picture.parameters))
    return plant(structure.parameters, values=values, schemas=snapshot.picture.schemas)


def _code(structure: SnapshotPipeline | None) -> list[Code]:
    nodes = structure.nodes if structure else []
    return [
        Code(node, element_id(node.name), list(enumerate(node.source.splitlines(), start=node.line_start or 1)))
        for node in nodes
    ]


def _admin_links(row: Pipeline | None = None) -> dict[str, str]:
    """Addresses in the admin, for those who may change things there."""
    wanted = {
        "projects": ("admin:jobs_project_changelist", []),
        "settings": ("admin:jobs_pipeline_change", [row.pk] if row else []),
        "schedule": ("admin:django_celery_beat_periodictask_add", []),
    }
    return {name: _address(*address) for name, address in wanted.items()}


def _address(name: str, arguments: list[int]) -> str:
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:  # that model has no page in the admin
        return ""


urlpatterns = [
    path("pipelines/", pipelines, name="pipelines"),
    path("pipelines/<int:pk>/", pipeline, name="pipeline"),
]
