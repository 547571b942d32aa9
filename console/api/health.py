"""Is it alive: the database, the broker, the workers."""

from __future__ import annotations

from typing import Any, Final

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from drf_spectacular.utils import extend_schema
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.door import Door
from jobs import clock
from jobs.models import Worker

PATIENCE_SECONDS: Final = 1.0
STATUS: Final = ["ok", "degraded", "down"]
REACHABILITY: Final = ["ok", "unreachable"]


class HealthShape(serializers.Serializer[Any]):
    """`ok`; `degraded` when no worker is alive; `down` (503) when the database or the broker does not answer."""

    status = serializers.ChoiceField(STATUS)
    version = serializers.CharField()
    database = serializers.ChoiceField(REACHABILITY)
    broker = serializers.ChoiceField(REACHABILITY)
    workers = serializers.IntegerField(help_text="How many are alive.")


class Health(Door):
    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(operation_id="health", auth=[], responses={200: HealthShape, 503: HealthShape})
    def get(self, request: Request) -> Response:
        """Answers anybody, and quickly, also when something is down."""
        workers = _workers()
        has_broker = _has_broker()
        is_up = workers is not None and has_broker
        body = {
            "status": ("ok" if workers else "degraded") if is_up else "down",
            "version": settings.VERSION,
            "database": "unreachable" if workers is None else "ok",
            "broker": "ok" if has_broker else "unreachable",
            "workers": workers or 0,
        }
        return Response(body, status=200 if is_up else 503)


def _workers() -> int | None:
    """How many workers are alive; None when the database does not answer."""
    try:
        return Worker.objects.alive(clock.now()).count()
    except DatabaseError:
        connection.close()
        return None


def _has_broker() -> bool:
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=PATIENCE_SECONDS,
        socket_connect_timeout=PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()
