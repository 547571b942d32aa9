"""The list of pipelines, and the page of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import OuterRef, Subquery
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, path, reverse
from django.views.decorators.http import require_GET

from console.drawing.graph import element_id
from console.drawing.tree import Pace
from console.forms.schema_forms import Branch, plant
from console.pages import planned
from console.pages.node_drawer import Setting, planned_drawer
from console.pages.planned import Planned
from console.pages.run_page import Strip
from console.pages.workspace import Where, rows_of, scene
from console.views.access import ConsoleRequest, needs
from console.views.shell import page
from jobs import clock
from jobs.insight.durations import Bar, Lately, grid, lately, usual_of_nodes
from jobs.models import Pipeline, Project, Snapshot, Subscription
from jobs.schedules.due import Fire, by_pipeline
from jobs.structure.parameters import settled
from jobs.structure.paths import merge
from kedro_console.wire import SnapshotNode, SnapshotPipeline

LABELS: Final = {"graph": "Graph", "runs": "Runs", "parameters": "Parameters", "code": "Code"}


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
    """The page, or for htmx the workspace in it."""
    row = get_object_or_404(Pipeline.objects.select_related("project"), pk=pk)
    snapshot = row.project.snapshot
    plan = planned.planned(snapshot.pk, row.name) if snapshot else None
    structure = plan.structure if plan else None
    at = clock.now()
    figures = lately([row], at=at)[row.pk]
    parameters = _parameters(row, snapshot, structure)
    first = "graph" if plan else "runs"
    asked = request.GET.get("tab", "")
    where = Where.asked(reverse("pipeline", args=[row.pk]), asked if asked in LABELS else first, first, request.GET)
    context = {
        **_panes(where, row, plan, figures.bars, parameters),
        "at": at,
        "pipeline": row,
        "snapshot": snapshot,
        "problems": row.project.trouble or (snapshot.picture.problems if snapshot else []),
        "refusal": row.project.refusal(row.name),
        "structure": structure,
        "lately": figures,
        "fires": by_pipeline(at, pipeline=row.pk).get(row.pk, []),
        "rules_in": row.rules_in.prefetch_related("sources").order_by("name"),
        "rules_out": row.rules_out.select_related("target").order_by("name"),
        "parameters": parameters,
        "code": _code(structure) if where.pane == "code" else [],
        "admin": _admin_links(row),
        "my_subscription": Subscription.objects.filter(owner=request.user, pipeline=row, is_enabled=True).first(),
    }
    if request.htmx:
        return render(request, "pipelines/_workspace.html", context)
    return page(request, "pipelines/show.html", context, title=row.name)


def _panes(
    where: Where, row: Pipeline, plan: Planned | None, bars: list[Bar], parameters: Branch | None
) -> dict[str, Any]:
    """The tree, the graph or the grid of its last runs, the chosen node, and the way to the other panes."""
    links = [(bar, f"{reverse('run', args=[bar.number])}{_with_node(where.node)}") for bar in bars]
    found: dict[str, Any] = {
        "where": where,
        "tab": where.pane,
        "tab_links": [(name, label, where.at(pane=name).address) for name, label in LABELS.items()],
        "strip": Strip(bars, grid([where.node], bars) if where.node else [], links) if bars else None,
    }
    if plan is None:
        return found
    usual = usual_of_nodes(row.pk)
    paces = {name: Pace(usual=usual.get(name)) for name in plan.nodes}
    shown = scene(where, plan, {}, paces, is_drawn=where.pane == "graph")
    values = [Setting(leaf.name, leaf.shown, True) for leaf in parameters or []]
    return {
        **found,
        **vars(shown),
        "chosen": planned_drawer(where.node, plan, usual, values) if where.node else None,
        "grid": rows_of(shown.tree, grid(plan.nodes, bars)) if where.pane == "runs" else [],
    }


def _with_node(name: str) -> str:
    return f"?{urlencode({'node': name})}" if name else ""


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
