"""What a person may choose about the deck (`params:report`)."""

from __future__ import annotations

import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, field_validator


class ChartKind(StrEnum):
    """The deck's second chart."""

    AUTO = "auto"
    LINE = "line"
    COLUMN = "column"
    SCATTER = "scatter"


class ReportSettings(BaseModel):
    """The deck's words, length and colour."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(
        "Report for {dataset}",
        min_length=1,
        max_length=90,
        description="Title of the first slide; {dataset} becomes the data set's name.",
    )
    group_by: str = Field(
        "", max_length=100, description="Column to count the rows by; empty = the deck chooses one from the data."
    )
    top_groups: int = Field(12, ge=3, le=30, description="How many groups the table shows, the largest first.")
    chart: ChartKind = Field(
        ChartKind.AUTO,
        description="Second chart: a line over time, columns of an average, a scatter; auto = what fits.",
    )
    accent: str = Field("#0F7B8A", pattern="^#[0-9A-Fa-f]{6}$", description="Colour of charts and marks, e.g. #0F7B8A.")
    date: datetime.date | None = Field(None, description="Date on the first slide; empty = today.")

    @field_validator("date", mode="before")
    @classmethod
    def empty_means_today(cls, value: object) -> object:
        """A form or a command line can only leave the field empty."""
        return None if value == "" else value
