"""Find and download the files that jobs left behind."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import LatestAsked
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked
from console.api.shapes import ArtifactShape, RefusalShape
from console.files.downloads import answer, content_of, disposition, note_download, safe_type
from jobs.errors import AmbiguousPipeline
from jobs.interpreters.artifacts import link
from jobs.models import Artifact, Pipeline
from jobs.runs.find import find_pipeline, pipelines_called
from jobs.states import Status

SEVERAL = {409: OpenApiResponse(RefusalShape, "Several projects have such a pipeline: write “project/pipeline”.")}
FILE = {(200, "*/*"): OpenApiTypes.BINARY, (206, "*/*"): OpenApiTypes.BINARY}
NO_FILE = {
    304: OpenApiResponse(None, "It is the file that `If-None-Match` names."),
    416: OpenApiResponse(None, "The file ends before this range."),
}
ELSEWHERE = OpenApiResponse(None, "Where CONSOLE_S3_REDIRECT is set: the store itself has it at this address.")


class Latest(Door):
    needs = {"GET": "jobs.view_artifact"}

    @extend_schema(
        operation_id="artifacts_latest",
        parameters=[LatestAsked],
        responses={200: ArtifactShape, **REFUSED, **MISSING, **SEVERAL, **MISPUT},
    )
    def get(self, request: Request) -> Response:
        """The newest file of this name that a completed job left behind."""
        wanted = asked(LatestAsked, request)
        rows = Artifact.objects.filter(name=wanted["name"], run__status=Status.SUCCEEDED).select_related("run")
        if wanted["pipeline"]:
            rows = rows.filter(run__pipeline__in=_meant(wanted["pipeline"], rows))
        newest = rows.order_by("-id").first()
        if newest is None:
            raise Http404(f"No completed job has left a file {wanted['name']} behind yet.")
        return Response(ArtifactShape(newest, context={"request": request}).data)


def _meant(name: str, rows: QuerySet[Artifact]) -> list[Pipeline]:
    """The pipeline of this name; of several projects that have one, those that left such a file must be one."""
    known = list(pipelines_called(name).select_related("project"))
    if not known:
        return [find_pipeline(name)]
    those = [each for each in known if rows.filter(run__pipeline=each).exists()]
    if len(those) > 1:
        raise AmbiguousPipeline(name, [each.project.name for each in those])
    return those


class Download(Door):
    needs = {"GET": "jobs.download_artifact"}

    @extend_schema(
        operation_id="artifacts_download",
        responses={**FILE, **NO_FILE, 302: ELSEWHERE, **REFUSED, **MISSING},
    )
    def get(self, request: Request, artifact: UUID) -> HttpResponseBase:
        """The file itself, as an attachment; ranges can be asked for."""
        row = Artifact.objects.filter(uuid=artifact).first()
        if row is None:
            raise Http404(f"There is no artifact {artifact}.")
        note_download(request._request, row)
        to = link(row, disposition(row.name), safe_type(row.media_type))
        return answer(request._request, content_of(row), to)
