"""Artifacts: the files that runs left behind."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from unfold.decorators import display

from console.admin.lists import AMONG, Facts, among_newest, link, run_link
from console.whole_number import whole_number
from jobs.models import Artifact

KINDS = {
    "pptx": "Slides",
    "xlsx": "Excel",
    "csv": "CSV",
    "parquet": "Parquet",
    "zip": "Zip",
    "pdf": "PDF",
    "png": "Picture",
    "html": "HTML",
    "json": "JSON",
}


class KindFilter(admin.SimpleListFilter):
    """By the ending of the file's name: a fixed list, so that the table is not asked which types it holds."""

    title = f"type, {AMONG}"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(KINDS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Artifact]) -> QuerySet[Artifact]:
        if self.value() not in KINDS:
            return queryset
        return among_newest(queryset).filter(name__endswith=f".{self.value()}")


@admin.register(Artifact)
class ArtifactAdmin(Facts):
    list_display = ("name", "of_run", "pipeline", "dataset", "node", "size", "shape", "created_at", "download")
    list_display_links = ("name",)
    list_filter = (KindFilter, "created_at")
    list_select_related = ("run__pipeline__project",)
    list_defer = (
        "run__parameters",
        "run__resolved_parameters",
        "run__results",
        "run__versions",
        "run__error",
        "run__pipeline__default_parameters",
        "run__pipeline__project__environment",
    )
    search_fields = ("name", "dataset")
    search_help_text = f"A name or a dataset, {AMONG}, or #number of a run"
    ordering = ("-id",)
    sortable_by = ("name",)
    fields = (
        *("name", "download", "of_run", "dataset", "node", "media_type", "size", "shape"),
        *("sha256", "uuid", "created_at"),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Artifact], search_term: str
    ) -> tuple[QuerySet[Artifact], bool]:
        number = whole_number(search_term)
        if number is not None:
            return queryset.filter(run_id=number), False
        found: tuple[QuerySet[Artifact], bool] = super().get_search_results(request, queryset, search_term)
        return found

    def get_list_display(self, request: HttpRequest) -> list[str]:
        shown = list(super().get_list_display(request))
        return shown if may_download(request) else [name for name in shown if name != "download"]

    def get_fields(self, request: HttpRequest, obj: Artifact | None = None) -> list[Any]:
        return [name for name in self.fields if name != "download" or may_download(request)]

    @display(description="Run")
    def of_run(self, artifact: Artifact) -> str:
        return run_link(artifact.run_id)

    @display(description="Pipeline")
    def pipeline(self, artifact: Artifact) -> str:
        return str(artifact.run.pipeline)

    @display(description="Size")
    def size(self, artifact: Artifact) -> str:
        return filesizeformat(artifact.size_bytes)

    @display(description="Rows × columns")
    def shape(self, artifact: Artifact) -> str:
        return f"{artifact.rows:,} × {artifact.columns}" if artifact.rows is not None else ""

    @display(description="Download")
    def download(self, artifact: Artifact) -> str:
        return link("Download", reverse("artifact_download", args=[artifact.uuid]))


def may_download(request: HttpRequest) -> bool:
    return request.user.has_perm("jobs.download_artifact")
