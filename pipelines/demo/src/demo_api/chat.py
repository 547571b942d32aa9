"""A chat endpoint in the shape of OpenAI's; its text depends on the messages alone."""

from __future__ import annotations

import hashlib
import random
from http import HTTPStatus
from typing import Any

from demo_api.messages import Answer, Refusal, Request

SUBJECTS = ("The report", "Every row", "A good chart", "The second column", "A quiet schedule", "Nobody", "The analyst")
VERBS = ("explains", "counts", "remembers", "compares", "delivers", "asks for", "agrees with")
OBJECTS = ("the numbers", "last month", "an honest answer", "what changed", "the next batch", "one clear sentence")
MODEL = "demo-text-1"


def complete(request: Request, name: str) -> Answer:
    given = request.json()
    messages = given.get("messages") if isinstance(given, dict) else None
    if not isinstance(messages, list) or not messages or not all(map(_is_message, messages)):
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY, 'Send {"model": …, "messages": [{"role": "user", "content": "…"}]}.'
        )
    prompt = "\n".join(f"{each['role']}: {each['content']}" for each in messages)
    return Answer(completion(str(given.get("model") or MODEL), prompt))


def _is_message(given: Any) -> bool:
    return isinstance(given, dict) and isinstance(given.get("role"), str) and isinstance(given.get("content"), str)


def completion(model: str, prompt: str) -> dict[str, Any]:
    """The answer's body for this prompt."""
    digest = hashlib.sha256(prompt.encode("utf-8", "replace")).hexdigest()
    content = text(digest)
    used = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(content.split())}
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": "chat.completion",
        "created": 1_700_000_000 + int(digest[:6], 16),
        "model": model,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"},
        ],
        "usage": {**used, "total_tokens": sum(used.values())},
    }


def text(seed: str, sentences: int = 3) -> str:
    drawn = random.Random(seed)  # noqa: S311 - a demo's words
    return " ".join(
        f"{drawn.choice(SUBJECTS)} {drawn.choice(VERBS)} {drawn.choice(OBJECTS)}." for _ in range(sentences)
    )
