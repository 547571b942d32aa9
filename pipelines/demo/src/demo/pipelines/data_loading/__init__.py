"""Fetch the rows of an HTTP API and process them."""

from demo.pipelines.data_loading.pipeline import create_pipeline

__all__ = ["create_pipeline"]
