"""The graphs of the generated texts."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from demo.pipelines.texts.ask import ask_prompt, check_prompts
from demo.pipelines.texts.upload import upload_texts as deliver_texts


def prompts() -> Pipeline:
    """New prompts → the batch queue → one text."""
    asking = ["prompts_put", "params:chat_api", "params:chat"]
    return Pipeline(
        [
            node(check_prompts, "params:prompts_file", "prompts_put", name="check_prompts"),
            node(ask_prompt, asking, ["generated_texts", "generated"], name="ask_prompt"),
        ]
    )


def upload_texts() -> Pipeline:
    """What was written → files."""
    return Pipeline([node(deliver_texts, "params:texts", ["delivered_texts", "delivery"], name="upload_texts")])
