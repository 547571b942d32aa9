"""Is it alive, and can runs start: the database, the broker, the workers, the projects."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.door import Door
from console.tree import starting
from jobs import clock
from jobs.models import Project, StoreCheck, Worker
from jobs.models.project import EVERY_PIPELINE
from jobs.steps import broker

PATIENCE_SECONDS: Final = 1.0
ASK_AGAIN_SECONDS: Final = 2
STATUS: Final = ["ok", "degraded", "starting", "down"]
REACHABILITY: Final = ["ok", "unreachable"]
STORE: Final = ["ok", "unreachable", "unchecked"]
STORE_AWAY: Final = "The artifact store does not answer; runs go on, and their files are kept until it does."


class HealthShape(serializers.Serializer[Any]):
    """`ok`; `degraded` without a live worker, with a project that cannot be read or a store that is away; `starting`
    (503) while `up` still reads the projects or waits for its worker; `down` (503) when the database or the broker
    does not answer."""

    status = serializers.ChoiceField(STATUS)
    version = serializers.CharField()
    database = serializers.ChoiceField(REACHABILITY)
    broker = serializers.ChoiceField(REACHABILITY)
    artifact_store = serializers.ChoiceField(STORE, help_text="As a worker was told within the last minutes.")
    workers = serializers.IntegerField(help_text="How many are alive.")
    missing = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="What is not ready, a sentence each; absent when all is.",
    )


class Health(Door):
    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = []

    @extend_schema(operation_id="health", auth=[], responses={200: HealthShape, 503: HealthShape})
    def get(self, request: Request) -> Response:
        """Answers anybody, and quickly, also when something is down."""
        no_broker = _no_broker()
        left = starting.left(settings.VAR)
        rows = _rows()
        is_up = rows is not None and not no_broker
        workers, unread, store = rows or (0, [], "unchecked")
        is_well = bool(workers) and not unread and store != "unreachable"
        missing = list(dict.fromkeys([*_missing(rows, no_broker), *left]))
        body: dict[str, Any] = {
            "status": ("starting" if left else "ok" if is_well else "degraded") if is_up else "down",
            "version": settings.VERSION,
            "database": "unreachable" if rows is None else "ok",
            "broker": "unreachable" if no_broker else "ok",
            "artifact_store": store,
            "workers": workers,
        }
        if missing:
            body["missing"] = missing
        if is_up and not left:
            return Response(body)
        return Response(body, status=503, headers={"Retry-After": str(ASK_AGAIN_SECONDS)})


Rows = tuple[int, list[str], str]


def _rows() -> Rows | None:
    """How many workers live, the projects that cannot be read, how the store is; None without a database."""
    try:
        unread = Project.objects.filter(unread=[EVERY_PIPELINE]).values_list("name", flat=True)
        at = clock.now()
        return Worker.objects.alive(at).count(), list(unread), _store(at)
    except DatabaseError:
        connection.close()
        return None


def _store(at: datetime) -> str:
    check = StoreCheck.objects.lately(at).first()
    return "unchecked" if check is None else "unreachable" if check.error else "ok"


def _missing(rows: Rows | None, no_broker: str) -> list[str]:
    """What stands in the way of runs, for anybody's eyes: no path, no message of a project."""
    if rows is None:
        return ["The database does not answer."]
    workers, unread, store = rows
    return [
        *([no_broker] if no_broker else []),
        *([] if workers else ["No worker is alive."]),
        *(f"The project {name} cannot be read: `project check {name}` says why." for name in unread),
        *([STORE_AWAY] if store == "unreachable" else []),
    ]


def _no_broker() -> str:
    """Why it cannot be reached; "" when it answers."""
    client = broker.client(seconds=PATIENCE_SECONDS)
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        return broker.refusal(error) or "The broker does not answer."
    finally:
        client.close()
    return ""
