"""Collect from many sources at once, join what came, clean it, count it."""

from demo.pipelines.subcollectors.pipeline import collect_nodes, create_pipeline

__all__ = ["collect_nodes", "create_pipeline"]
