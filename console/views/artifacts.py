"""The page of one artifact, what differs from the one before it, and downloads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.views.decorators.http import require_GET, require_safe

from console.files.downloads import answer, begun, content_of, disposition, note_download, refusal, safe_type
from console.files.entries import ArchiveError
from console.files.zips import stream
from console.pages.compare_files import FileDifference, compare_files
from console.pages.faces import face
from console.pages.library import Shelved, card, latest, older
from console.pages.look import delivery, look, source
from console.views.access import needs
from console.views.shell import page
from jobs import clock
from jobs.errors import PlatformError
from jobs.interpreters.artifacts import link, open_file
from jobs.library.share import USUAL
from jobs.models import Artifact, Run, Share, Shelf
from jobs.models.act import record
from jobs.states import Status

FILES_AT_ONCE: Final = 1_000


@require_GET
@needs("jobs.view_artifact")
def artifact(request: HttpRequest, uuid: str) -> HttpResponse:
    """What it is, where it comes from, older ones of its name; a look inside for those who may download it."""
    row = find_artifact(uuid)
    may_open = request.user.has_perm("jobs.download_artifact")
    shelf = Shelf.objects.with_pin(request.user.pk).of(row)
    new = request.session.pop("new_share", None)
    context = {
        "artifact": row,
        "shelved": Shelved(row),
        "card": card(shelf) if shelf else None,
        "previous": _previous(row, shelf),
        "links": _links(request, row, shelf),
        "new_link": new[1] if new else "",
        "week": clock.now() + USUAL,
        **(look(row, request.GET) if may_open else {}),
        "may_open": may_open,
        "delivery": delivery(row),
        "newest": latest(row.run.pipeline_id, row.name, shelf),
        "older": older(row),
    }
    return page(request, "artifacts/show.html", context, title=row.name)


def _previous(row: Artifact, shelf: Shelf | None) -> Artifact | None:
    """The good one before it, of a shelf or of its name."""
    if shelf and shelf.newest_id == row.pk:
        return shelf.previous
    good = Artifact.objects.filter(name=row.name, run__pipeline=row.run.pipeline_id, run__status=Status.SUCCEEDED)
    return good.filter(pk__lt=row.pk).order_by("-id").first()


def _links(request: HttpRequest, row: Artifact, shelf: Shelf | None) -> list[Share]:
    if not request.user.has_perm("jobs.share_artifact"):
        return []
    rows = Share.objects.of(row, shelf).open(clock.now())
    if not request.user.has_perm("jobs.delete_share"):
        rows = rows.filter(made_by=request.user.pk)
    return list(rows[:20])


@require_GET
@needs("jobs.download_artifact")
def artifact_compare(request: HttpRequest, uuid: str) -> HttpResponse:
    """What differs from an older file: the one asked for (`with`), else the good one before it."""
    row = find_artifact(uuid)
    asked = request.GET.get("with", "")
    before = _other(asked) if asked else _previous(row, Shelf.objects.of(row))
    if before is None:
        messages.info(request, "There is no older good file of this name to compare it with yet.")
        return redirect("artifact", row.uuid)
    before, row = sorted((before, row), key=lambda each: each.pk)
    try:
        found = compare_files(before, row)
    except PlatformError as error:
        found = FileDifference("none", str(error))
    context = {"before": before, "after": row, "shelved": Shelved(row), "difference": found}
    return page(request, "artifacts/compare.html", context, title=f"{row.name}, compared")


def _other(asked: str) -> Artifact:
    try:
        return find_artifact(UUID(asked))
    except ValueError as error:
        raise Http404("There is no such artifact.") from error


@require_GET
@needs("jobs.download_artifact")
def artifact_face(request: HttpRequest, uuid: str) -> HttpResponse:
    """What a card of the library shows of it; the bytes of an artifact never change, so it is fetched once."""
    row = find_artifact(uuid)
    response = render(request, "library/_face.html", {"artifact": row, "shelved": Shelved(row), "face": face(row)})
    patch_cache_control(response, private=True, max_age=86_400)
    patch_vary_headers(response, ["Cookie"])
    return response


@require_safe
@needs("jobs.download_artifact")
def artifact_download(request: HttpRequest, uuid: str) -> HttpResponseBase:
    """The file; with `entry` one file of a zip."""
    row = find_artifact(uuid)
    return _send_entry(request, row) if "entry" in request.GET else _send(request, row)


@require_safe
@needs("jobs.download_artifact")
def artifact_latest(request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
    """The newest good one of that name, always at the same address."""
    row = latest(pk, name)
    if row is None:
        raise Http404("No successful run of this pipeline has left a file of this name.")
    return redirect("artifact_download", row.uuid)


@require_GET
@needs("jobs.download_artifact")
def run_artifacts_zip(request: HttpRequest, number: int) -> HttpResponseBase:
    """All files of a run as one zip."""
    run = get_object_or_404(Run.objects.select_related("pipeline"), pk=number)
    count = run.artifacts.count()
    if not count:
        raise Http404("This run has left no files.")
    try:
        parts = begun(stream(_by_key(run), open_file))
    except PlatformError as error:
        return refusal(error)
    record("downloaded", run, after={"files": count})
    response = StreamingHttpResponse(parts, content_type="application/zip")
    response["Content-Disposition"] = disposition(f"{run.pipeline.name}-{run.pk}.zip")
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _by_key(run: Run) -> Iterator[Artifact]:
    """Its files, some in memory at a time; no cursor stays open, for several threads may send the rest in turn."""
    last = 0
    while rows := list(run.artifacts.filter(pk__gt=last).order_by("pk")[:FILES_AT_ONCE]):
        yield from rows
        last = rows[-1].pk


def find_artifact(uuid: Any) -> Artifact:
    return get_object_or_404(Artifact.objects.select_related("run__pipeline__project"), uuid=uuid)


def _send(request: HttpRequest, row: Artifact) -> HttpResponseBase:
    try:
        note_download(request, row)
        return answer(request, content_of(row), link(row, disposition(row.name), safe_type(row.media_type)))
    except PlatformError as error:
        return refusal(error)


def _send_entry(request: HttpRequest, row: Artifact) -> HttpResponseBase:
    try:
        found = source(row, request.GET)
        response = answer(request, found.content)
    except ArchiveError as error:
        raise Http404(str(error)) from error
    except PlatformError as error:
        return refusal(error)
    note_download(request, row, entry=found.name)
    return response


urlpatterns = [
    path("artifacts/latest/<int:pk>/<path:name>/", artifact_latest, name="artifact_latest"),
    path("artifacts/<uuid:uuid>/", artifact, name="artifact"),
    path("artifacts/<uuid:uuid>/compare/", artifact_compare, name="artifact_compare"),
    path("artifacts/<uuid:uuid>/face/", artifact_face, name="artifact_face"),
    path("artifacts/<uuid:uuid>/download/", artifact_download, name="artifact_download"),
    path("runs/<int:number>/artifacts.zip", run_artifacts_zip, name="run_artifacts_zip"),
]
