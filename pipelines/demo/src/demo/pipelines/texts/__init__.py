"""Generated text: one request a window, delivered by another pipeline."""

from demo.pipelines.texts.pipeline import prompts, upload_texts

__all__ = ["prompts", "upload_texts"]
