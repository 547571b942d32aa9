from __future__ import annotations

from functools import cached_property, lru_cache

from django.db import models

from jobs.models.project import Project
from jobs.stored import PictureField
from kedro_console.wire import ProjectSnapshot, SnapshotPipeline, parse_snapshot


class Snapshot(models.Model):
    """A read-only picture of a project's pipelines, nodes, datasets and parameters at one code revision."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="snapshots")
    kedro_env = models.CharField(
        max_length=80, blank=True, help_text="A Kedro environment that a run asked for; empty: the project's own."
    )
    revision = models.CharField(max_length=80)
    kedro_version = models.CharField(max_length=40, blank=True)
    python_version = models.CharField(max_length=40, blank=True)
    content = PictureField()
    taken_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["project", "kedro_env", "-id"], name="snapshot_newest")]

    def __str__(self) -> str:
        return f"{self.project} at {self.revision}"

    @cached_property
    def picture(self) -> ProjectSnapshot:
        """Of a row that was read without its content the kept one."""
        kept = picture_of(self.pk) if "content" in self.get_deferred_fields() else None
        return kept or parse_snapshot(self.content)

    def pipeline(self, name: str) -> SnapshotPipeline | None:
        return next((pipeline for pipeline in self.picture.pipelines if pipeline.name == name), None)

    @property
    def errors(self) -> list[str]:
        """What stands in the way of any run, a sentence each."""
        return [problem.sentence for problem in self.picture.problems if problem.severity == "error"]


def newest_of(project: str) -> models.Subquery:
    """The key of the newest picture of this column's project, in the project's own Kedro environment."""
    rows = Snapshot.objects.filter(project=models.OuterRef(project), kedro_env="").order_by("-id")
    return models.Subquery(rows.values("pk")[:1])


@lru_cache(maxsize=8)
def picture_of(snapshot_id: int) -> ProjectSnapshot | None:
    """What a snapshot holds, which never changes: kept while pages ask for it. None when there is no such snapshot."""
    content = Snapshot.objects.filter(pk=snapshot_id).values_list("content", flat=True).first()
    return None if content is None else parse_snapshot(content)
