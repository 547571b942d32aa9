"""A daily allowance: the rows of the next run are computed after each."""

from demo.pipelines.allowance.pipeline import daily_rows

__all__ = ["daily_rows"]
