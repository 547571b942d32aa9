"""Find, download and share the files that jobs left behind."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.http import Http404, HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import LONGEST_NAME, Asked, LatestAsked
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked
from console.api.permissions import may, name_of
from console.api.shapes import ArtifactShape, Moment, RefusalShape, address, shaped
from console.files.downloads import answer, content_of, disposition, note_download, safe_type
from console.files.entries import ArchiveError, content_of_entry, entries, find_entry
from console.files.kinds import FAMILIES, suffixes_of
from console.pages.library import newest_of
from jobs import clock
from jobs.errors import AmbiguousPipeline
from jobs.interpreters.artifacts import link, open_file
from jobs.library.share import MOST_PASSWORD, ShareOrder, revoke, share
from jobs.models import Artifact, Pipeline, Share
from jobs.runs.find import find_pipeline, pipelines_called

MOST_ENTRIES = 10_000
SEVERAL = {409: OpenApiResponse(RefusalShape, "Several projects have such a pipeline: write “project/pipeline”.")}
FILE = {(200, "*/*"): OpenApiTypes.BINARY, (206, "*/*"): OpenApiTypes.BINARY}
NO_FILE = {
    304: OpenApiResponse(None, "It is the file that `If-None-Match` names."),
    416: OpenApiResponse(None, "The file ends before this range."),
}
LOOKED_AT = 20_000
ELSEWHERE = OpenApiResponse(None, "Where CONSOLE_S3_REDIRECT is set: the store itself has it at this address.")


class ArtifactsAsked(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=255, required=False, default="", help_text="The whole file name.")
    pipeline = serializers.CharField(
        max_length=LONGEST_NAME, required=False, default="", help_text="`report`, or `project/report`."
    )
    kind = serializers.ChoiceField(FAMILIES, required=False, default="")
    before = serializers.UUIDField(required=False, default=None, help_text="The id of the last one of a page.")
    limit = serializers.IntegerField(min_value=1, max_value=1_000, required=False, default=100)


class ShareAsked(Asked):
    newest = serializers.BooleanField(default=False, help_text="Always the newest good file of its name.")
    until = Moment(help_text="When the link ends: a year ahead at most.")
    needs_login = serializers.BooleanField(default=False, help_text="Only for people who can log in.")
    password = serializers.CharField(
        max_length=MOST_PASSWORD, required=False, default="", allow_blank=True, trim_whitespace=False, write_only=True
    )


class ShareShape(serializers.ModelSerializer[Share]):
    """A link; `address` is told once, when it is made."""

    id = serializers.UUIDField(source="uuid")
    artifact = serializers.SerializerMethodField(help_text="What it leads to now.")
    newest = serializers.BooleanField(source="is_newest")
    has_password = serializers.SerializerMethodField()
    made_by = serializers.CharField(source="made_by_name")
    made_at, until = Moment(), Moment()
    revoked_at, last_used_at = Moment(allow_null=True), Moment(allow_null=True)
    address = serializers.SerializerMethodField()

    class Meta:
        model = Share
        fields = (
            "id", "artifact", "newest", "needs_login", "has_password", "made_by", "made_at", "until", "revoked_at",
            "uses", "last_used_at", "address",
        )  # fmt: skip

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_artifact(self, row: Share) -> str | None:
        return str(row.file.uuid) if row.file else None

    def get_has_password(self, row: Share) -> bool:
        return bool(row.password)

    @extend_schema_field(serializers.URLField(allow_null=True))
    def get_address(self, row: Share) -> str | None:
        token = self.context.get("token")
        return address(self.context, reverse("share", args=[token])) if token else None


class EntryAsked(serializers.Serializer[Any]):
    entry = serializers.IntegerField(
        min_value=0,
        max_value=10**9,
        required=False,
        default=None,
        help_text="Of a zip: one of its files.",
    )


class EntryShape(serializers.Serializer[Any]):
    """A file of a zip, as the zip claims."""

    number = serializers.IntegerField()
    name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    packed_bytes = serializers.IntegerField()
    is_folder = serializers.BooleanField()


class Artifacts(Door):
    needs = {"GET": "jobs.view_artifact"}

    @extend_schema(
        operation_id="artifacts_list",
        parameters=[ArtifactsAsked],
        responses={200: ArtifactShape(many=True), **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request) -> Response:
        """Files that jobs left behind, the newest first, also of jobs that failed.

        The header `Link: <…>; rel="next"` leads to older ones. With `pipeline` or `kind` an answer looks at 20,000
        files at most: it may hold less than `limit`, or nothing, and there is more as long as it has that header.
        """
        wanted = asked(ArtifactsAsked, request)
        rows = Artifact.objects.select_related("run").order_by("-id")
        if wanted["before"]:
            rows = rows.filter(pk__lt=find_artifact(wanted["before"]).pk)
        last = _last_looked_at(rows, wanted)
        if last:
            rows = rows.filter(pk__gte=last.pk)
        if wanted["name"]:
            rows = rows.filter(name=wanted["name"])
        if wanted["pipeline"]:
            known = list(pipelines_called(wanted["pipeline"])) or [find_pipeline(wanted["pipeline"])]
            # A sum is in no index: a database would begin with all runs of the pipeline, not with these files.
            rows = rows.annotate(made_by=F("run__pipeline_id") + 0).filter(made_by__in=[each.pk for each in known])
        if wanted["kind"]:
            ends = (Q(name__iendswith=suffix) for suffix in suffixes_of(wanted["kind"]))
            rows = rows.filter(reduce(or_, ends))
        found = list(rows[: wanted["limit"]])
        answer = Response(shaped(found, request))
        if len(found) == wanted["limit"]:
            last = found[-1]
        if last:
            answer["Link"] = f'<{_older(request, last)}>; rel="next"'
        return answer


def _last_looked_at(rows: QuerySet[Artifact], wanted: dict[str, Any]) -> Artifact | None:
    """Where an answer stops to look: few files may match, and no index has them in order. None: it sees them all."""
    if not (wanted["pipeline"] or wanted["kind"]):
        return None
    if wanted["name"]:  # has an index of its own
        rows = rows.filter(name=wanted["name"])
    return next(iter(rows.select_related(None).only("uuid")[LOOKED_AT - 1 : LOOKED_AT]), None)


def _older(request: Request, last: Artifact) -> str:
    query = request.query_params.copy()
    query["before"] = str(last.uuid)
    return address({"request": request}, f"{reverse('api:artifacts')}?{query.urlencode()}")


class ShareArtifact(Door):
    needs = {"POST": "jobs.share_artifact"}

    @extend_schema(
        operation_id="artifacts_share",
        request=ShareAsked,
        responses={201: ShareShape, **REFUSED, **MISSING, **MISPUT},
    )
    def post(self, request: Request, artifact: UUID) -> Response:
        """A link to this file, or always to the newest of its name; its `address` is told this once."""
        given = ShareAsked(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = given.validated_data
        order = ShareOrder(
            find_artifact(artifact),
            wanted["until"],
            is_newest=wanted["newest"],
            needs_login=wanted["needs_login"],
            password=wanted["password"],
        )
        by = request.user if request.user.is_authenticated else None
        made, token = share(order, at=clock.now(), by=by, by_name=name_of(request))
        return Response(ShareShape(made, context={"request": request, "token": token}).data, status=201)


class Shares(Door):
    needs = {"GET": "jobs.share_artifact"}

    @extend_schema(operation_id="shares_list", responses={200: ShareShape(many=True), **REFUSED})
    def get(self, request: Request) -> Response:
        """One's own links, the newest first; admins see everybody's."""
        return Response(ShareShape(_links(request)[:1_000], many=True, context={"request": request}).data)


class OneShare(Door):
    needs = {"DELETE": "jobs.share_artifact"}

    @extend_schema(operation_id="shares_revoke", responses={204: None, **REFUSED, **MISSING})
    def delete(self, request: Request, share: UUID) -> Response:
        """Take a link back: whoever has it finds nothing any more."""
        made = _links(request).filter(uuid=share).first()
        if made is None:
            raise Http404(f"There is no link {share} of yours.")
        revoke(made, at=clock.now())
        return Response(status=204)


def _links(request: Request) -> QuerySet[Share]:
    rows = Share.objects.known()
    if may(request, "jobs.delete_share"):
        return rows
    return rows.filter(made_by=request.user) if request.user.is_authenticated else rows.filter(made_by=None)


def find_artifact(artifact: UUID) -> Artifact:
    row = Artifact.objects.select_related("run__pipeline__project").filter(uuid=artifact).first()
    if row is None:
        raise Http404(f"There is no artifact {artifact}.")
    return row


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
        name, pipeline = wanted["name"], wanted["pipeline"]
        newest = newest_of(name, [each.pk for each in _meant(pipeline, name)] if pipeline else None)
        if newest is None:
            raise Http404(f"No completed job has left a file {name} behind yet.")
        return Response(ArtifactShape(newest, context={"request": request}).data)


def _meant(name: str, file: str) -> list[Pipeline]:
    """The pipeline of this name; of several projects that have one, those that left such a file must be one."""
    known = list(pipelines_called(name).select_related("project"))
    if not known:
        return [find_pipeline(name)]
    those = [each for each in known if newest_of(file, [each.pk])]
    if len(those) > 1:
        raise AmbiguousPipeline(name, [each.project.name for each in those])
    return those


class Download(Door):
    needs = {"GET": "jobs.download_artifact"}

    @extend_schema(
        operation_id="artifacts_download",
        parameters=[EntryAsked],
        responses={**FILE, **NO_FILE, 302: ELSEWHERE, **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, artifact: UUID) -> HttpResponseBase:
        """The file itself, as an attachment; ranges can be asked for."""
        row = find_artifact(artifact)
        number = asked(EntryAsked, request)["entry"]
        if number is not None:
            return _entry(request, row, number)
        note_download(request._request, row)
        to = link(row, disposition(row.name), safe_type(row.media_type))
        return answer(request._request, content_of(row), to)


def _entry(request: Request, row: Artifact, number: int) -> HttpResponseBase:
    try:
        entry = find_entry(row, number)
        response = answer(request._request, content_of_entry(row, entry))
    except ArchiveError as error:
        raise Http404(str(error)) from error
    note_download(request._request, row, entry=entry.name)
    return response


class Entries(Door):
    needs = {"GET": "jobs.download_artifact"}

    @extend_schema(
        operation_id="artifacts_entries",
        responses={200: EntryShape(many=True), **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, artifact: UUID) -> Response:
        """What a zip lists; one of its files is downloaded by `download?entry=`."""
        row = find_artifact(artifact)
        try:
            with open_file(row) as file:
                found = entries(file)
        except ArchiveError as error:
            raise serializers.ValidationError({"artifact": str(error)}) from error
        return Response(EntryShape(found[:MOST_ENTRIES], many=True).data)
