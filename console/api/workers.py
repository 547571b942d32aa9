"""The Celery workers: how they are, and what is wanted of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import Asked
from console.api.door import MISPUT, MISSING, REFUSED, Door
from console.api.jobs import CLASH
from console.api.permissions import name_of
from console.api.shapes import Moment
from jobs import clock
from jobs.models import Worker
from jobs.models.worker import MOST_SLOTS
from jobs.states import Wanted

VERBS: Final = {Wanted.PAUSED: Worker.pause, Wanted.WORKING: Worker.resume, Wanted.DRAINING: Worker.drain}


class WorkerShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    host = serializers.CharField()
    is_alive = serializers.SerializerMethodField()
    queues = serializers.ListField(child=serializers.CharField())
    slots = serializers.IntegerField()
    busy = serializers.IntegerField()
    memory_bytes = serializers.IntegerField()
    state = serializers.SerializerMethodField()
    wanted_state = serializers.ChoiceField(Wanted.choices)
    wanted_slots = serializers.IntegerField(allow_null=True)
    version = serializers.CharField()
    started_at = Moment()
    heartbeat_at = Moment()
    stopped_at = Moment(allow_null=True)

    def get_is_alive(self, worker: Worker) -> bool:
        at: datetime = self.context["at"]
        return worker.is_alive(at)

    def get_state(self, worker: Worker) -> str:
        at: datetime = self.context["at"]
        return worker.state(at)


class WishShape(Asked):
    """What is wanted of a worker; what is left out stays as it is."""

    wanted_state = serializers.ChoiceField(Wanted.choices, required=False)
    wanted_slots = serializers.IntegerField(min_value=1, max_value=MOST_SLOTS, required=False)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if not given:
            raise serializers.ValidationError("Send wanted_state or wanted_slots.")
        return given


class Workers(Door):
    needs = {"GET": "jobs.view_worker"}

    @extend_schema(operation_id="workers_list", responses={200: WorkerShape(many=True), **REFUSED})
    def get(self, request: Request) -> Response:
        """The Celery workers, as their heartbeats tell."""
        return Response(WorkerShape(Worker.objects.all(), many=True, context={"at": clock.now()}).data)


class OneWorker(Door):
    needs = {"PATCH": "jobs.control_worker"}

    @extend_schema(
        operation_id="workers_control",
        request=WishShape,
        responses={200: WorkerShape, **REFUSED, **MISSING, **CLASH, **MISPUT},
    )
    def patch(self, request: Request, worker: str) -> Response:
        """Pause, drain, resume or resize a worker; its next heartbeat obeys."""
        row = Worker.objects.filter(name=worker).first()
        if row is None:
            raise Http404(f"There is no worker {worker[:200]}: `GET /api/v1/workers` lists them.")
        wish = WishShape(data=request.data)
        wish.is_valid(raise_exception=True)
        at, by = clock.now(), name_of(request)
        if "wanted_slots" in wish.validated_data:
            row.resize(wish.validated_data["wanted_slots"], at=at, by=by)
        if "wanted_state" in wish.validated_data:
            VERBS[wish.validated_data["wanted_state"]](row, at=at, by=by)
        return Response(WorkerShape(row, context={"at": at}).data)
