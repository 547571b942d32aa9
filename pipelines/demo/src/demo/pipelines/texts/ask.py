"""Put new prompts into the batch queue, and ask the chat endpoint for one text."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from pydantic import BaseModel, Field

from demo.addresses import in_project
from kedro_console import batches
from kedro_console.batches import Item
from kedro_console.http import Client

logger = logging.getLogger(__name__)

QUEUE = "prompts"
Row = dict[str, Any]


class ChatSettings(BaseModel):
    """How the chat endpoint is asked."""

    model: str = "demo-text-1"
    instruction: str = Field("Write three short sentences for the report.", description="The system's message.")
    quota: str = "chat"
    retries: int = Field(2, ge=0, le=20)
    timeout_seconds: float = Field(60.0, gt=0, le=600)


def check_prompts(prompts_file: str) -> dict[str, int]:
    """The prompts of the file that are not in the queue yet are put there."""
    path = in_project(prompts_file)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    prompts = [{"prompt": line.strip()} for line in lines if line.strip()]
    put = batches.put(QUEUE, prompts, key=lambda row: hashlib.sha256(row["prompt"].encode()).hexdigest()[:32])
    return {"prompts": len(prompts), "added": put.added}


def ask_prompt(prompts_put: dict[str, int], chat_api: str, chat: ChatSettings) -> tuple[list[Row], Row]:
    """The text for one waiting prompt: one request of the quota; nothing when none waits."""
    rows = [row for item in batches.take(QUEUE, 1) for row in [answered(item, chat_api, chat)]]
    return rows, {"answered": len(rows), "prompt": rows[0]["prompt"] if rows else ""}


def answered(item: Item, chat_api: str, chat: ChatSettings) -> Row:
    prompt = item.body["prompt"]
    messages = [{"role": "system", "content": chat.instruction}, {"role": "user", "content": prompt}]
    with Client(chat_api, quota=chat.quota, retries=chat.retries, timeout=chat.timeout_seconds) as api:
        answer = api.post_json("/v1/chat/completions", {"model": chat.model, "messages": messages}, is_repeatable=True)
    text = answer["choices"][0]["message"]["content"]
    logger.info("“%s” has a text of %d characters.", prompt, len(text))
    return {"prompt": prompt, "text": text, "model": answer["model"]}
