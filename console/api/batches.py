"""Batch queues: how much work waits, putting work in, and what to do with parked items."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import LARGEST, Asked
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked
from console.api.errors import Conflict
from console.api.jobs import CLASH
from console.api.shapes import Moment
from console.api.versions import ETAG, STALE, VERSIONS, unless_stale, with_version
from jobs import clock
from jobs.batches.batches import find_queue, put, with_oldest
from jobs.batches.parked import drop_parked, purge, put_back
from jobs.models import BatchQueue, Item
from jobs.models.act import facts_of, record, recorded
from jobs.models.batch_queue import check_name
from jobs.models.item import MAX_KEY
from jobs.states import ItemStatus

MOST_PUT: Final = 10_000
PURGED: Final = [status for status in ItemStatus.values if status != ItemStatus.TAKEN]


class QueueWishShape(Asked):
    """A queue's settings; what is left out stays as it is."""

    description = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    max_attempts = serializers.IntegerField(
        required=False, min_value=1, max_value=1000, help_text="An item that came back so many times is parked."
    )
    keep_days = serializers.IntegerField(
        required=False, min_value=0, max_value=100_000, help_text="Done items are deleted after so many days; 0: never."
    )


class NewQueueShape(QueueWishShape):
    name = serializers.CharField(max_length=80, validators=[check_name])


class QueueShape(serializers.Serializer[Any]):
    """A batch queue; its counters are exact."""

    name = serializers.CharField()
    description = serializers.CharField()
    max_attempts = serializers.IntegerField()
    keep_days = serializers.IntegerField()
    waiting = serializers.IntegerField()
    taken = serializers.IntegerField(help_text="Held by runs that are under way.")
    done = serializers.IntegerField(help_text="Those that were not pruned yet.")
    parked = serializers.IntegerField(help_text="Came back too often; each says why.")
    oldest_at = Moment(allow_null=True, help_text="Since when the first item has been waiting.")
    done_last_hour = serializers.SerializerMethodField()

    def get_done_last_hour(self, queue: BatchQueue) -> int:
        return sum(queue.paces(clock.now()))


class ItemShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    key = serializers.CharField()
    body = serializers.JSONField(allow_null=True)
    status = serializers.ChoiceField(ItemStatus.choices)
    attempts = serializers.IntegerField()
    error = serializers.CharField(help_text="Why it came back last, or why it is parked.")
    run = serializers.IntegerField(source="run_id", allow_null=True, help_text="The run that has it or had it last.")
    put_by_run = serializers.IntegerField(source="put_by_run_id", allow_null=True)
    created_at = Moment()
    taken_at = Moment(allow_null=True)
    finished_at = Moment(allow_null=True)


class ItemsAsked(serializers.Serializer[Any]):
    status = serializers.ChoiceField(
        ItemStatus.choices, required=False, default="", help_text="Waiting, unless a key or a run is asked for."
    )
    key = serializers.CharField(
        required=False, default="", max_length=MAX_KEY, trim_whitespace=False, help_text="This item alone."
    )
    run = serializers.IntegerField(required=False, default=None, min_value=1, max_value=LARGEST)
    after = serializers.IntegerField(required=False, default=0, min_value=0, max_value=LARGEST)
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=1000)


class NewItemShape(Asked):
    key = serializers.CharField(max_length=MAX_KEY, trim_whitespace=False)
    body = serializers.JSONField(required=False, allow_null=True, default=None)


class PutAsked(Asked):
    items = serializers.ListField(child=NewItemShape(), max_length=MOST_PUT, allow_empty=False)


class PutShape(serializers.Serializer[Any]):
    added = serializers.IntegerField()
    known = serializers.IntegerField(help_text="Their keys were in the queue already.")


class ChosenShape(Asked):
    """Which parked items: one by its key, all with one error, or all."""

    key = serializers.CharField(required=False, default="", max_length=MAX_KEY, trim_whitespace=False)
    like = serializers.CharField(
        required=False, default="", max_length=10_000, trim_whitespace=False, help_text="Their whole error."
    )


class PurgeAsked(serializers.Serializer[Any]):
    status = serializers.ChoiceField(PURGED)


class NumberShape(serializers.Serializer[Any]):
    items = serializers.IntegerField(help_text="How many there were.")


class Queues(Door):
    needs = {"GET": "jobs.view_batchqueue", "POST": "jobs.add_batchqueue"}

    @extend_schema(operation_id="queues_list", responses={200: QueueShape(many=True), **REFUSED})
    def get(self, request: Request) -> Response:
        """All batch queues."""
        return Response(QueueShape(with_oldest(), many=True).data)

    @extend_schema(
        operation_id="queues_create", request=NewQueueShape, responses={201: QueueShape, **REFUSED, **CLASH, **MISPUT}
    )
    def post(self, request: Request) -> Response:
        """Make a queue with its settings; the first put makes one without."""
        wish = NewQueueShape(data=request.data)
        wish.is_valid(raise_exception=True)
        name = wish.validated_data.pop("name")
        row, is_new = BatchQueue.objects.get_or_create(name=name, defaults=wish.validated_data)
        if not is_new:
            raise Conflict(f"There is a batch queue {name} already: PATCH changes it.")
        record("added", row, after=facts_of(row))
        return Response(_shown(name), status=201)


class OneQueue(Door):
    needs = {"GET": "jobs.view_batchqueue", "PATCH": "jobs.change_batchqueue"}

    @extend_schema(operation_id="queues_get", parameters=[ETAG], responses={200: QueueShape, **REFUSED, **MISSING})
    def get(self, request: Request, queue: str) -> Response:
        """One batch queue."""
        return with_version(Response(_shown(queue)), find_queue(queue))

    @extend_schema(
        operation_id="queues_change",
        request=QueueWishShape,
        parameters=VERSIONS,
        responses={200: QueueShape, **REFUSED, **MISSING, **STALE, **MISPUT},
    )
    def patch(self, request: Request, queue: str) -> Response:
        """Change a queue's settings."""
        row = find_queue(queue)
        wish = QueueWishShape(data=request.data)
        wish.is_valid(raise_exception=True)
        with unless_stale(row, request):
            if wish.validated_data:
                with recorded("changed", row):
                    BatchQueue.objects.filter(pk=row.pk).update(**wish.validated_data)
        return with_version(Response(_shown(queue)), find_queue(queue))


def _shown(name: str) -> Any:
    return QueueShape(with_oldest().get(pk=find_queue(name).pk)).data


class Items(Door):
    needs = {"GET": "jobs.view_item", "POST": "jobs.add_item", "DELETE": "jobs.delete_item"}

    @extend_schema(
        operation_id="queue_items_list",
        parameters=[ItemsAsked],
        responses={200: ItemShape(many=True), **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, queue: str) -> Response:
        """Items in the order in which they were put in; ask again with `after` the last id."""
        wanted = asked(ItemsAsked, request)
        rows = Item.objects.filter(queue=find_queue(queue), id__gt=wanted["after"]).order_by("id")
        chosen = {name: wanted[name] for name in ("status", "key", "run") if wanted[name]}
        chosen = chosen or {"status": ItemStatus.WAITING}
        return Response(ItemShape(rows.filter(**chosen)[: wanted["limit"]], many=True).data)

    @extend_schema(operation_id="queue_items_put", request=PutAsked, responses={200: PutShape, **REFUSED, **MISPUT})
    def post(self, request: Request, queue: str) -> Response:
        """Put items in; a key that is there already is not put again, so the same request may be sent twice."""
        given = PutAsked(data=request.data)
        given.is_valid(raise_exception=True)
        rows = ((item["key"], item["body"]) for item in given.validated_data["items"])
        return Response(PutShape(put(queue, rows, at=clock.now())).data)

    @extend_schema(
        operation_id="queue_items_purge",
        parameters=[PurgeAsked],
        responses={200: NumberShape, **REFUSED, **MISSING, **MISPUT},
    )
    def delete(self, request: Request, queue: str) -> Response:
        """Delete all items of one status."""
        return Response({"items": purge(find_queue(queue), asked(PurgeAsked, request)["status"])})


class PutBack(Door):
    needs = {"POST": "jobs.retry_item"}

    @extend_schema(
        operation_id="queue_put_back",
        request=ChosenShape,
        responses={200: NumberShape, **REFUSED, **MISSING, **MISPUT},
    )
    def post(self, request: Request, queue: str) -> Response:
        """Let parked items wait again with all their attempts."""
        return Response({"items": put_back(find_queue(queue), **_chosen(request))})


class Drop(Door):
    needs = {"POST": "jobs.delete_item"}

    @extend_schema(
        operation_id="queue_drop", request=ChosenShape, responses={200: NumberShape, **REFUSED, **MISSING, **MISPUT}
    )
    def post(self, request: Request, queue: str) -> Response:
        """Delete parked items for good."""
        return Response({"items": drop_parked(find_queue(queue), **_chosen(request))})


def _chosen(request: Request) -> dict[str, str]:
    chosen = ChosenShape(data=request.data)
    chosen.is_valid(raise_exception=True)
    return dict(chosen.validated_data)
