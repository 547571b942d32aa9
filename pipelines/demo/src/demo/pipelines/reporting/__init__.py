"""From processed rows to delivered files: CSV, zip and slide deck."""

from demo.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
