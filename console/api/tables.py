"""The rows of an artifact that is a table: windows, sorted and chosen among all rows, and what its columns hold."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.artifacts import find_artifact
from console.api.asked import LONGEST_NAME
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked
from console.files.tables.asked import DEEPEST, description, wish
from console.files.tables.readers import rows_of
from console.files.tables.wishes import MOST_CONDITIONS, MOST_ROWS, MOST_WORDS, OPERATORS


class SheetAsked(serializers.Serializer[Any]):
    sheet = serializers.IntegerField(
        min_value=0, max_value=9_999, required=False, default=-1, help_text="Of a workbook: 0 is its first sheet."
    )


class RowsAsked(SheetAsked):
    first = serializers.IntegerField(min_value=0, max_value=DEEPEST, required=False, default=0)
    limit = serializers.IntegerField(min_value=1, max_value=MOST_ROWS, required=False, default=100)
    sort = serializers.CharField(
        max_length=LONGEST_NAME, required=False, default="", help_text="A column; `-column` begins with the largest."
    )
    find = serializers.CharField(
        max_length=MOST_WORDS, required=False, default="", help_text="Words that some cell of the row has."
    )
    where = serializers.ListField(
        child=serializers.CharField(max_length=2 * LONGEST_NAME),
        max_length=MOST_CONDITIONS,
        required=False,
        default=list,
        help_text=f"`column:operator:value`, again for each further condition; operators: {', '.join(OPERATORS)}.",
    )


class ColumnShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.CharField(help_text="whole number, number, true or false, date, time, text, empty, …")


class DescribedShape(ColumnShape):
    """Over all rows of the table."""

    empty_share = serializers.FloatField(help_text="Which share of its cells is empty, from 0 to 1.")
    least = serializers.CharField(allow_null=True)
    most = serializers.CharField(allow_null=True)


class TableShape(serializers.Serializer[Any]):
    total = serializers.IntegerField(help_text="How many rows the table has.")
    left_out = serializers.IntegerField(help_text="How many further columns are not shown.")
    note = serializers.CharField(help_text="What had to be guessed to read it.")
    sheets = serializers.ListField(child=serializers.CharField())
    shown = serializers.IntegerField(help_text="The number of the sheet that this is.")


class TableRowsShape(TableShape):
    """Cells are texts, cut after 300 characters; an empty one may be null."""

    columns = ColumnShape(many=True)
    found = serializers.IntegerField(help_text="How many rows are meant; when sorted or chosen, 10,000 can be had.")
    rows = serializers.ListField(child=serializers.ListField(child=serializers.CharField(allow_null=True)))


class DescriptionShape(TableShape):
    columns = DescribedShape(many=True)


class Rows(Door):
    needs = {"GET": "jobs.download_artifact"}

    @extend_schema(
        operation_id="artifacts_rows",
        parameters=[RowsAsked],
        responses={200: TableRowsShape, **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, artifact: UUID) -> Response:
        """A window of a Parquet, CSV, TSV or Excel file, without fetching all of it where that can be avoided."""
        given = RowsAsked(data=request.query_params)
        given.is_valid(raise_exception=True)
        wanted = dict(given.validated_data)
        sheet = wanted.pop("sheet")
        return Response(rows_of(find_artifact(artifact), wish(wanted.pop("first"), wanted.pop("limit"), **wanted),
                                sheet=sheet))  # fmt: skip


class Columns(Door):
    needs = {"GET": "jobs.download_artifact"}

    @extend_schema(
        operation_id="artifacts_columns",
        parameters=[SheetAsked],
        responses={200: DescriptionShape, **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, artifact: UUID) -> Response:
        """What the columns of a table hold, over all of its rows."""
        return Response(rows_of(find_artifact(artifact), description(), sheet=asked(SheetAsked, request)["sheet"]))
