"""What the form of a rule sends."""

from __future__ import annotations

from typing import Any

from jobs.models import Pipeline


def fields(sources: list[Pipeline], target: Pipeline, **facts: Any) -> dict[str, Any]:
    return {
        "name": "Next", "sources": [source.pk for source in sources], "wants": "any", "outcome": "succeeded",
        "correlate": "root", "node": "", "condition": "", "target": target.pk, "mapping": "", "handler": "",
        "is_enabled": "on", "max_iterations": 1000, "max_per_hour": 0, **facts,
    }  # fmt: skip
