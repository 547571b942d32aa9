"""Find the pipeline that somebody names; what stands against it is said as it is, and no other one is taken."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from jobs import clock
from jobs.errors import AmbiguousPipeline, BadParameters, ProjectError, UnknownPipeline, UnknownProject, nearest_of
from jobs.models import Pipeline, Project
from jobs.models.project import EVERY_PIPELINE
from jobs.runs.reread import reread_changed


def find_pipeline(name: str, project: str = "") -> Pipeline:
    """The pipeline of that name; `project/pipeline` also names the project.

    AmbiguousPipeline when several projects have it, UnknownProject and UnknownPipeline with the nearest names,
    ProjectError when the project could not be read, BadParameters when two projects are named.
    """
    named = find_project(project) if project else None
    rows = Pipeline.objects.select_related("project").filter(is_registered=True).order_by("project__name")
    found = _called(rows, name, named)
    if not found:
        _look_again(name, named)
        found = _called(rows, name, named)
    if len(found) > 1:
        raise AmbiguousPipeline(name, [each.project.name for each in found])
    return found[0] if found else _unknown(rows, name, named)


def find_project(name: str) -> Project:
    """The project of that name; UnknownProject with the nearest names."""
    found = Project.objects.filter(name=name).first()
    if found is None:
        names = sorted(Project.objects.values_list("name", flat=True))
        raise UnknownProject(name, nearest_of(name, names), names)
    return found


def pipelines_called(name: str) -> QuerySet[Pipeline]:
    """Those of this name, or of this `project/pipeline`; history counts, registered or not."""
    return Pipeline.objects.filter(_named(name)).order_by("project__name")


def _named(name: str) -> Q:
    """Kedro lets a pipeline's name have slashes, a project's name has none."""
    project, slash, rest = name.partition("/")
    return Q(name=name) | Q(project__name=project, name=rest) if slash else Q(name=name)


def _called(rows: QuerySet[Pipeline], name: str, project: Project | None) -> list[Pipeline]:
    if project is None:
        return list(rows.filter(_named(name)))
    own = rows.filter(project=project)
    prefix, slash, rest = name.partition("/")
    if (found := list(own.filter(name=name))) or not slash:
        return found
    if prefix != project.name:
        sentence = f"“{name}” names the project {prefix}, but the project given is {project.name}: choose one."
        raise BadParameters({"project": sentence})
    return list(own.filter(name=rest))


def _of(name: str, project: Project | None) -> tuple[Project | None, str]:
    """The project that is meant, if one is named, and the pipeline's name in it; UnknownProject."""
    prefix, slash, rest = name.partition("/")
    if not slash:
        return project, name
    return (project or find_project(prefix)), rest


def _look_again(name: str, project: Project | None) -> None:
    """Read what has changed before a pipeline is called unknown; ProjectError when nothing of its project was read."""
    named, _ = _of(name, project)
    projects = [named] if named else list(Project.objects.order_by("pk"))
    reread_changed(projects, at=clock.now())
    if len(projects) == 1 and (why := projects[0].refusal(EVERY_PIPELINE)):
        raise ProjectError(why)


def _unknown(rows: QuerySet[Pipeline], name: str, project: Project | None) -> Pipeline:
    named, pipeline = _of(name, project)
    if named:
        rows = rows.filter(project=named)
    names = sorted(set(rows.values_list("name", flat=True)))
    nearest = nearest_of(pipeline, names)
    troubled = [each for each in ([named] if named else Project.objects.order_by("name")) if each.trouble]
    if named and troubled and not nearest:
        raise ProjectError(f"Of {named.name}, no pipeline “{pipeline}” could be read. {named.errors[0]}")
    unread = [each.name for each in troubled if each.errors]
    raise UnknownPipeline(pipeline, nearest, project=named.name if named else "", unread=unread)
