"""Submit, look at, cancel and repeat jobs."""

from __future__ import annotations

import re
from typing import Any, Final

from django.utils.http import urlencode
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import CancelAsked, JobAsked, JobsAsked, ResumeAsked, WishAsked
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked, find_job, jobs, refuse_fields
from console.api.errors import Conflict
from console.api.permissions import name_of
from console.api.resume_shapes import ResumePreviewShape, told_of
from console.api.shapes import WORDS, JobShape, RefusalShape
from jobs import clock
from jobs.models import Pipeline, Run
from jobs.runs.cancel import cancel, force
from jobs.runs.find import find_pipeline, pipelines_called
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.runs.prioritize import prioritize
from jobs.runs.resume import preview, resume
from jobs.runs.retry import retry
from jobs.states import Cause
from jobs.structure.parameters import settled
from jobs.structure.paths import merge
from jobs.structure.selection import Selection, selection_of

KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
KEY_HEADER: Final = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 200 visible ASCII characters. The same key again answers the job that it made, with 200.",
)
CLASH = {409: OpenApiResponse(RefusalShape, "It is not in a state for this, or the key made another job.")}


class Jobs(Door):
    needs = {"GET": "jobs.view_run", "POST": "jobs.start_pipeline"}

    @extend_schema(
        operation_id="jobs_list", parameters=[JobsAsked], responses={200: JobShape(many=True), **REFUSED, **MISPUT}
    )
    def get(self, request: Request) -> Response:
        """The newest jobs first, as a plain list; the header `Link: <…>; rel="next"` leads to older ones."""
        wanted = asked(JobsAsked, request)
        page = _page(**{name: wanted[name] for name in ("pipeline", "status", "before", "limit")})
        answer = Response(JobShape(page, many=True, context={"request": request}).data)
        if len(page) == wanted["limit"]:
            answer["Link"] = f'<{_older(request, page[-1])}>; rel="next"'
        return answer

    @extend_schema(
        operation_id="jobs_submit",
        request=JobAsked,
        parameters=[KEY_HEADER],
        responses={201: JobShape, 200: JobShape, **REFUSED, **MISSING, **CLASH, **MISPUT},
    )
    def post(self, request: Request) -> Response:
        """Start a pipeline. An unknown pipeline is answered with the nearest names, bad parameters field by field."""
        given = JobAsked(data=request.data)
        given.is_valid(raise_exception=True)
        pipeline = find_pipeline(given.validated_data["pipeline_name"], given.validated_data["project"])
        run, is_new = _submit(request, pipeline, given)
        return Response(JobShape(run, context={"request": request}).data, status=201 if is_new else 200)


def _submit(request: Request, pipeline: Pipeline, given: JobAsked) -> tuple[Run, bool]:
    """The job, and whether this request made it."""
    parameters = given.validated_data.get("parameters") or {}
    order = Order(
        pipeline,
        Cause.API,
        by=request.user if request.user.is_authenticated else None,
        by_name=name_of(request),
        parameters=parameters,
        selection=given.selection,
        runner=given.validated_data["runner"],
        everything=given.validated_data["everything"],
        idempotency_key=_key(request),
    )
    run = launch(order, at=clock.now())
    if run.uuid != order.uuid and not _is_answer(run, pipeline, parameters, given.selection):
        raise Conflict("This Idempotency-Key has already started a different job: use a new key for this one.")
    return run, run.uuid == order.uuid


def _key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        raise ValidationError({"Idempotency-Key": "Has to be 1 to 200 visible ASCII characters."})
    return key


def _is_answer(run: Run, pipeline: Pipeline, parameters: dict[str, Any], selection: Selection) -> bool:
    """Whether a job that was there before is the answer to the same question asked again."""
    if selection != selection_of(run):
        return False
    known = merge(run.snapshot.picture.parameters if run.snapshot else {}, run.parameters)
    asked = settled(parameters, known)
    return run.pipeline_id == pipeline.pk and merge(run.parameters, asked) == run.parameters


def _older(request: Request, last: Run) -> str:
    query = {**request.GET.dict(), "before": str(last.pk)}
    return request.build_absolute_uri(f"{request.path}?{urlencode(query)}")


def _page(*, pipeline: str, status: str, before: int | None, limit: int) -> list[Run]:
    known = list(pipelines_called(pipeline).values_list("pk", flat=True)) if pipeline else None
    statuses = [ours for ours, word in WORDS.items() if word == status]
    numbers = Run.objects.before(before).newest_numbers(limit, statuses=statuses, pipelines=known)
    return list(jobs().filter(pk__in=numbers))


class Job(Door):
    needs = {"GET": "jobs.view_run", "PATCH": "jobs.start_pipeline"}

    @extend_schema(operation_id="jobs_show", responses={200: JobShape, **REFUSED, **MISSING})
    def get(self, request: Request, job: str) -> Response:
        """One job, by its id or its run number."""
        return Response(JobShape(find_job(job), context={"request": request}).data)

    @extend_schema(
        operation_id="jobs_prioritize",
        request=WishAsked,
        responses={200: JobShape, **REFUSED, **MISSING, **CLASH, **MISPUT},
    )
    def patch(self, request: Request, job: str) -> Response:
        """Let what waits of a job go before others, or after them."""
        wish = WishAsked(data=request.data)
        wish.is_valid(raise_exception=True)
        run = find_job(job)
        prioritize(run, wish.validated_data["priority"], at=clock.now(), by=name_of(request))
        return Response(JobShape(run, context={"request": request}).data)


class Cancel(Door):
    needs = {"POST": "jobs.cancel_run"}

    @extend_schema(
        operation_id="jobs_cancel",
        request=CancelAsked,
        responses={200: JobShape, **REFUSED, **MISSING, **CLASH, **MISPUT},
    )
    def post(self, request: Request, job: str) -> Response:
        """Ask a job to stop, or force it to; its status is `cancelled` when its processes are gone."""
        given = CancelAsked(data=request.data)
        given.is_valid(raise_exception=True)
        stop = force if given.validated_data["force"] else cancel
        run = stop(find_job(job), at=clock.now(), by=name_of(request))
        return Response(JobShape(run, context={"request": request}).data)


class Retry(Door):
    needs = {"POST": "jobs.retry_run"}

    @extend_schema(operation_id="jobs_retry", request=None, responses={201: JobShape, **REFUSED, **MISSING, **CLASH})
    def post(self, request: Request, job: str) -> Response:
        """A new job with the same pipeline, parameters and choices, once this one has ended."""
        refuse_fields(request)
        by = request.user if request.user.is_authenticated else None
        run = retry(find_job(job), at=clock.now(), by=by, by_name=name_of(request))
        return Response(JobShape(run, context={"request": request}).data, status=201)


class Resume(Door):
    needs = {"GET": "jobs.retry_run", "POST": "jobs.retry_run"}

    @extend_schema(
        operation_id="jobs_resume_preview", responses={200: ResumePreviewShape, **REFUSED, **MISSING, **CLASH}
    )
    def get(self, request: Request, job: str) -> Response:
        """What resuming it with the same parameters would reuse, run and do a second time; nothing is started."""
        run = find_job(job)
        return Response(told_of(run, preview(run)))

    @extend_schema(
        operation_id="jobs_resume",
        request=ResumeAsked,
        responses={201: JobShape, **REFUSED, **MISSING, **CLASH, **MISPUT},
    )
    def post(self, request: Request, job: str) -> Response:
        """A new job that executes what is missing of an ended one and reuses what it left."""
        given = ResumeAsked(data=request.data)
        given.is_valid(raise_exception=True)
        by = request.user if request.user.is_authenticated else None
        changes = given.validated_data.get("parameters")
        run = resume(find_job(job), at=clock.now(), by=by, by_name=name_of(request), parameters=changes)
        return Response(JobShape(run, context={"request": request}).data, status=201)
