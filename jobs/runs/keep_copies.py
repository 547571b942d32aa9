"""Whether runs of a pipeline keep what passes between their nodes, so that a failed one can be resumed."""

from __future__ import annotations

from typing import Final

from jobs.errors import BadParameters
from jobs.models import Pipeline
from jobs.models.act import recorded

AUTOMATIC, ALWAYS, NEVER = "automatic", "always", "never"
WAYS: Final = (AUTOMATIC, ALWAYS, NEVER)
WORDS: Final = {
    AUTOMATIC: "what passes between its nodes is copied while that costs little",
    ALWAYS: "all that passes between its nodes is kept, whatever that costs",
    NEVER: "nothing is copied",
}


def copies_of(pipeline: Pipeline) -> str:
    """`automatic`: while that costs little; `always`: whatever it costs."""
    if pipeline.is_resumable:
        return ALWAYS
    return AUTOMATIC if pipeline.copies_mb else NEVER


def keep_copies(pipeline: Pipeline, way: str) -> None:
    """From the next run on; BadParameters for a way that there is not."""
    if way not in WAYS:
        raise BadParameters({"copies": f"Write one of {', '.join(WAYS)}."})
    with recorded("changed", pipeline):
        pipeline.is_resumable = way == ALWAYS
        if way == NEVER:
            pipeline.copies_mb = 0
        elif not pipeline.copies_mb:
            pipeline.copies_mb = Pipeline._meta.get_field("copies_mb").get_default()
        pipeline.save(update_fields=["is_resumable", "copies_mb"])
