"""The pipelines of this project by name."""

from __future__ import annotations

from importlib.util import find_spec

from kedro.pipeline import Pipeline

from demo.pipelines import data_loading, reporting, subcollectors


def register_pipelines() -> dict[str, Pipeline]:
    """`data_loading` fetches and processes; `reporting` is the whole way to the delivered files, and the default;
    `subcollectors` collects from many sources at once. The cases are there where kedro_console is installed."""
    loading = data_loading.create_pipeline()
    whole = loading + reporting.create_pipeline()
    collecting = subcollectors.create_pipeline(subcollectors.collect_nodes())
    known = {"__default__": whole, "data_loading": loading, "reporting": whole, "subcollectors": collecting}
    return {**known, **(cases() if find_spec("kedro_console") else {})}


def cases() -> dict[str, Pipeline]:
    """Pipelines that start each other by rules, under quotas, with batch queues between them."""
    from demo.pipelines import allowance, keywords, texts

    return {
        "keyword_query": keywords.keyword_query(),
        "keyword_metrics": keywords.keyword_metrics(),
        "store_query_result": keywords.store_query_result(),
        "store_failed_requests": keywords.store_failed_requests(),
        "prompts": texts.prompts(),
        "upload_texts": texts.upload_texts(),
        "daily_rows": allowance.daily_rows(),
    }
